"""Boxes with captions on a picture, with Pillow alone; and a picture as HTML, for notebooks.

A picture is (H, W, 3) uint8 RGB and is never drawn on itself. A small one is enlarged by a whole
factor, each pixel becoming a block, so that captions can be read and the pixels stay what the
detector saw. Line width and letters grow with the picture.
"""

import base64
import colorsys
import functools
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ssd_np.checks import as_array, check_list, check_whole
from ssd_np.errors import OutputError, ShapeError

Color = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in pixels

# Okabe and Ito, "Color Universal Design" (2008), ordered so that neighbours differ most
OKABE_ITO: tuple[Color, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
    (204, 121, 167),  # reddish purple
)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
MOST_ENLARGED = 4096  # pixels of the longer side
MOST_DRAWN = 1000  # boxes: beyond, nothing can be told apart, and time grows with their square


def class_color(label: int) -> Color:
    """The colour of a class (labels from 1): seven that colour-blind eyes tell apart, then more.

    Beyond seven, hues a golden section apart in two brightnesses: the name on the box must help.
    """
    if label <= len(OKABE_ITO):
        return OKABE_ITO[label - 1]
    extra = label - len(OKABE_ITO)
    value = (0.6, 1.0)[extra % 2]
    # starting at 0.66 keeps the next 13 furthest from the first seven and from each other
    red, green, blue = colorsys.hsv_to_rgb((0.66 + extra * 0.618034) % 1, 1.0, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    captions: Sequence[str],
    min_side: int = 384,
) -> np.ndarray:
    """The picture with a box (G, 4) and a caption for each label (G,).

    A picture whose shorter side is below `min_side` pixels is enlarged (1: never), as long as its
    longer one stays below 4096. All boxes come first, then all captions but empty ones, so that no
    line crosses a text; where captions meet, the first in the list wins. Of more than 1,000 boxes
    the first are drawn.
    """
    boxes_corner, labels = as_array(boxes_corner, "boxes_corner"), as_array(labels, "labels")
    floats = boxes_corner.dtype.kind in "fiu" and boxes_corner.shape[1:] == (4,)
    if not floats or not np.isfinite(boxes_corner).all():
        raise ShapeError("can not draw a box that is not finite", hint="expected fractions (G, 4)")
    check_list(captions, str, "captions")
    known = labels.dtype.kind in "iu" and len(labels.shape) == 1 and labels.min(initial=0) >= 0
    if not known or not len(boxes_corner) == len(labels) == len(captions):
        raise ShapeError("no label or caption for each box", hint="labels (G,), whole numbers")
    drawn = slice(MOST_DRAWN)
    boxes_corner, labels, captions = boxes_corner[drawn], labels[drawn], captions[drawn]
    canvas = enlarged(image, min_side)
    draw = ImageDraw.Draw(canvas)
    short = min(canvas.size)
    line, font = max(3, round(short / 250)), font_of(max(11, round(short / 30)))
    boxes = [_to_pixels(box, canvas.size) for box in boxes_corner]
    for box, label in reversed(list(zip(boxes, labels, strict=True))):
        draw.rectangle(box, outline=BLACK, width=line + 1)  # a dark rim: visible on any ground
        draw.rectangle(box, outline=class_color(int(label)), width=line)
    placed: list[Rectangle] = []
    for box, label, caption in zip(boxes, labels, captions, strict=True):
        if not caption:
            continue
        text, size = fitted(caption, font, canvas.width)
        spot = label_spot(box, size, canvas.size, placed, boxes)
        placed.append(spot)
        x0, y0, x1, y1 = spot
        fill, middle = class_color(int(label)), ((x0 + x1 + 1) / 2, (y0 + y1 + 1) / 2)
        draw.rectangle(spot, fill=fill)
        draw.text(middle, text, fill=_ink(fill), font=font, anchor="mm")
    return np.asarray(canvas).copy()


def enlarged(image: np.ndarray, min_side: int) -> Image.Image:
    """The picture, its shorter side at least `min_side` pixels if the longer one allows."""
    check_whole(min_side, "min_side")
    image = as_array(image, "image")
    if image.ndim == 2 or image.shape[2:] == (1,):  # grey
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        hint = "expected (H, W, 3) uint8 RGB, or grey (H, W)"
        raise ShapeError(f"can not draw on an array {image.shape} of {image.dtype}", hint=hint)
    short, long = sorted(image.shape[:2])
    # a panorama of a few rows must not become gigabytes
    factor = max(1, min(-(-min_side // short), MOST_ENLARGED // long))
    return Image.fromarray(image.repeat(factor, axis=0).repeat(factor, axis=1))


def _to_pixels(box: np.ndarray, size: tuple[int, int]) -> Rectangle:
    """Corner fractions to pixels inside the picture."""
    width, height = size
    pixels = np.clip(box, 0, 1) * (width - 1, height - 1, width - 1, height - 1)
    left, top, right, bottom = np.round(pixels).astype(int).tolist()
    return left, top, max(left, right), max(top, bottom)


def font_of(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's, which has the letters of Europe (Pillow's own lacks ä and ß), or where its file
    is somewhere else, Pillow's; OutputError where Pillow can draw neither."""
    try:
        file = _font_file()
        font = ImageFont.truetype(file, size) if file else ImageFont.load_default(size)
    except ImportError:
        font = None
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OutputError("this Pillow was built without FreeType", hint="pip install pillow")
    return font


@functools.cache
def _font_file() -> str | None:
    """DejaVu Sans in matplotlib's folder, without importing matplotlib: that takes 0.2 s."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return str(path) if os.path.isfile(path) else None


def fitted(caption: str, font: ImageFont.FreeTypeFont, width: int) -> tuple[str, tuple[int, int]]:
    """The caption, cut short if it is wider than the picture, and the size of its background."""
    ascent, descent = font.getmetrics()
    text = caption
    while font.getlength(text) + 6 > width and len(text) > 1:
        text = text.rstrip(".")[:-1] + ".."
        if text == "..":
            break
    return text, (min(width, round(font.getlength(text)) + 6), ascent + descent)


def label_spot(
    box: Rectangle,
    size: tuple[int, int],
    canvas: tuple[int, int],
    placed: Sequence[Rectangle],
    boxes: Sequence[Rectangle] = (),
) -> Rectangle:
    """Above the box, in it, or below it: the first spot that hides least of the labels placed, and
    of such spots least of the boxes."""
    (left, top, right, bottom), (width, height) = box, size
    corners = [
        (left, top - height), (left, top), (right - width, top - height), (right - width, top),
        (left, bottom), (left, bottom - height), (right - width, bottom),
    ]  # fmt: skip
    spots = []
    for x, y in corners:
        x = min(max(x, 0), canvas[0] - width)
        y = min(max(y, 0), max(0, canvas[1] - height))
        spots.append((x, y, x + width - 1, y + height - 1))
    labels, things = (np.reshape(some, (-1, 4)) for some in (placed, boxes))
    return min(spots, key=lambda spot: (_hidden(spot, labels), _hidden(spot, things)))


def _hidden(spot: Rectangle, others: np.ndarray) -> int:
    """Pixels of other rectangles (N, 4) under the spot."""
    low, high = np.maximum(spot[:2], others[:, :2]), np.minimum(spot[2:], others[:, 2:])
    return int(np.clip(high - low + 1, 0, None).prod(axis=1).sum())


def _ink(fill: Color) -> Color:
    """Black or white, whichever stands out more (WCAG 2 relative luminance)."""
    linear = [(c / 255) ** 2.2 for c in fill]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


def as_html(picture: np.ndarray) -> str:
    """An <img> that carries its pixels: notebooks, and pages made of them, show it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img style="max-width: 100%" src="data:image/png;base64,{data}">'
