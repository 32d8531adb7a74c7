"""Exercises on augmentation as a student may solve them, and the usual slips: (right, wrong)."""

SOLUTIONS = {
    "brightness_and_contrast": (
        """
def brightness(image, boxes_corner, labels, rng, low, high, history=None):
    delta = low + (high - low) * rng.random()
    out = image + np.array(delta, image.dtype)
    if history is not None:
        history += [("brightness", dict(delta=delta))]
    return out, boxes_corner, labels

def contrast(image, boxes_corner, labels, rng, low, high, history=None):
    factor = low + (high - low) * rng.random()
    out = image * np.array(factor, image.dtype)
    if history is not None:
        history += [("contrast", dict(factor=factor))]
    return out, boxes_corner, labels
""",
        {
            "brightness clipped at once": (
                "image + np.array(delta, image.dtype)",
                "np.clip(image + np.array(delta, image.dtype), 0, 255)",
            ),
            "contrast clipped at once": (
                "image * np.array(factor, image.dtype)",
                "np.clip(image * np.array(factor, image.dtype), 0, 255)",
            ),
            "rounded to grey levels": (
                "image + np.array(delta, image.dtype)",
                "np.round(image + np.array(delta, image.dtype))",
            ),
            "another number for each pixel": (
                "image + np.array(delta, image.dtype)",
                "image + rng.uniform(low, high, image.shape).astype(image.dtype)",
            ),
            "contrast around the mean": (
                "image * np.array(factor, image.dtype)",
                "image.mean() + (image - image.mean()) * np.array(factor, image.dtype)",
            ),
            "contrast around middle grey": (
                "image * np.array(factor, image.dtype)",
                "128 + (image - 128) * np.array(factor, image.dtype)",
            ),
            "into the input": (
                "out = image + np.array(delta, image.dtype)",
                "image += np.array(delta, image.dtype)\n    out = image",
            ),
            "from float32 to float64": (
                "image * np.array(factor, image.dtype)",
                "image * np.array([factor])",
            ),
            "only brighter, never darker": (
                "delta = low + (high - low) * rng.random()",
                "delta = max(low, 0) + (high - max(low, 0)) * rng.random()",
            ),
            "what was drawn is not told": (
                'history += [("contrast", dict(factor=factor))]',
                "pass",
            ),
            "a history that is not there": (
                '    if history is not None:\n        history += [("brightness"',
                '    if True:\n        history += [("brightness"',
            ),
            "another draw for the history": (
                "dict(delta=delta)",
                "dict(delta=rng.uniform(low, high))",
            ),
            "drawn from NumPy's own generator": (
                "factor = low + (high - low) * rng.random()",
                "factor = low + (high - low) * np.random.rand()",
            ),
        },
    ),
    "saturation": (
        """
def scale_saturation(image, factor):
    out = np.empty_like(image)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            pixel = image[i, j].astype(float)
            value, chroma = pixel.max(), pixel.max() - pixel.min()
            scale = factor
            if chroma > 0:
                scale = min(scale, max(1, value / chroma))
            out[i, j] = value - scale * (value - pixel)
    return out
""",
        {
            "S above 1": ("            if chroma > 0:", "            if False:"),
            "negative values clipped instead": (
                "                scale = min(scale, max(1, value / chroma))\n"
                "            out[i, j] = value - scale * (value - pixel)",
                "                pass\n"
                "            out[i, j] = np.maximum(value - scale * (value - pixel), 0)",
            ),
            "around the mean of the three": (
                "out[i, j] = value - scale * (value - pixel)",
                "out[i, j] = pixel.mean() - scale * (pixel.mean() - pixel)",
            ),
            "around the luma": (
                "value, chroma = pixel.max(), pixel.max() - pixel.min()",
                "value, chroma = pixel @ [0.299, 0.587, 0.114], pixel.max() - pixel.min()",
            ),
            "around the smallest value": (
                "value - scale * (value - pixel)",
                "pixel.min() + scale * (pixel - pixel.min())",
            ),
            "all values times the factor": ("value - scale * (value - pixel)", "scale * pixel"),
            "the factor at most 1": ("max(1, value / chroma)", "1"),
            "saturated below 0 too": ("max(1, value / chroma)", "value / chroma"),
            "one limit for the whole image": (
                "value, chroma = pixel.max(), pixel.max() - pixel.min()",
                "value, chroma = pixel.max(), np.ptp(image, axis=-1).max()",
            ),
            "grey divided by 0": (
                "value - scale * (value - pixel)",
                "value - scale * chroma * ((value - pixel) / chroma)",
            ),
            "the scale added": ("scale * (value - pixel)", "(scale + value - pixel)"),
            "into the input": ("np.empty_like(image)", "image"),
            "always float64": ("np.empty_like(image)", "np.zeros(image.shape)"),
            "rounded to whole numbers": (
                "value - scale * (value - pixel)",
                "np.round(value - scale * (value - pixel))",
            ),
        },
    ),
    "hue": (
        """
def turn_hue(image, degrees):
    out = image.copy()
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            red, green, blue = map(float, image[i, j])
            most, least = max(red, green, blue), min(red, green, blue)
            if most == least:
                continue
            if most == red:
                hue = (green - blue) / (most - least)
            elif most == green:
                hue = 2 + (blue - red) / (most - least)
            else:
                hue = 4 + (red - green) / (most - least)
            hue = (hue + degrees / 60) % 6
            sector = int(hue) % 6
            part = hue - int(hue)
            down, up = most - part * (most - least), least + part * (most - least)
            out[i, j] = [
                (most, up, least), (down, most, least), (least, most, up),
                (least, down, most), (up, least, most), (most, least, down),
            ][sector]
    return out
""",
        {
            "hue does not wrap": (
                "hue = (hue + degrees / 60) % 6\n            sector = int(hue) % 6",
                "hue = min(max(hue + degrees / 60, 0), 5.999)\n            sector = int(hue)",
            ),
            "only a negative hue wraps": (
                "hue = (hue + degrees / 60) % 6\n            sector = int(hue) % 6",
                "hue = hue + degrees / 60\n"
                "            hue = hue + 6 if hue < 0 else hue\n"
                "            sector = min(max(int(hue), 0), 5)",
            ),
            "OpenCV's half degrees": ("degrees / 60", "degrees / 30"),
            "a full turn is 180 degrees": (
                "degrees / 60) % 6",
                "degrees / 60) % 3",
            ),
            "turned the other way": ("hue + degrees / 60", "hue - degrees / 60"),
            "degrees as sixths": ("degrees / 60", "degrees"),
            "green and blue swapped": ("red, green, blue = map", "red, blue, green = map"),
            "the third of green forgotten": ("hue = 2 + (blue", "hue = (blue"),
            "the sign of a difference": ("(green - blue)", "(blue - green)"),
            "rising and falling swapped": (
                "down, up = most - part * (most - least), least + part * (most - least)",
                "up, down = most - part * (most - least), least + part * (most - least)",
            ),
            "pure colours only": ("part = hue - int(hue)", "part = 0"),
            "grey divided by 0": ("if most == least:\n", "if False:\n"),
            "full saturation": ("least + part * (most - least)", "part * most"),
            "values clipped too early": (
                "map(float, image[i, j])",
                "map(float, np.clip(image[i, j], 0, 255))",
            ),
            "into the input": ("image.copy()", "image"),
            "always float64": ("image.copy()", "image.astype(float)"),
        },
    ),
    "lighting_noise": (
        """
def lighting_noise(image, boxes_corner, labels, rng, history=None):
    order = [int(k) for k in rng.permutation(3)]
    out = np.stack([image[:, :, k] for k in order], axis=2)
    if history is not None:
        history += [("lighting_noise", dict(order=order))]
    return out, boxes_corner, labels
""",
        {
            "the inverse order is told": (
                "dict(order=order)",
                "dict(order=np.argsort(order).tolist())",
            ),
            "channels only pushed round": (
                "[int(k) for k in rng.permutation(3)]",
                "np.roll([0, 1, 2], rng.integers(3)).tolist()",
            ),
            "always another order": (
                "[int(k) for k in rng.permutation(3)]",
                "[[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][rng.integers(5)]",
            ),
            "a channel twice": ("rng.permutation(3)", "rng.integers(3, size=3)"),
            "each pixel its own order": (
                "out = np.stack([image[:, :, k] for k in order], axis=2)",
                "out = rng.permuted(image, axis=2)",
            ),
            "rows for channels": (
                "out = np.stack([image[:, :, k] for k in order], axis=2)",
                "out = image[[*order, *range(3, len(image))]]",
            ),
            "into the input": (
                "    if history is not",
                "    image[...] = out\n    if history is not",
            ),
            "always red and blue": ("[int(k) for k in rng.permutation(3)]", "[2, 1, 0]"),
            "noise added": (
                "    if history is not",
                "    out = out + rng.normal(0, 5, out.shape).astype(out.dtype)\n"
                "    if history is not",
            ),
            "what was drawn is not told": (
                'history += [("lighting_noise", dict(order=order))]',
                "pass",
            ),
            "a history that is not there": ("if history is not None:", "if True:"),
        },
    ),
    "flips": (
        """
def horizontal_flip(image, boxes_corner, labels, rng, history=None):
    if history is not None:
        history += [("horizontal_flip", {})]
    boxes = boxes_corner.copy()
    boxes[:, 0] = 1 - boxes_corner[:, 2]
    boxes[:, 2] = 1 - boxes_corner[:, 0]
    return np.fliplr(image).copy(), boxes, labels

def vertical_flip(image, boxes_corner, labels, rng, history=None):
    if history is not None:
        history += [("vertical_flip", {})]
    boxes = boxes_corner.copy()
    boxes[:, 1] = 1 - boxes_corner[:, 3]
    boxes[:, 3] = 1 - boxes_corner[:, 1]
    return np.flipud(image).copy(), boxes, labels
""",
        {
            "xmin and xmax not exchanged": (
                "boxes[:, 0] = 1 - boxes_corner[:, 2]\n    boxes[:, 2] = 1 - boxes_corner[:, 0]",
                "boxes[:, 0] = 1 - boxes_corner[:, 0]\n    boxes[:, 2] = 1 - boxes_corner[:, 2]",
            ),
            "only xmin moved": ("    boxes[:, 2] = 1 - boxes_corner[:, 0]\n", ""),
            "overwritten before it is read": (
                "boxes = boxes_corner.copy()\n    boxes[:, 1] = 1 - boxes_corner[:, 3]\n"
                "    boxes[:, 3] = 1 - boxes_corner[:, 1]",
                "boxes = boxes_corner.copy()\n    boxes[:, 1] = 1 - boxes[:, 3]\n"
                "    boxes[:, 3] = 1 - boxes[:, 1]",
            ),
            "the boxes stay": (
                "    boxes[:, 1] = 1 - boxes_corner[:, 3]\n"
                "    boxes[:, 3] = 1 - boxes_corner[:, 1]\n",
                "",
            ),
            "the image stays": ("np.fliplr(image).copy()", "image.copy()"),
            "rows and columns of the image swapped": ("np.fliplr(image)", "np.flipud(image)"),
            "rows and columns of the boxes swapped": (
                "boxes[:, 0] = 1 - boxes_corner[:, 2]\n    boxes[:, 2] = 1 - boxes_corner[:, 0]",
                "boxes[:, 1] = 1 - boxes_corner[:, 3]\n    boxes[:, 3] = 1 - boxes_corner[:, 1]",
            ),
            "turned by half": ("np.flipud(image)", "np.flip(image, (0, 1))"),
            "the colours mirrored": ("np.flipud(image)", "image[..., ::-1]"),
            "in pixels": (
                "boxes[:, 0] = 1 - boxes_corner[:, 2]\n    boxes[:, 2] = 1 - boxes_corner[:, 0]",
                "boxes[:, 0] = image.shape[1] - 1 - boxes_corner[:, 2]\n"
                "    boxes[:, 2] = image.shape[1] - 1 - boxes_corner[:, 0]",
            ),
            "the minus sign alone": ("1 - boxes_corner[:, 2]", "-boxes_corner[:, 2]"),
            "a view of the input": ("np.fliplr(image).copy()", "np.fliplr(image)"),
            "into the input": (
                "boxes = boxes_corner.copy()\n    boxes[:, 0] = 1 - boxes_corner[:, 2]\n"
                "    boxes[:, 2] = 1 - boxes_corner[:, 0]",
                "boxes = boxes_corner\n    boxes[:, [0, 2]] = 1 - boxes_corner[:, [2, 0]]",
            ),
            "flipped by chance": (
                "    boxes = boxes_corner.copy()\n    boxes[:, 0]",
                "    if rng.random() < 0.5:\n"
                "        return image.copy(), boxes_corner.copy(), labels\n"
                "    boxes = boxes_corner.copy()\n    boxes[:, 0]",
            ),
            "what was done is not told": ('history += [("vertical_flip", {})]', "pass"),
        },
    ),
    "expand": (
        """
def expand(image, boxes_corner, labels, rng, max_ratio, fill, history=None):
    height, width = image.shape[:2]
    ratio = 1 + (max_ratio - 1) * rng.random()
    rows, columns = int(height * ratio), int(width * ratio)
    top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
    colour = np.round(fill) if image.dtype.kind in "ui" else np.array(fill)
    canvas = np.tile(colour.astype(image.dtype), (rows, columns, 1))
    canvas[top : top + height, left : left + width] = image
    moved = boxes_corner * (width, height, width, height)
    moved = (moved + (left, top, left, top)) / (columns, rows, columns, rows)
    if history is not None:
        x, y = left / width, top / height
        window = np.array([-x, -y, columns / width - x, rows / height - y])
        history += [("expand", dict(ratio=ratio, window=window))]
    return canvas, moved, labels
""",
        {
            "the boxes stay": (
                "return canvas, moved, labels",
                "return canvas, boxes_corner, labels",
            ),
            "boxes smaller but not moved": ("moved + (left, top, left, top)", "moved"),
            "boxes moved but not smaller": (
                "(columns, rows, columns, rows)",
                "(width, height, width, height)",
            ),
            "x and y swapped": ("(left, top, left, top)", "(top, left, top, left)"),
            "boxes in pixels": (" / (columns, rows, columns, rows)", ""),
            "only the near corner moved": ("(left, top, left, top)", "(left, top, 0, 0)"),
            "a black canvas": (
                "np.tile(colour.astype(image.dtype)",
                "np.tile(0 * colour.astype(image.dtype)",
            ),
            "a grey canvas of the mean": (
                "colour = np.round(fill) if",
                "colour = np.full(3, np.mean(fill)) if",
            ),
            "the colour cut off, not rounded": ("np.round(fill)", "np.array(fill)"),
            "always in the middle": (
                "rng.integers(rows - height + 1), rng.integers(columns - width + 1)",
                "(rows - height) // 2, (columns - width) // 2",
            ),
            "always in the upper left corner": (
                "rng.integers(rows - height + 1), rng.integers(columns - width + 1)",
                "0, 0",
            ),
            "never at the right and lower edge": (
                "rng.integers(rows - height + 1), rng.integers(columns - width + 1)",
                "rng.integers(rows - height), rng.integers(columns - width)",
            ),
            "always the largest": ("1 + (max_ratio - 1) * rng.random()", "max_ratio"),
            "the ratio of the areas": (
                "int(height * ratio), int(width * ratio)",
                "int(height * ratio**0.5), int(width * ratio**0.5)",
            ),
            "another ratio for the width": (
                "int(width * ratio)",
                "int(width * (1 + (max_ratio - 1) * rng.random()))",
            ),
            "a square canvas": ("int(height * ratio), int(width", "int(width * ratio), int(width"),
            "the image stretched to fill the canvas": (
                "    canvas[top : top + height, left : left + width] = image\n",
                "    y = np.arange(rows) * height // rows\n"
                "    canvas[:] = image[y][:, np.arange(columns) * width // columns]\n",
            ),
            "the window in pixels": (
                "x, y = left / width, top / height",
                "x, y = left, top",
            ),
            "the window in fractions of the canvas": (
                "window = np.array([-x, -y, columns / width - x, rows / height - y])",
                "window = np.array([left, top, left + width, top + height])"
                " / (columns, rows, columns, rows)",
            ),
            "a history that is not there": ("if history is not None:", "if True:"),
        },
    ),
    "crop_rule": (
        """
def centres_inside(patches, boxes_corner):
    inside = np.zeros((len(patches), len(boxes_corner)), bool)
    for p, (x0, y0, x1, y1) in enumerate(patches):
        for g, (xmin, ymin, xmax, ymax) in enumerate(boxes_corner):
            cx, cy = (xmin + xmax) / 2, (ymin + ymax) / 2
            inside[p, g] = x0 < cx < x1 and y0 < cy < y1
    return inside

def patches_pass(patches, boxes_corner, min_iou):
    good = []
    overlaps = iou_matrix(patches, boxes_corner)
    inside = centres_inside(patches, boxes_corner)
    for p in range(len(patches)):
        enough = np.any(overlaps[p] >= min_iou)
        good.append(len(boxes_corner) == 0 or bool(enough and np.any(inside[p])))
    return np.array(good, bool)
""",
        {
            "never rejects": ("or bool(enough and", "or bool(True or"),
            "the centre rule forgotten": ("enough and np.any(inside[p])", "enough"),
            "the minimum forgotten": ("enough and np.any(inside[p])", "np.any(inside[p])"),
            "one of the two is enough": ("enough and np.any", "enough or np.any"),
            "every object overlaps enough": ("np.any(overlaps[p]", "np.all(overlaps[p]"),
            "every centre inside": ("np.any(inside[p])", "np.all(inside[p])"),
            "the objects overlap enough on average": (
                "np.any(overlaps[p] >= min_iou)",
                "np.mean(overlaps[p]) >= min_iou",
            ),
            "both of one and the same object": (
                "enough and np.any(inside[p])",
                "np.any(inside[p] & (overlaps[p] >= min_iou))",
            ),
            "above the minimum, not from it on": (">= min_iou", "> min_iou"),
            "the minimum is a maximum": (">= min_iou", "<= min_iou"),
            "the share of the object for the IoU": (
                "    overlaps = iou_matrix(patches, boxes_corner)\n",
                "    b = boxes_corner\n"
                "    low = np.maximum(patches[:, None, :2], b[None, :, :2])\n"
                "    high = np.minimum(patches[:, None, 2:], b[None, :, 2:])\n"
                "    overlaps = np.maximum(high - low, 0).prod(axis=2)\n"
                "    overlaps /= (b[:, 2:] - b[:, :2]).prod(axis=1)\n",
            ),
            "nothing passes without objects": ("len(boxes_corner) == 0 or ", ""),
            "the whole box for its centre": (
                "x0 < cx < x1 and y0 < cy < y1",
                "x0 <= xmin and xmax <= x1 and y0 <= ymin and ymax <= y1",
            ),
            "any part of the box for its centre": (
                "x0 < cx < x1 and y0 < cy < y1",
                "xmin < x1 and xmax > x0 and ymin < y1 and ymax > y0",
            ),
            "a corner for the centre": (
                "(xmin + xmax) / 2, (ymin + ymax) / 2",
                "xmin, ymin",
            ),
            "the edge counts": (
                "x0 < cx < x1 and y0 < cy < y1",
                "x0 <= cx <= x1 and y0 <= cy <= y1",
            ),
            "x and y swapped": ("x0 < cx < x1 and y0 < cy < y1", "x0 < cy < x1 and y0 < cx < y1"),
            "one axis is enough": ("x0 < cx < x1 and", "x0 < cx < x1 or"),
            "boxes times patches": ("    return inside\n", "    return inside.T\n"),
        },
    ),
    "crop": (
        """
def crop(image, boxes_corner, labels, rng, min_ious, scale, ratio, tries, history=None):
    height, width = image.shape[:2]
    centre = (boxes_corner[:, :2] + boxes_corner[:, 2:]) / 2
    minimum = min_ious[int(rng.integers(len(min_ious)))]
    window = np.array([0.0, 0.0, 1.0, 1.0])
    patches = draw_patches((height, width), rng, scale, ratio, tries) if minimum < 1 else []
    for patch in patches:
        inside = ((centre > patch[:2]) & (centre < patch[2:])).all(axis=1)
        enough = iou_matrix(patch[None], boxes_corner)[0] >= minimum
        if len(boxes_corner) == 0 or (inside.any() and enough.any()):
            window = patch
            break
    keep = ((centre > window[:2]) & (centre < window[2:])).all(axis=1)
    x0, y0, x1, y1 = window
    size = np.array([x1 - x0, y1 - y0] * 2)
    boxes = (boxes_corner[keep] - [x0, y0, x0, y0]) / size
    boxes = boxes.clip(0, 1)
    left, right = round(x0 * width), round(x1 * width)
    top, bottom = round(y0 * height), round(y1 * height)
    if history is not None:
        history += [("crop", dict(min_iou=minimum, window=window))]
    return image[top:bottom, left:right].copy(), boxes, labels[keep]
""",
        {
            "never rejects": ("(inside.any() and enough.any())", "True"),
            "the minimum forgotten": ("(inside.any() and enough.any())", "inside.any()"),
            "the centre rule forgotten": ("(inside.any() and enough.any())", "enough.any()"),
            "the last patch stays if none passes": (
                "        if len(boxes_corner)",
                "        window = patch\n        if len(boxes_corner)",
            ),
            "every centre must be inside": ("(inside.any() and", "(inside.all() and"),
            "every object must overlap enough": ("enough.any()", "enough.all()"),
            "1 a minimum like others": (" if minimum < 1 else []", ""),
            "no crop without objects": ("len(boxes_corner) == 0 or (", "("),
            "always the strictest minimum": (
                "min_ious[int(rng.integers(len(min_ious)))]",
                "max(min_ious)",
            ),
            "the centre rule replaced by the whole-box rule": (
                "keep = ((centre > window[:2]) & (centre < window[2:])).all(axis=1)",
                "keep = (boxes_corner[:, :2] >= window[:2]).all(axis=1)\n"
                "    keep &= (boxes_corner[:, 2:] <= window[2:]).all(axis=1)",
            ),
            "every object that shows is kept": (
                "keep = ((centre > window[:2]) & (centre < window[2:])).all(axis=1)",
                "keep = (boxes_corner[:, :2] < window[2:]).all(axis=1)\n"
                "    keep &= (boxes_corner[:, 2:] > window[:2]).all(axis=1)",
            ),
            "all objects kept": (
                "keep = ((centre > window[:2]) & (centre < window[2:])).all(axis=1)",
                "keep = np.ones(len(centre), bool)",
            ),
            "labels of dropped objects stay": ("labels[keep]", "labels"),
            "boxes not clipped": ("    boxes = boxes.clip(0, 1)\n", ""),
            "boxes in fractions of the image": (
                "boxes = (boxes_corner[keep] - [x0, y0, x0, y0]) / size",
                "boxes = boxes_corner[keep]",
            ),
            "boxes moved but not enlarged": (
                "(boxes_corner[keep] - [x0, y0, x0, y0]) / size",
                "(boxes_corner[keep] - [x0, y0, x0, y0])",
            ),
            "boxes enlarged but not moved": (
                "(boxes_corner[keep] - [x0, y0, x0, y0]) / size",
                "boxes_corner[keep] / size",
            ),
            "clipped in the image, before the move": (
                "    boxes = boxes.clip(0, 1)\n",
                "    boxes = (boxes_corner[keep].clip(0, 1) - [x0, y0, x0, y0]) / size\n",
            ),
            "height and width swapped": ("[x1 - x0, y1 - y0] * 2", "[y1 - y0, x1 - x0] * 2"),
            "x and y swapped in the pixels": (
                "image[top:bottom, left:right]",
                "image[left:right, top:bottom]",
            ),
            "pixels cut off, not rounded": (
                "left, right = round(x0 * width), round(x1 * width)\n"
                "    top, bottom = round(y0 * height), round(y1 * height)",
                "left, right = int(x0 * width), int(x1 * width)\n"
                "    top, bottom = int(y0 * height), int(y1 * height)",
            ),
            "the whole image, new boxes": ("image[top:bottom, left:right].copy()", "image.copy()"),
            "a view of the input": (
                "image[top:bottom, left:right].copy()",
                "image[top:bottom, left:right]",
            ),
            "a history that is not there": ("if history is not None:", "if True:"),
        },
    ),
}
