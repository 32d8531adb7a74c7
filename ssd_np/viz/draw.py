"""Boxes, names and scores drawn on pictures, with Pillow alone.

Every function takes pictures (H, W, 3) uint8 RGB and returns a new one. A small picture is enlarged
by a whole factor, each pixel becoming a block, so that labels can be read and the pixels stay what
the detector saw. Line width and letters grow with the picture.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ssd_np.errors import OutputError, ShapeError
from ssd_np.files import write_atomically
from ssd_np.records import Detections, Truth

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


def draw_detections(
    image: np.ndarray, detections: Detections, min_score: float = 0.5, min_side: int = 384
) -> np.ndarray:
    """The picture with a box and "name score" for each detection of at least `min_score`.

    A picture whose shorter side is below `min_side` pixels is enlarged (1: never), as long as its
    longer one stays below 4096.
    """
    shown = [i for i in range(len(detections)) if detections.scores[i] >= min_score]
    shown.sort(key=lambda i: -detections.scores[i])
    captions = [
        f"{detections.names[detections.labels[i] - 1]} {detections.scores[i]:.2f}" for i in shown
    ]
    boxes, labels = np.asarray(detections.boxes_corner)[shown], np.asarray(detections.labels)[shown]
    return _draw(image, boxes, labels, captions, min_side)


def draw_truth(
    image: np.ndarray, truth: Truth, class_names: Sequence[str], min_side: int = 384
) -> np.ndarray:
    """The picture with a box and the name of each annotated object; says what is not counted."""
    captions = []
    for label, difficult, crowd in zip(truth.labels, truth.difficult, truth.crowd, strict=True):
        note = " (difficult)" * bool(difficult) + " (crowd)" * bool(crowd)
        captions.append(class_names[label - 1] + note)
    return _draw(image, truth.boxes_corner, truth.labels, captions, min_side)


# --- boxes and labels ----------------------------------------------------------------------------


def _draw(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    captions: list[str],
    min_side: int,
) -> np.ndarray:
    """All boxes first, then all labels, so that no line crosses a text; first in the list wins."""
    canvas = _enlarged(image, min_side)
    draw = ImageDraw.Draw(canvas)
    short = min(canvas.size)
    line, font = max(3, round(short / 250)), ImageFont.load_default(max(11, round(short / 30)))
    boxes = [_to_pixels(box, canvas.size) for box in boxes_corner]
    for box, label in reversed(list(zip(boxes, labels, strict=True))):
        draw.rectangle(box, outline=BLACK, width=line + 1)  # a dark rim: visible on any ground
        draw.rectangle(box, outline=class_color(int(label)), width=line)
    placed: list[Rectangle] = []
    for box, label, caption in zip(boxes, labels, captions, strict=True):
        text, size = _fitted(caption, font, canvas.width)
        spot = label_spot(box, size, canvas.size, placed)
        placed.append(spot)
        fill = class_color(int(label))
        draw.rectangle(spot, fill=fill)
        draw.text(
            ((spot[0] + spot[2] + 1) / 2, (spot[1] + spot[3] + 1) / 2),
            text,
            fill=_ink(fill),
            font=font,
            anchor="mm",
        )
    return np.asarray(canvas).copy()


def _enlarged(image: np.ndarray, min_side: int) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ShapeError(
            f"can not draw on an array {image.shape} of {image.dtype}",
            hint="expected (H, W, 3) uint8 RGB",
        )
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


def _fitted(caption: str, font: ImageFont.FreeTypeFont, width: int) -> tuple[str, tuple[int, int]]:
    """The caption, cut short if it is wider than the picture, and the size of its background."""
    ascent, descent = font.getmetrics()
    text = caption
    while font.getlength(text) + 6 > width and len(text) > 1:
        text = text.rstrip(".")[:-1] + ".."
        if text == "..":
            break
    return text, (min(width, round(font.getlength(text)) + 6), ascent + descent)


def label_spot(
    box: Rectangle, size: tuple[int, int], canvas: tuple[int, int], placed: list[Rectangle]
) -> Rectangle:
    """Above the box, in it, or below it: the first spot that hides least of the labels placed."""
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
    return min(spots, key=lambda spot: sum(_overlap(spot, other) for other in placed))


def _overlap(a: Rectangle, b: Rectangle) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    return max(0, width) * max(0, height)


def _ink(fill: Color) -> Color:
    """Black or white, whichever stands out more (WCAG 2 relative luminance)."""
    linear = [(c / 255) ** 2.2 for c in fill]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else WHITE


# --- a sheet of pairs ----------------------------------------------------------------------------


def gallery(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray]],
    out_path: str | Path,
    header: str,
    titles: tuple[str, str] = ("truth", "detections"),
    pairs_across: int = 1,
    cell_width: int = 480,
) -> np.ndarray:
    """A sheet of pairs of pictures, written as a PNG and returned.

    rows          (caption, left picture, right picture), e.g. from draw_truth and draw_detections
    titles        what stands over all left and over all right pictures
    pairs_across  pairs in a line; every picture is scaled to `cell_width` pixels
    """
    if not rows or pairs_across < 1:
        raise ShapeError("a gallery needs at least one pair of pictures and one pair in a line")
    pairs_across = min(pairs_across, len(rows))
    gap, large, small = 12, ImageFont.load_default(24), ImageFont.load_default(16)
    pairs = [(caption, _scaled(a, cell_width), _scaled(b, cell_width)) for caption, a, b in rows]
    lines = [pairs[i : i + pairs_across] for i in range(0, len(pairs), pairs_across)]
    heights = [max(max(a.height, b.height) for _, a, b in line) + 24 + gap for line in lines]
    pair_width = 2 * cell_width + gap // 2
    width = gap + pairs_across * (pair_width + 2 * gap) - gap
    sheet = Image.new("RGB", (width, 80 + sum(heights) + gap), WHITE)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, 10), _fitted(header, large, width - gap)[0], fill=BLACK, font=large)
    top = 80
    for line, height in zip(lines, heights, strict=True):
        for column, (caption, left, right) in enumerate(line):
            x = gap + column * (pair_width + 2 * gap)
            draw.text((x, top), _fitted(caption, small, pair_width)[0], fill=BLACK, font=small)
            for picture, title in ((left, titles[0]), (right, titles[1])):
                if top == 80:
                    draw.text((x, 52), title, fill=(90, 90, 90), font=small)
                sheet.paste(picture, (x, top + 24))
                x += cell_width + gap // 2
        top += height
    picture = np.asarray(sheet).copy()
    save_picture(picture, out_path)
    return picture


def _scaled(image: np.ndarray, width: int) -> Image.Image:
    picture = _enlarged(image, 1)
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def save_picture(picture: np.ndarray, out_path: str | Path) -> None:
    """Writes (H, W, 3) uint8 in the format of the file's ending; OutputError if that fails."""
    buffer = io.BytesIO()
    try:
        ending = Path(out_path).suffix.lower()
        Image.fromarray(picture).save(buffer, Image.registered_extensions().get(ending, ending))
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(f"can not be written: {error}", where=str(out_path)) from error
    write_atomically(out_path, buffer.getvalue())
