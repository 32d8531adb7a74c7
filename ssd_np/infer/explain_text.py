"""An explanation as text for people and as plain values for `json.dump`."""

import dataclasses
from typing import Any

import numpy as np

from ssd_np.boxes.default_boxes import cell_shapes
from ssd_np.config import Config, FeatureMapConfig
from ssd_np.infer.place import shapes
from ssd_np.infer.reports import Explanation, MiningReport, Place
from ssd_np.signatures import checked

SHOWN = 8  # lines of a list before "and so many more"


@checked
def to_json(explanation: Explanation) -> dict:
    """Plain values; of the config its name, of mining the losses on both sides of the cut."""
    values = {f.name: _plain(getattr(explanation, f.name)) for f in dataclasses.fields(explanation)}
    return values | {"config": explanation.config.name}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = [f.name for f in dataclasses.fields(value) if f.name != "losses"]
        return {name: _plain(getattr(value, name)) for name in fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


@checked
def to_text(explanation: Explanation) -> str:
    """Paragraph by paragraph: matches, neutral boxes, mining, detections, and what s' is."""
    lines = []
    if explanation.objects is not None:
        lines += _matching(explanation)
    if explanation.mining is not None:
        lines += _mining(explanation, explanation.mining)
    lines += [*_detections(explanation), "", *_names(explanation.config)]
    return "\n".join(lines)


@checked
def describe(place: Place, size: tuple[int, int]) -> str:
    """conv4_2 row 3 column 7 box s' (90 70 141 121), the corners in pixels of the image."""
    cell = f"{place.feature_map} row {place.row} column {place.column}"
    return f"{cell} box {place.shape:3} ({_pixels(place.corner, size)})"


def _pixels(corner: tuple, size: tuple[int, int]) -> str:
    height, width = size
    pixels = np.array(corner) * (width, height, width, height)
    return " ".join(str(round(v)) for v in pixels.tolist())


def _cut(lines: list[str]) -> list[str]:
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more


def _matching(explanation: Explanation) -> list[str]:
    size, lines = explanation.size, ["MATCHING: which default boxes stand for which object"]
    for item in explanation.objects or ():
        lines.append(f"object {item.index}, {item.name} ({_pixels(item.corner, size)})")
        pairs = ((match, describe(match.place, size)) for match in item.matches)
        lines += _cut([f"  IoU {match.iou:.4f}  {where}  {match.rule}" for match, where in pairs])
        if not item.matches:
            lines.append("  no default box: it overlaps none that is free")
        if item.runner_up:
            runner_up = item.runner_up
            where = describe(runner_up.place, size)
            lines.append(f"  IoU {runner_up.iou:.4f}  {where}  runner-up: {runner_up.reason}")
    limit = explanation.config.matching.neutral_threshold
    rule = "the config has no neutral zone" if limit is None else f"best IoU from {limit:g} on"
    neutral = [(n, describe(n.place, size)) for n in explanation.neutral or ()]
    lines.append(f"neutral boxes: {len(neutral)} ({rule})")
    lines += _cut([f"  IoU {n.iou:.4f} with object {n.object_index}  {at}" for n, at in neutral])
    return [*lines, ""]


def _mining(explanation: Explanation, mining: MiningReport) -> list[str]:
    rule = explanation.config.loss
    lines = [
        "MINING: which background boxes training would learn from",
        f"{mining.positives} positives, ratio {rule.ratio:g}, at least {rule.minimum_negatives}: "
        f"{mining.wanted} wanted, {len(mining.mined)} taken out of {len(mining.losses)}",
    ]
    if rule.mining == "batch":
        lines.append("(as if this image were the whole batch, over which this config mines)")
    if rule.focal_gamma is not None:
        lines.append("(this config mines none: its focal loss learns from every box)")
    return [*lines, *_cut(_negatives(mining, explanation.size)), *_the_cut(mining), ""]


def _negatives(mining: MiningReport, size: tuple[int, int]) -> list[str]:
    return [
        f"  rank {n.rank:3}  loss {n.loss:.3f}  {describe(n.place, size)}  "
        f"looks like {n.guess} ({n.score:.2f}), IoU {n.iou:.2f} with an object"
        for n in mining.mined
    ]


def _the_cut(mining: MiningReport) -> list[str]:
    if not mining.mined or mining.first_left_out is None:
        return []
    last, out = mining.mined[-1], mining.first_left_out
    share = float(mining.losses[: len(mining.mined)].sum() / mining.losses.sum())
    first, second = (f"rank {side.rank} costs {side.loss:.4f} and is" for side in (last, out))
    rest = f"those in hold {share:.0%} of all the background loss"
    return [f"the cut: {first} in, {second} out; {rest}"]


def _detections(explanation: Explanation) -> list[str]:
    size = explanation.size
    lines = [f"DETECTIONS with a score above {explanation.min_score:g}"]
    if not explanation.detections:
        lines.append("none")
    for i, found in enumerate(explanation.detections):
        offsets = " ".join(f"{v:.3f}" for v in found.offsets)
        variances = " ".join(f"{v:g}" for v in found.variances)
        lines += [
            f"detection {i}, {found.name} {found.score:.3f} ({_pixels(found.corner, size)})",
            f"  from {describe(found.place, size)}",
            f"  offsets {offsets}, variances {variances}",
            *(f"    {step}" for step in found.arithmetic),
        ]
        mine = [(s, describe(s.place, size)) for s in explanation.suppressed if s.by == i]
        words = "  suppressed {0.name} {0.score:.3f} at IoU {0.iou:.3f}, from {1}"
        lines += _cut([words.format(*pair) for pair in mine])
    return lines


def _names(config: Config) -> list[str]:
    lines = ["NAMES of a cell's boxes, with width x height in pixels of the network's input"]
    if any(isinstance(m, FeatureMapConfig) for m in config.feature_maps):
        lines.append(
            "s: side min_size. s': side sqrt(min_size * max_size). "
            "2: 2 times as wide as high, 1/2: 2 times as high as wide, both as large as s."
        )
    else:
        lines.append("A number is a box's side, or the root of its area; 2:1 is width to height.")
    for i, feature_map in enumerate(config.feature_maps):
        sizes = cell_shapes(config, i)  # (A, 2)
        names = [name for name, _ in shapes(feature_map, config.input.shape)]
        boxes = [f"{n} {w:.0f} x {h:.0f}" for n, (w, h) in zip(names, sizes, strict=True)]
        lines.append(f"  {feature_map.name:10} {'   '.join(boxes)}")
    return lines
