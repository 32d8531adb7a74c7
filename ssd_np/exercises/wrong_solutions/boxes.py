"""Exercises on boxes as a student may solve them, and the usual slips: (right text, wrong text)."""

SOLUTIONS = {
    "corner_to_center": (
        """
def corner_to_center(boxes):
    xmin, ymin, xmax, ymax = np.moveaxis(boxes, -1, 0)
    return np.stack([(xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin], axis=-1)

def center_to_corner(boxes):
    cx, cy, w, h = np.moveaxis(boxes, -1, 0)
    return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=-1)
""",
        {
            "width and height swapped": ("xmax - xmin, ymax - ymin]", "ymax - ymin, xmax - xmin]"),
            "a whole size on each side": (
                "[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]",
                "[cx - w, cy - h, cx + w, cy + h]",
            ),
            "the sum is not halved": ("(xmin + xmax) / 2", "(xmin + xmax)"),
            "one pixel added to the width": ("xmax - xmin,", "xmax - xmin + 1,"),
            "the corner kept as the center": (
                "cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2",
                "cx, cy, cx + w, cy + h",
            ),
            "one box only": (
                "np.moveaxis(boxes, -1, 0)\n    return np.stack([(",
                "boxes.T\n    return np.stack([(",
            ),
            "written into the input": (
                "    cx, cy, w, h = np.moveaxis(boxes, -1, 0)\n",
                "    cx, cy, w, h = np.moveaxis(boxes, -1, 0)\n    boxes[...] = 0\n",
            ),
        },
    ),
    "default_boxes": (
        """
def box_shapes(feature_map, integer_sizes=False):
    small, large = feature_map.min_size, feature_map.max_size
    if integer_sizes:
        small, large = int(small), int(large)
    shapes = [(small, small), ((small * large) ** 0.5, (small * large) ** 0.5)]
    for r in feature_map.aspect_ratios:
        shapes.append((small * r**0.5, small / r**0.5))
        shapes.append((small / r**0.5, small * r**0.5))
    return np.array(shapes, float)

def default_boxes_for_map(config, index):
    fm = config.feature_maps[index]
    shapes = box_shapes(fm, config.boxes.integer_sizes)
    (rows, columns), (down, across) = fm.shape, fm.steps
    height, width = config.input.shape
    out = np.zeros((rows, columns, len(shapes), 8))
    for i in range(rows):
        for j in range(columns):
            for a, (w, h) in enumerate(shapes):
                cx, cy = (j + 0.5) * across, (i + 0.5) * down
                box = np.array([cx, cy, w, h]) / [width, height, width, height]
                if config.boxes.clip == "all":
                    box = np.clip(box, 0, 1)
                if config.boxes.clip == "sizes":
                    box[2:] = np.minimum(box[2:], 1)
                out[i, j, a] = [*box, *config.boxes.variances]
    return out
""",
        {
            "width and height swapped": (
                "small * r**0.5, small / r**0.5))\n        shapes.append((small / r**0.5, small",
                "small / r**0.5, small * r**0.5))\n        shapes.append((small * r**0.5, small",
            ),
            "the ratio without its root": (
                "small * r**0.5, small / r**0.5",
                "small * r, small / r",
            ),
            "the corner of the cell for its centre": ("(j + 0.5) * across", "j * across"),
            "x and y swapped": (
                "cx, cy = (j + 0.5) * across, (i + 0.5) * down",
                "cx, cy = (i + 0.5) * down, (j + 0.5) * across",
            ),
            "the grid from its size, not from its step": (
                "cx, cy = (j + 0.5) * across, (i + 0.5) * down",
                "cx, cy = (j + 0.5) / columns * width, (i + 0.5) / rows * height",
            ),
            "the large box is max_size": (
                "((small * large) ** 0.5, (small * large) ** 0.5)",
                "(large, large)",
            ),
            "in pixels": (" / [width, height, width, height]", ""),
            "one side for both axes": ("[width, height, width, height]", "width"),
            "one step for both axes": ("(i + 0.5) * down", "(i + 0.5) * across"),
            "always clipped": ('if config.boxes.clip == "all":', "if True:"),
            "variances forgotten": ("*config.boxes.variances", "1, 1, 1, 1"),
            "variances of SSD written down": ("*config.boxes.variances", "0.1, 0.1, 0.2, 0.2"),
        },
    ),
    "iou_matrix": (
        """
def iou_matrix(a_corner, b_corner):
    a, b = check_two_lists(a_corner, b_corner)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    side = np.maximum(high - low, 0)
    shared = side[..., 0] * side[..., 1]
    union = area(a)[:, None] + area(b)[None] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0).astype(a.dtype)
""",
        {
            "boxes that do not touch overlap": ("np.maximum(high - low, 0)", "high - low"),
            "the shared part counted twice": (" - shared\n", "\n"),
            "one pixel added to the sides": (
                "np.maximum(high - low, 0)",
                "np.maximum(high - low + 1, 0)",
            ),
            "over the smaller box": (
                "area(a)[:, None] + area(b)[None] - shared",
                "np.minimum(area(a)[:, None], area(b)[None])",
            ),
            "transposed": ("0).astype(a.dtype)", "0).astype(a.dtype).T"),
            "nothing over nothing": (
                "np.where(union > 0, shared / np.where(union > 0, union, 1), 0).astype(a.dtype)",
                "shared / union",
            ),
        },
    ),
    "match": (
        """
def match_iou(iou, threshold=0.5, neutral_threshold=None):
    neutral = threshold if neutral_threshold is None else neutral_threshold
    result = np.full(iou.shape[1], BACKGROUND, np.int64)
    if len(iou) == 0:
        return result
    for t in range(iou.shape[1]):
        g = iou[:, t].argmax()
        if iou[g, t] >= threshold:
            result[t] = g
        elif iou[g, t] >= neutral:
            result[t] = NEUTRAL
    left = iou.copy()
    for _ in range(len(iou)):
        g, t = np.unravel_index(left.argmax(), left.shape)
        if left[g, t] <= 0:
            break
        result[t] = g
        left[g] = -1
        left[:, t] = -1
    return result
""",
        {
            "each truth takes its best box, the last truth wins": (
                """        g, t = np.unravel_index(left.argmax(), left.shape)
        if left[g, t] <= 0:
            break
        result[t] = g
        left[g] = -1
        left[:, t] = -1
""",
                "        result[iou[_].argmax()] = _\n",
            ),
            "truths served in their order": (
                "g, t = np.unravel_index(left.argmax(), left.shape)",
                "g, t = _, left[_].argmax()",
            ),
            "only the threshold": ("range(len(iou)):\n        g, t", "range(0):\n        g, t"),
            "above the threshold, not from it on": (
                "iou[g, t] >= threshold",
                "iou[g, t] > threshold",
            ),
            "a box given twice": ("        left[:, t] = -1\n", ""),
            "a truth served twice": ("        left[g] = -1\n", ""),
            "the neutral zone forgotten": ("result[t] = NEUTRAL", "pass"),
            "neutral boxes above the zone's lower end": (
                "iou[g, t] >= neutral",
                "iou[g, t] > neutral",
            ),
            "bipartite only, without the threshold": (
                "            result[t] = g\n",
                "            pass\n",
            ),
            "an object that overlaps nothing gets a box": ("left[g, t] <= 0", "left[g, t] < 0"),
            "the overlaps are overwritten": ("iou.copy()", "iou"),
        },
    ),
    "encode": (
        """
def encode(gt_center, default_boxes):
    center, size, var_center, var_size = (default_boxes[..., i : i + 2] for i in (0, 2, 4, 6))
    t_center = (gt_center[..., :2] - center) / size / var_center
    t_size = np.log(gt_center[..., 2:] / size) / var_size
    return np.concatenate([t_center, t_size], axis=-1)
""",
        {
            "variances forgotten": (" / size / var_center", " / size"),
            "variance of the size forgotten": (" / size) / var_size", " / size)"),
            "multiplied by the variance": ("/ size / var_center", "/ size * var_center"),
            "the size without its logarithm": (
                "np.log(gt_center[..., 2:] / size)",
                "(gt_center[..., 2:] / size)",
            ),
            "divided by the object's size": (
                "center) / size / var",
                "center) / gt_center[..., 2:] / var",
            ),
            "default minus object": (
                "(gt_center[..., :2] - center)",
                "(center - gt_center[..., :2])",
            ),
            "width and height swapped": ("- center) / size /", "- center) / size[..., ::-1] /"),
            "one variance for all": ("/ var_size", "/ 0.2"),
        },
    ),
    "decode": (
        """
def decode(offsets, default_boxes, max_exponent=None):
    center, size, var_center, var_size = (default_boxes[..., i : i + 2] for i in (0, 2, 4, 6))
    limit = LARGEST_EXPONENT if max_exponent is None else max_exponent
    power = np.minimum(offsets[..., 2:] * var_size, limit)
    box_center = center + offsets[..., :2] * var_center * size
    return np.concatenate([box_center, size * np.exp(power)], axis=-1)
""",
        {
            "variances forgotten": ("* var_center * size", "* size"),
            "variance of the size forgotten": ("offsets[..., 2:] * var_size", "offsets[..., 2:]"),
            "no limit where none is given": (
                "LARGEST_EXPONENT if max_exponent is None",
                "np.inf if max_exponent is None",
            ),
            "exp forgotten": ("size * np.exp(power)", "size * power"),
            "the center added without the size": ("* var_center * size", "* var_center"),
            "sizes replaced, not scaled": ("size * np.exp(power)", "np.exp(power)"),
            "a limit on shrinking too": (
                "np.minimum(offsets[..., 2:] * var_size, limit)",
                "np.clip(offsets[..., 2:] * var_size, -limit, limit)",
            ),
            "corners returned": (
                "np.concatenate([box_center, size * np.exp(power)], axis=-1)",
                "np.concatenate([box_center - size / 2, box_center + size / 2], axis=-1)",
            ),
        },
    ),
    "decode_backward": (
        """
def decode_backward(dcenter, offsets, default_boxes, max_exponent=None):
    _, size, var_center, var_size = (default_boxes[..., i : i + 2] for i in (0, 2, 4, 6))
    decoded = decode(offsets, default_boxes, max_exponent)[..., 2:]
    limit = LARGEST_EXPONENT if max_exponent is None else max_exponent
    dsize = dcenter[..., 2:] * var_size * decoded
    dsize = np.where(offsets[..., 2:] * var_size > limit, 0, dsize)
    return np.concatenate([dcenter[..., :2] * var_center * size, dsize], axis=-1)
""",
        {
            "variances forgotten": ("* var_center * size", "* size"),
            "the default's size for the decoded one": ("* var_size * decoded", "* var_size * size"),
            "the derivative of exp forgotten": ("* var_size * decoded", "* var_size"),
            "the limit lets the gradient pass": ("limit, 0, dsize)", "limit, dsize, dsize)"),
            "divided, as encode does": ("* var_center * size", "/ var_center / size"),
        },
    ),
    "nms": (
        """
def nms(boxes_corner, scores, iou_threshold=0.45, top_k=None):
    waiting = np.argsort(-scores, kind="stable")[:top_k]
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        overlap = iou_matrix(boxes_corner[[best]], boxes_corner[waiting])[0]
        waiting = waiting[~(overlap > iou_threshold)]
    return np.array(kept, np.int64)
""",
        {
            "dropped at the threshold": ("overlap > iou_threshold", "overlap >= iou_threshold"),
            "worst first": ("np.argsort(-scores", "np.argsort(scores"),
            "boxes not sorted": (
                'np.argsort(-scores, kind="stable")[:top_k]',
                "np.arange(len(scores))[:top_k]",
            ),
            "top_k of what is kept": ("[:top_k]\n    kept = []", "\n    kept = []"),
            "the overlapping ones kept": ("~(overlap >", "(overlap >"),
            "a mask, not indices": (
                "np.array(kept, np.int64)",
                "np.isin(np.arange(len(scores)), kept)",
            ),
            "a suppressed box still suppresses": (
                "    while len(waiting):\n"
                "        best, waiting = waiting[0], waiting[1:]\n"
                "        kept.append(best)\n"
                "        overlap = iou_matrix(boxes_corner[[best]], "
                "boxes_corner[waiting])[0]\n"
                "        waiting = waiting[~(overlap > iou_threshold)]\n",
                "    overlap = iou_matrix(boxes_corner, boxes_corner)\n"
                "    for k, i in enumerate(waiting):\n"
                "        if not (overlap[i, waiting[:k]] > iou_threshold).any():\n"
                "            kept.append(i)\n",
            ),
            "in the order of the input": (
                "np.array(kept, np.int64)",
                "np.sort(np.array(kept, np.int64))",
            ),
        },
    ),
}
