"""The confusion matrix, and detections with what is wrong with them."""

import numpy as np
from PIL import Image, ImageDraw

from ssd_np.evaluate.confusion import CONFUSED, MISSED, WRONG, Confusion, Outcome
from ssd_np.picture import BLACK, WHITE, draw_boxes, fitted, font_of
from ssd_np.records import Detections, Truth
from ssd_np.signatures import checked
from ssd_np.viz.canvas import Out, canvas
from ssd_np.viz.draw import scaled

WIDTH = 480  # pixels of a picture
MOST = 20  # classes that are drawn by name
MOST_LINES = 12  # mistakes that are told in words under a picture


@checked
def confusion_figure(found: Confusion, out: Out) -> None:
    """Objects by class in rows, what they were taken for in columns; the shade is the share of the
    row. Of more than 20 classes those with the most mistakes are drawn."""
    counts, names = found.matrix, found.class_names
    wrong = counts.sum(axis=0)[:-1] + counts.sum(axis=1)[:-1] - 2 * np.diag(counts)[:-1]  # (K,)
    shown = np.sort(np.argsort(-wrong, kind="stable")[:MOST])
    places = np.append(shown, len(names))
    counts = counts[np.ix_(places, places)]
    rows = [*(names[i] for i in shown), "background"]
    columns = [*(names[i] for i in shown), "missed"]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = 2.6 + 0.42 * len(rows)
    with canvas(out, side + 1, side) as figure:
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, size=8)
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        axes.set(xlabel="taken for", ylabel="is")
        title = f"score ≥ {found.min_score:g}, IoU ≥ {found.iou_threshold:g}"
        if len(shown) < len(names):
            title = f"the {MOST} most mistaken of {len(names)} classes\n{title}"
        axes.set_title(title, fontsize=10)


@checked
def draw_outcome(
    image: np.ndarray, found: Detections, truth: Truth, outcome: Outcome
) -> tuple[np.ndarray, np.ndarray]:
    """The objects, and what was detected, `found` best first, both 480 pixels wide.

    What is wrong has a number, an object and the detection that it is taken for the same one, and
    stands in words under the picture: names would cover what is small.
    """
    names = found.class_names
    tags, told = [0] * len(truth), dict[int, str]()
    for i, caption in enumerate(truth.captions(names)):
        by = int(outcome.by[i])
        if outcome.counted[i] and (by == MISSED or outcome.kinds[by] == CONFUSED):
            what = "missed" if by == MISSED else f"taken for {names[found.labels[by] - 1]}"
            tags[i] = len(told) + 1
            told[tags[i]] = f"{caption}: {what}"
    taken = {int(by): tag for by, tag in zip(outcome.by, tags, strict=True) if tag}
    marks, words, last = [0] * len(found), dict[int, str](), len(told)
    for d, (caption, kind) in enumerate(zip(found.captions(), outcome.kinds, strict=True)):
        if kind in WRONG:
            last += kind != CONFUSED
            marks[d] = taken[d] if kind == CONFUSED else last
            words[marks[d]] = f"{caption}: {kind}"
    return _numbered(image, truth, tags, told), _numbered(image, found, marks, words)


def _numbered(
    image: np.ndarray, things: Truth | Detections, numbers: list[int], words: dict[int, str]
) -> np.ndarray:
    """The boxes with their numbers (0: none), scaled, and under them what the numbers mean."""
    captions = [str(number or "") for number in numbers]
    picture = draw_boxes(image, things.boxes_corner, things.labels, captions)
    lines = [f"{number}  {text}" for number, text in sorted(words.items())]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more"]
    shown, font = scaled(picture, WIDTH), font_of(14)
    sheet = Image.new("RGB", (WIDTH, shown.height + 18 * len(lines)), WHITE)
    sheet.paste(shown)
    draw = ImageDraw.Draw(sheet)
    for i, line in enumerate(lines):
        place = 3, shown.height + 18 * i
        draw.text(place, fitted(line, font, WIDTH)[0], fill=BLACK, font=font)
    return np.asarray(sheet).copy()
