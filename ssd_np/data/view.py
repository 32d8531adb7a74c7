"""Looking at an image through a view, which may reach beyond it.

A *view* (left, top, right, bottom), in whole pixels of an image, says what is to be seen of the
plane on which the image lies. Expanding enlarges the view, cropping makes it smaller; the pixels
are touched once, at the end. So an expansion never fills a canvas of 16 times the image's area, of
which the crop that follows takes a corner.
"""

from typing import Literal

import numpy as np

from ssd_np.data.image import resize
from ssd_np.geometry import Size, pair


def whole(image: np.ndarray) -> np.ndarray:
    """The view (4,) of all of an image."""
    return np.array([0, 0, image.shape[1], image.shape[0]])


def look(image: np.ndarray, view: np.ndarray, fill: tuple[float, ...]) -> np.ndarray:
    """What a view (4,) shows of an image, in its own size; `fill` where there is no image."""
    left, top, right, bottom = view
    canvas = np.empty((bottom - top, right - left, image.shape[2]), image.dtype)
    canvas[0] = np.rint(fill) if image.dtype == np.uint8 else fill
    canvas[1:] = canvas[0]  # rows are copied much faster than pixels
    height, width = image.shape[:2]
    x0, x1 = np.clip((left, right), 0, width)  # of the image
    y0, y1 = np.clip((top, bottom), 0, height)
    canvas[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return canvas


def look_resized(
    image: np.ndarray,
    view: np.ndarray,
    size: int | Size,
    fill: tuple[float, ...],
    method: Literal["antialias", "half_pixel"],
) -> np.ndarray:
    """`resize(look(image, view, fill), *size, method)`, the canvas left out: (height, width, 3).

    `size` is a side or (height, width).
    Only the pixels of the result into which the image reaches are computed, from the image and a
    margin as wide as the filter; the others have the colour `fill`.
    """
    height, width = pair(size)
    (x0, x1, left, right, box_x) = _touched(view[0], view[2], image.shape[1], width)
    (y0, y1, top, bottom, box_y) = _touched(view[1], view[3], image.shape[0], height)
    kind = np.uint8 if method == "antialias" else np.float32
    out = np.empty((height, width, image.shape[2]), kind)
    out[0] = np.rint(fill) if image.dtype == np.uint8 else fill
    out[1:] = out[0]
    if x0 < x1 and y0 < y1:
        patch = look(image, np.array([left, top, right, bottom]), fill)
        box = (box_x[0], box_y[0], box_x[1], box_y[1])
        out[y0:y1, x0:x1] = resize(patch, y1 - y0, x1 - x0, method, box)
    return out


def _touched(
    low: int, high: int, length: int, size: int
) -> tuple[int, int, int, int, tuple[float, float]]:
    """Along one axis, where `size` pixels show [low, high) of a plane with an image in [0, length):

    the first and last + 1 of those into which the image reaches, the pixels [start, end) of the
    plane that they need, and the range that they stand for, counted from `start`.
    """
    step = (high - low) / size
    reach = max(step, 1.0) + 1  # half the width of the filter, and one for roundings
    first = int(np.clip(np.floor((-reach - low) / step), 0, size))
    last = int(np.clip(np.ceil((length + reach - low) / step), 0, size))
    start = max(low, int(np.floor(low + first * step - reach)))
    end = min(high, int(np.ceil(low + last * step + reach)))
    shown = (low + first * step - start, min(low + last * step, end) - start)
    return first, last, start, end, shown
