"""Detections and truths drawn on pictures (see ssd_np/picture.py), and sheets of such pictures."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ssd_np.checks import check_list, check_picture, check_whole
from ssd_np.errors import OutputError, ShapeError
from ssd_np.files import as_path, write_atomically
from ssd_np.picture import BLACK, WHITE, draw_boxes, enlarged, fitted, font_of
from ssd_np.records import Detections, Truth
from ssd_np.signatures import checked


def draw_detections(
    image: np.ndarray, detections: Detections, min_score: float = 0.5, min_side: int = 384
) -> np.ndarray:
    """The picture with a box and "name score" for each detection of at least `min_score`.

    `min_side`: see `draw_boxes`.
    """
    shown = detections.at_least(min_score)
    return draw_boxes(image, shown.boxes_corner, shown.labels, shown.captions(), min_side)


def draw_truth(
    image: np.ndarray, truth: Truth, class_names: Sequence[str], min_side: int = 384
) -> np.ndarray:
    """The picture with a box and the name of each annotated object; says what is not counted."""
    captions = truth.captions(class_names)
    return draw_boxes(image, truth.boxes_corner, truth.labels, captions, min_side)


# --- a sheet of pairs ----------------------------------------------------------------------------


def gallery(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray]],
    out_path: str | Path,
    header: str,
    pairs_across: int = 1,
    cell_width: int = 480,
) -> np.ndarray:
    """A sheet of pairs of pictures, written as a PNG and returned.

    rows          (caption, truth on the left, detections on the right); draw_truth, draw_detections
    pairs_across  pairs in a line; every picture is scaled to `cell_width` pixels
    """
    for name, number in (("pairs_across", pairs_across), ("cell_width", cell_width)):
        check_whole(number, name)
    check_list(rows, tuple, "rows")
    if not len(rows) or any(len(row) != 3 or not isinstance(row[0], str) for row in rows):
        raise ShapeError("a gallery needs at least one pair of pictures", hint="(caption, a, b)")
    if not isinstance(header, str):
        raise ShapeError(f"header is a {type(header).__name__}", hint="expected a text")
    out_path = as_path(out_path)
    pairs_across = min(pairs_across, len(rows))
    gap, large, small = 12, font_of(24), font_of(16)
    pairs = [(caption, scaled(a, cell_width), scaled(b, cell_width)) for caption, a, b in rows]
    lines = [pairs[i : i + pairs_across] for i in range(0, len(pairs), pairs_across)]
    heights = [max(max(a.height, b.height) for _, a, b in line) + 24 + gap for line in lines]
    pair_width = 2 * cell_width + gap // 2
    width = gap + pairs_across * (pair_width + 2 * gap) - gap
    sheet = Image.new("RGB", (width, 80 + sum(heights) + gap), WHITE)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, 10), fitted(header, large, width - gap)[0], fill=BLACK, font=large)
    top = 80
    for line, height in zip(lines, heights, strict=True):
        for column, (caption, left, right) in enumerate(line):
            x = gap + column * (pair_width + 2 * gap)
            draw.text((x, top), fitted(caption, small, pair_width)[0], fill=BLACK, font=small)
            for shown, title in ((left, "truth"), (right, "detections")):
                if top == 80:
                    draw.text((x, 52), title, fill=(90, 90, 90), font=small)
                sheet.paste(shown, (x, top + 24))
                x += cell_width + gap // 2
        top += height
    picture = np.asarray(sheet).copy()
    save_picture(picture, out_path)
    return picture


@checked
def scaled(image: np.ndarray, width: int) -> Image.Image:
    """The picture, so many pixels wide."""
    check_whole(width, "width")
    picture = enlarged(image, 1)
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def save_picture(picture: np.ndarray, out_path: str | Path) -> None:
    """Writes (H, W, 3) uint8 in the format of the file's ending; OutputError if that fails.

    A PNG is compressed lightly: a fifth larger than usual, in a fifth of the time.
    """
    buffer, picture = io.BytesIO(), check_picture(picture, "picture")
    out_path = as_path(out_path)
    try:
        ending = out_path.suffix.lower()
        kind = Image.registered_extensions().get(ending, ending)
        Image.fromarray(picture).save(buffer, kind, compress_level=1)
    except (OSError, TypeError, ValueError, KeyError) as error:
        hint = "is its ending known, its size one of the format, and is there memory for it?"
        raise OutputError(f"can not be written: {error}", str(out_path), hint) from error
    write_atomically(out_path, buffer.getvalue())
