"""Exercises on the network as a student may solve them, and the usual slips: (right, wrong)."""

SOLUTIONS = {
    "output_size": (
        """
def output_size(size, kernel, stride=1, border=(0, 0), dilation=1, ceil=False):
    before, after = border
    window = 1 + dilation * (kernel - 1)
    count, begin = 0, -before
    while begin + window <= size + after:
        count += 1
        begin += stride
    end = begin - stride + window
    if ceil and end < size + after and begin < size:
        count += 1
    return count
""",
        {
            "floor for ceil": ("if ceil and", "if False and"),
            "ceil for floor": ("if ceil and", "if True and"),
            "the dilation forgotten": ("1 + dilation * (kernel - 1)", "kernel"),
            "the kernel times the dilation": ("1 + dilation * (kernel - 1)", "dilation * kernel"),
            "the border on one side only": (
                "while begin + window <= size + after",
                "while begin + window <= size",
            ),
            "the border in front for both": (
                "before, after = border",
                "before, after = border[0], border[0]",
            ),
            "the border forgotten": (
                "count, begin = 0, -before\n    while begin + window <= size + after",
                "count, begin = 0, 0\n    while begin + window <= size",
            ),
            "the stride forgotten": ("begin += stride", "begin += 1"),
            "the last window not counted": ("window <= size", "window < size"),
            "a last window that begins behind the map": (" and begin < size:", ":"),
            "the size divided by the stride": (
                "    return count\n",
                "    return -(-size // stride)\n",
            ),
        },
    ),
    "receptive_fields": (
        """
def receptive_fields(config):
    found = {}
    ends = [m.name for m in config.feature_maps]
    size, stride, start = 1, 1, (0.5, 0.5)
    for layer in config.layers:
        window = layer.window
        taps, gap = window.kernel, window.dilation
        pads = window.pad
        gone = (pads, pads) if isinstance(pads, int) else (pads[0][0], pads[1][0])
        wide = gap * (taps - 1)
        size = size + wide * stride
        start = tuple(s + (wide / 2 - b) * stride for s, b in zip(start, gone))
        stride = stride * window.stride
        found[layer.name] = ReceptiveField(size, stride, start)
        if layer.name in ends:
            more = (config.head_kernel - 1) * stride
            found["head_" + layer.name] = ReceptiveField(size + more, stride, start)
    return found
""",
        {
            "the dilation forgotten": ("gap * (taps - 1)", "taps - 1"),
            "the stride of the layer itself counted": (
                "        size = size + wide * stride\n",
                "        size = size + wide * stride * window.stride\n",
            ),
            "in cells, not in pixels": ("size + wide * stride\n", "size + wide\n"),
            "a whole kernel added": ("gap * (taps - 1)", "gap * taps"),
            "strides added, not multiplied": (
                "stride = stride * window.stride",
                "stride = stride + window.stride - 1",
            ),
            "poolings do not widen": (
                "taps, gap = window.kernel",
                "taps, gap = 1 if layer.kind == 'pool' else window.kernel",
            ),
            "the border forgotten": ("(wide / 2 - b)", "(wide / 2)"),
            "the border in pixels": ("(wide / 2 - b) * stride", "wide / 2 * stride - b"),
            "the border behind for the one in front": (
                "(pads[0][0], pads[1][0])",
                "(pads[0][1], pads[1][1])",
            ),
            "height and width swapped": ("(pads[0][0], pads[1][0])", "(pads[1][0], pads[0][0])"),
            "the first cell's centre is always that of the image's first pixel": (
                "found[layer.name] = ReceptiveField(size, stride, start)",
                "found[layer.name] = ReceptiveField(size, stride, (0.5, 0.5))",
            ),
            "the head's kernel forgotten": ("size + more", "size"),
            "every head 3 x 3": ("(config.head_kernel - 1)", "2"),
            "the head a part of the trunk": (
                "            more = (config.head_kernel - 1) * stride\n",
                "            more = (config.head_kernel - 1) * stride\n"
                "            size, more = size + more, 0\n",
            ),
            "the field of the layer below": (
                "        size = size + wide * stride\n"
                "        start = tuple(s + (wide / 2 - b) * stride for s, b in zip(start, gone))\n"
                "        stride = stride * window.stride\n"
                "        found[layer.name] = ReceptiveField(size, stride, start)\n",
                "        found[layer.name] = ReceptiveField(size, stride, start)\n"
                "        size = size + wide * stride\n"
                "        start = tuple(s + (wide / 2 - b) * stride for s, b in zip(start, gone))\n"
                "        stride = stride * window.stride\n",
            ),
        },
    ),
    "build_stages": (
        """
def build_stages(config, rng, dtype=np.float32, ops=None):
    names = [description.name for description in config.layers]
    built, width, widths, ops = [], 3, {}, ops or select()
    for description in config.layers:
        built.append(description.build(width, rng, dtype, ops))
        width = getattr(description, "channels", width)
        widths[description.name] = width
    stages, first = [], 0
    for feature_map in config.feature_maps:
        end = names.index(feature_map.name) + 1
        stages.append(Sequential(built[first:end]))
        first = end
    return stages, [widths[m.name] for m in config.feature_maps]
""",
        {
            "cut in front of the map": (
                "names.index(feature_map.name) + 1",
                "names.index(feature_map.name)",
            ),
            "every stage begins at the image": ("        first = end\n", ""),
            "one layer left out behind each cut": ("first = end\n", "first = end + 1\n"),
            "a layer twice": ("first = end\n", "first = end - 1\n"),
            "every convolution takes the image's channels": (
                '        width = getattr(description, "channels", width)\n'
                "        widths[description.name] = width\n",
                '        widths[description.name] = getattr(description, "channels", width)\n',
            ),
            "a pooling has the image's channels": (
                'getattr(description, "channels", width)',
                'getattr(description, "channels", 3)',
            ),
            "channels of the first layer of a stage": (
                "first = end\n    return stages, [widths[m.name] for m in config.feature_maps]",
                "widths[feature_map.name] = widths[names[first]]\n"
                "        first = end\n"
                "    return stages, [widths[m.name] for m in config.feature_maps]",
            ),
            "cells for channels": (
                "[widths[m.name] for m in config.feature_maps]",
                "[m.size for m in config.feature_maps]",
            ),
            "a generator for each layer": (
                "width, rng, dtype",
                "width, np.random.default_rng(0), dtype",
            ),
            "weights drawn from the deepest layer on": (
                "    stages, first = [], 0\n",
                "    for layer in built[::-1]:\n"
                "        for name, p in layer.parameters.items():\n"
                "            if name.endswith('weight'):\n"
                "                new = rng.standard_normal(p.value.shape).astype(dtype)\n"
                "                p.assign(new * (2 / np.prod(p.value.shape[:3])) ** 0.5)\n"
                "    stages, first = [], 0\n",
            ),
            "always float32": ("rng, dtype, ops))", "rng, np.float32, ops))"),
            "the engine not handed on": ("rng, dtype, ops))", "rng, dtype, select()))"),
        },
    ),
    "prediction_rows": (
        """
def grid_to_rows(grid, boxes):
    n, h, w, channels = grid.shape
    classes = channels // boxes - 4
    logits = np.zeros((n, h * w * boxes, classes), grid.dtype)
    offsets = np.zeros((n, h * w * boxes, 4), grid.dtype)
    for i in range(h):
        for j in range(w):
            for a in range(boxes):
                row = (i * w + j) * boxes + a
                logits[:, row] = grid[:, i, j, a * classes : (a + 1) * classes]
                first = boxes * classes + a * 4
                offsets[:, row] = grid[:, i, j, first : first + 4]
    return logits, offsets

def rows_to_grid(dlogits, doffsets, shape, *, out=None):
    n, h, w, channels = shape
    boxes = dlogits.shape[1] // (h * w)
    score_part = dlogits.reshape(n, h, w, boxes * dlogits.shape[2])
    offset_part = doffsets.reshape(n, h, w, boxes * 4)
    return np.concatenate([score_part, offset_part], axis=3)
""",
        {
            "all cells of a box before the next box": (
                "(i * w + j) * boxes + a",
                "a * h * w + i * w + j",
            ),
            "columns before rows": ("(i * w + j) * boxes", "(j * h + i) * boxes"),
            "from one cell to the next over the height": ("(i * w + j)", "(i * h + j) % (h * w)"),
            "channels class by class": (
                "a * classes : (a + 1) * classes",
                "a : boxes * classes : boxes",
            ),
            "the offsets coordinate by coordinate": (
                "first = boxes * classes + a * 4\n"
                "                offsets[:, row] = grid[:, i, j, first : first + 4]",
                "first = boxes * classes + a\n"
                "                offsets[:, row] = grid[:, i, j, first::boxes]",
            ),
            "scores and offsets of a box side by side": (
                "grid[:, i, j, a * classes : (a + 1) * classes]\n"
                "                first = boxes * classes + a * 4",
                "grid[:, i, j, a * (classes + 4) : a * (classes + 4) + classes]\n"
                "                first = a * (classes + 4) + classes",
            ),
            "offsets before scores": (
                "grid[:, i, j, a * classes : (a + 1) * classes]\n"
                "                first = boxes * classes + a * 4",
                "grid[:, i, j, boxes * 4 :][:, a * classes : (a + 1) * classes]\n"
                "                first = a * 4",
            ),
            "reshaped as if channels came first": (
                "score_part = dlogits.reshape(n, h, w, boxes * dlogits.shape[2])",
                "score_part = dlogits.reshape(n, -1, h, w).transpose(0, 2, 3, 1)",
            ),
            "the gradients in the wrong order": (
                "[score_part, offset_part]",
                "[offset_part, score_part]",
            ),
            "height and width swapped on the way back": (
                "doffsets.reshape(n, h, w, boxes * 4)",
                "doffsets.reshape(n, w, h, boxes * 4).swapaxes(1, 2)",
            ),
            "the gradients averaged over the cells": ("axis=3)", "axis=3) / (h * w)"),
            "the gradient of the offsets forgotten": (
                "offset_part = doffsets.reshape(n, h, w, boxes * 4)",
                "offset_part = np.zeros((n, h, w, boxes * 4), doffsets.dtype)",
            ),
        },
    ),
    "shape_trace": (
        """
def trace(config):
    fields = {name: field.size for name, field in receptive_fields(config).items()}
    maps = {m.name: m for m in config.feature_maps}
    rows = []

    def convolution(name, kind, kernel, cells, c_in, c_out, field):
        weights = kernel**2 * c_in * c_out
        products = cells[0] * cells[1] * weights
        rows.append(Row(name, kind, (*cells, c_out), weights + c_out, products, field))

    side, channels = config.input.shape, 3
    for layer in config.layers:
        name = layer.name
        side = layer.output_shape(side)
        if layer.kind == "conv":
            kind = f"conv {layer.kernel}x{layer.kernel}"
            if layer.dilation != 1:
                kind += f" dil {layer.dilation}"
            convolution(name, kind, layer.kernel, side, channels, layer.channels, fields[name])
            channels = layer.channels
        else:
            kind = f"max {layer.size}x{layer.size}" + layer.ceil * " ceil"
            rows.append(Row(name, kind, (*side, channels), 0, 0, fields[name]))
        if name in maps:
            if maps[name].l2norm_scale:
                shape = (*side, channels)
                rows.append(Row(name + "_norm", "L2Norm", shape, channels, 0, fields[name]))
            k, boxes, seen = config.head_kernel, maps[name].boxes_per_cell, fields["head_" + name]
            classes = len(config.class_names) + 1
            kind = f"conv {k}x{k}"
            convolution("conf_" + name, kind, k, side, channels, boxes * classes, seen)
            convolution("loc_" + name, kind, k, side, channels, boxes * 4, seen)
    return rows
""",
        {
            "the biases forgotten": ("weights + c_out, products", "weights, products"),
            "one bias for all channels": ("weights + c_out, products", "weights + 1, products"),
            "the background forgotten": ("len(config.class_names) + 1", "len(config.class_names)"),
            "one box a cell": ("maps[name].boxes_per_cell", "1"),
            "the width for the area": ("cells[0] * cells[1] * weights", "cells[1] * weights"),
            "height and width swapped": ("(*cells, c_out)", "(cells[1], cells[0], c_out)"),
            "a multiply-add counted twice": (
                "cells[0] * cells[1] * weights",
                "2 * cells[0] * cells[1] * weights",
            ),
            "each channel reads one channel only": (
                "cells[0] * cells[1] * weights",
                "cells[0] * cells[1] * kernel**2 * c_out",
            ),
            "every kernel reads the image's channels": (
                "            channels = layer.channels\n",
                "",
            ),
            "the stride of convolutions forgotten": (
                "side = layer.output_shape(side)",
                'side = side if layer.kind == "conv" else layer.output_shape(side)',
            ),
            "the scales of L2Norm forgotten": (
                '"L2Norm", shape, channels, 0',
                '"L2Norm", shape, 0, 0',
            ),
            "L2Norm on every map": ("if maps[name].l2norm_scale:", "if True:"),
            "the heads see what their map sees": ('fields["head_" + name]', "fields[name]"),
            "every head 3 x 3": ("config.head_kernel", "3"),
            "the heads' numbers a box, not a cell": (
                "channels, boxes * classes, seen",
                "channels, classes, seen",
            ),
            "offsets before scores": (
                'convolution("conf_" + name, kind, k, side, channels, boxes * classes, seen)\n'
                '            convolution("loc_" + name, kind, k, side, channels, boxes * 4, seen)',
                'convolution("loc_" + name, kind, k, side, channels, boxes * 4, seen)\n'
                '            convolution("conf_" + name, kind, k, side, channels, '
                "boxes * classes, seen)",
            ),
        },
    ),
}
