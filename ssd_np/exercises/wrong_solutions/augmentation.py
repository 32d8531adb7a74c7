"""Exercises on augmentation as a student may solve them, and the usual slips: (right, wrong)."""

SOLUTIONS = {
    "brightness_and_contrast": (
        """
def brightness(image, delta):
    return image + np.array(delta, image.dtype)

def contrast(image, factor):
    return image * np.array(factor, image.dtype)
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
                "image + np.random.uniform(-delta, delta, image.shape).astype(image.dtype)",
            ),
            "contrast around the mean": (
                "image * np.array(factor, image.dtype)",
                "image.mean() + (image - image.mean()) * np.array(factor, image.dtype)",
            ),
            "contrast around middle grey": (
                "image * np.array(factor, image.dtype)",
                "128 + (image - 128) * np.array(factor, image.dtype)",
            ),
            "brightness into the input": (
                "    return image + np.array(delta, image.dtype)",
                "    image += np.array(delta, image.dtype)\n    return image",
            ),
            "contrast into the input": (
                "    return image * np.array(factor, image.dtype)",
                "    image *= np.array(factor, image.dtype)\n    return image",
            ),
            "from float32 to float64": (
                "image * np.array(factor, image.dtype)",
                "image * np.array([factor])",
            ),
            "only brighter, never darker": ("np.array(delta,", "np.array(abs(delta),"),
            "the factor added, the number multiplied": (
                "image + np.array(delta, image.dtype)",
                "image * np.array(1 + delta / 255, image.dtype)",
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
            "a full turn is 180 degrees": ("degrees / 60) % 6", "degrees / 60) % 3"),
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
def lighting_noise(image, order):
    return np.stack([image[:, :, k] for k in order], axis=2)

def draw_order(rng):
    order = [0, 1, 2]
    while order == [0, 1, 2]:
        order = [int(k) for k in rng.permutation(3)]
    return order
""",
        {
            "the inverse order": ("for k in order]", "for k in np.argsort(order)]"),
            "channels only pushed round": (
                "[int(k) for k in rng.permutation(3)]",
                "np.roll([0, 1, 2], rng.integers(3)).tolist()",
            ),
            "the present order among them": (
                "    while order == [0, 1, 2]:\n        order =",
                "    if True:\n        order =",
            ),
            "a channel twice": ("rng.permutation(3)", "rng.integers(3, size=3)"),
            "only two channels exchanged": (
                "[int(k) for k in rng.permutation(3)]",
                "[[0, 2, 1], [1, 0, 2], [2, 1, 0]][rng.integers(3)]",
            ),
            "rows for channels": (
                "np.stack([image[:, :, k] for k in order], axis=2)",
                "image[[*order, *range(3, len(image))]]",
            ),
            "into the input": (
                "    return np.stack([image[:, :, k] for k in order], axis=2)",
                "    image[...] = np.stack([image[:, :, k] for k in order], axis=2)\n"
                "    return image",
            ),
            "always red and blue": ("[int(k) for k in rng.permutation(3)]", "[2, 1, 0]"),
            "noise added": (
                "np.stack([image[:, :, k] for k in order], axis=2)",
                "np.stack([image[:, :, k] + k for k in order], axis=2).astype(image.dtype)",
            ),
            "drawn from NumPy's own generator": ("rng.permutation(3)", "np.random.permutation(3)"),
        },
    ),
    "flips": (
        """
def mirror_x(boxes_corner):
    boxes = boxes_corner.copy()
    boxes[:, 0] = 1 - boxes_corner[:, 2]
    boxes[:, 2] = 1 - boxes_corner[:, 0]
    return boxes

def mirror_y(boxes_corner):
    boxes = boxes_corner.copy()
    boxes[:, 1] = 1 - boxes_corner[:, 3]
    boxes[:, 3] = 1 - boxes_corner[:, 1]
    return boxes
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
            "rows and columns swapped": (
                "boxes[:, 0] = 1 - boxes_corner[:, 2]\n    boxes[:, 2] = 1 - boxes_corner[:, 0]",
                "boxes[:, 1] = 1 - boxes_corner[:, 3]\n    boxes[:, 3] = 1 - boxes_corner[:, 1]",
            ),
            "turned by half": (
                "    boxes[:, 3] = 1 - boxes_corner[:, 1]\n",
                "    boxes[:, 3] = 1 - boxes_corner[:, 1]\n"
                "    boxes[:, [0, 2]] = 1 - boxes_corner[:, [2, 0]]\n",
            ),
            "the minus sign alone": ("1 - boxes_corner[:, 2]", "-boxes_corner[:, 2]"),
            "put back where it was": (
                "boxes[:, 1] = 1 - boxes_corner[:, 3]\n    boxes[:, 3] = 1 - boxes_corner[:, 1]",
                "boxes[:, [1, 3]] = 1 - (1 - boxes_corner[:, [1, 3]])",
            ),
            "into the input": (
                "boxes = boxes_corner.copy()\n    boxes[:, 0] = 1 - boxes_corner[:, 2]\n"
                "    boxes[:, 2] = 1 - boxes_corner[:, 0]",
                "boxes = boxes_corner\n    boxes[:, [0, 2]] = 1 - boxes_corner[:, [2, 0]]",
            ),
        },
    ),
    "expand": (
        """
def draw_canvas(size, rng, max_ratio):
    height, width = size
    ratio = 1 + (max_ratio - 1) * rng.random()
    rows, columns = int(height * ratio), int(width * ratio)
    top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
    x, y = left / width, top / height
    return np.array([-x, -y, columns / width - x, rows / height - y])

def into_window(boxes_corner, window):
    x0, y0, x1, y1 = window
    width, height = x1 - x0, y1 - y0
    moved = boxes_corner - np.array([x0, y0, x0, y0])
    return moved / np.array([width, height, width, height])
""",
        {
            "the boxes stay": (
                "return moved / np.array([width, height, width, height])",
                "return boxes_corner.copy()",
            ),
            "boxes smaller but not moved": (" - np.array([x0, y0, x0, y0])", ""),
            "boxes moved but not smaller": (" / np.array([width, height, width, height])", ""),
            "x and y swapped": ("np.array([x0, y0, x0, y0])", "np.array([y0, x0, y0, x0])"),
            "width and height swapped": (
                "np.array([width, height, width, height])",
                "np.array([height, width, height, width])",
            ),
            "only the near corner moved": (
                "np.array([x0, y0, x0, y0])",
                "np.array([x0, y0, 0, 0])",
            ),
            "moved the other way": ("boxes_corner - np", "boxes_corner + np"),
            "clipped": ("return moved /", "return moved.clip(0, 1) /"),
            "into the input": (
                "moved = boxes_corner - np.array",
                "moved = boxes_corner\n    moved -= np.array",
            ),
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
                "rng.integers(max(1, rows - height)), rng.integers(max(1, columns - width))",
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
            "broken pixels": (
                "top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)",
                "top, left = rng.uniform(0, rows - height), rng.uniform(0, columns - width)",
            ),
            "the window in pixels": (
                "return np.array([-x, -y, columns / width - x, rows / height - y])",
                "return np.array([-left, -top, columns - left, rows - top])",
            ),
            "the window in fractions of the canvas": (
                "return np.array([-x, -y, columns / width - x, rows / height - y])",
                "return np.array([left, top, left + width, top + height])"
                " / (columns, rows, columns, rows)",
            ),
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
            "a corner for the centre": ("(xmin + xmax) / 2, (ymin + ymax) / 2", "xmin, ymin"),
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
def draw_patch(size, boxes_corner, rng, rule):
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    candidates = []
    for minimum in rule.min_ious:
        if minimum == 1:
            candidates.append((whole, 1.0))
        else:
            patches = draw_patches(size, rng, rule)
            for patch, good in zip(patches, patches_pass(patches, boxes_corner, minimum)):
                if good:
                    candidates.append((patch, minimum))
                    break
    if len(candidates) == 0:
        return whole, 1.0
    return candidates[rng.integers(len(candidates))]

def keep_centred(boxes_corner, labels, window):
    centre = (boxes_corner[:, :2] + boxes_corner[:, 2:]) / 2
    keep = ((centre > window[:2]) & (centre < window[2:])).all(axis=1)
    x0, y0, x1, y1 = window
    size = np.array([x1 - x0, y1 - y0] * 2)
    boxes = (boxes_corner[keep] - [x0, y0, x0, y0]) / size
    boxes = boxes.clip(0, 1)
    return boxes, labels[keep]
""",
        {
            "never rejects": ("                if good:", "                if True:"),
            "a minimum first, whole if it is not met": (
                "    return candidates[rng.integers(len(candidates))]",
                "    minimum = rule.min_ious[rng.integers(len(rule.min_ious))]\n"
                "    return dict((m, (p, m)) for p, m in candidates).get(minimum, (whole, 1.0))",
            ),
            "the last patch stays if none passes": (
                "                    break\n",
                "                    break\n"
                "            else:\n"
                "                candidates.append((patches[-1], minimum))\n",
            ),
            "every patch that passes is a candidate": ("                    break\n", ""),
            "never the whole picture": ("candidates.append((whole, 1.0))", "pass"),
            "1 a minimum like others": ("if minimum == 1:", "if minimum > 1:"),
            "the first that can be met": (
                "candidates[rng.integers(len(candidates))]",
                "candidates[0]",
            ),
            "always the strictest minimum": (
                "candidates[rng.integers(len(candidates))]",
                "max(candidates, key=lambda c: c[1])",
            ),
            "the whole picture is told as no minimum": (
                "candidates.append((whole, 1.0))",
                "candidates.append((whole, 0.0))",
            ),
            "no crop without objects": (
                "    candidates = []\n",
                "    candidates = []\n    if len(boxes_corner) == 0:\n        return whole, 1.0\n",
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
            "the edge counts": (
                "(centre > window[:2]) & (centre < window[2:])",
                "(centre >= window[:2]) & (centre <= window[2:])",
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
        },
    ),
}
