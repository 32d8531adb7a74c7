"""The parts of an explanation: what `infer/explain.py` finds out, as plain records.

Boxes are fractions of the image; a `corner` may leave it, where a default box does.
"""

from dataclasses import dataclass, field

import numpy as np

from ssd_np.config import Config

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Place:
    """Where a default box comes from. Boxes are fractions of the image, `corner` as it stands."""

    index: int  # among all default boxes
    feature_map: str
    row: int
    column: int
    shape: str  # which of the cell's boxes: "s", "s'", "2", "1/2", ...
    meaning: str  # of the shape, in words and numbers
    center: Box
    corner: Box


@dataclass(frozen=True)
class MatchedBox:
    """A default box that stands for an object, and by which rule."""

    place: Place
    iou: float
    rule: str  # "best of its object" or "IoU of at least 0.5"


@dataclass(frozen=True)
class RunnerUp:
    """The best default box that does not stand for an object, and why not."""

    place: Place
    iou: float
    reason: str


@dataclass(frozen=True)
class ObjectReport:
    """An annotated object and the default boxes that stand for it, best first."""

    index: int
    name: str
    corner: Box
    matches: tuple[MatchedBox, ...]
    runner_up: RunnerUp | None


@dataclass(frozen=True)
class NeutralBox:
    """A default box too near to an object to be background, too far to stand for it."""

    place: Place
    iou: float
    object_index: int


@dataclass(frozen=True)
class Negative:
    """A background box: its rank from 1 by what it costs as background, and what it looks like."""

    rank: int
    place: Place
    loss: float
    guess: str  # the likeliest class that is no background
    score: float  # of the guess
    iou: float  # with the nearest object


@dataclass(frozen=True)
class MiningReport:
    """Which background boxes training would use. `losses` are those of all, costliest first."""

    positives: int
    wanted: int  # max(ratio * positives, minimum)
    mined: tuple[Negative, ...]
    first_left_out: Negative | None  # the other side of the cut
    losses: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class DetectionReport:
    """A detection and the default box and offsets it was decoded from."""

    name: str
    score: float
    corner: Box  # clipped to the image, as detections are
    place: Place
    offsets: Box
    variances: Box
    arithmetic: tuple[str, ...]  # cx, cy, w, h


@dataclass(frozen=True)
class SuppressedReport:
    """A box that scored but was dropped: it overlaps detection `by` (an index) by `iou`."""

    name: str
    score: float
    place: Place
    by: int | None  # None: by a detection that itself is beyond the best top_k
    iou: float


@dataclass(frozen=True)
class Explanation:
    """All of it. What needs the truth is None without one."""

    config: Config
    size: tuple[int, int]  # (height, width) of the image in pixels
    min_score: float
    objects: tuple[ObjectReport, ...] | None
    neutral: tuple[NeutralBox, ...] | None
    mining: MiningReport | None
    detections: tuple[DetectionReport, ...]
    suppressed: tuple[SuppressedReport, ...]
