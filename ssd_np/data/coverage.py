"""How well the default boxes cover the objects of a data set.

A default box stands for an object if their IoU reaches the matching threshold (SSD paper, section
2.2). Where none does, the object is too small, too large or too thin for the boxes of the config.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ssd_np.boxes.checks import check_boxes
from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.checks import check_kind
from ssd_np.config import Config
from ssd_np.engine import select

SIDES = (0, 8, 16, 32, 64, 128, 256, np.inf)  # pixels of the network's input
RATIOS = (0, 1 / 3, 1 / 1.5, 1.5, 3, np.inf)  # width / height, as the network sees it
RATIO_NAMES = ("tall, over 3:1", "tall", "about square", "wide", "wide, over 3:1")


@dataclass(frozen=True)
class Coverage:
    """The best IoU (G,) of each object with any default box, and the objects in groups.

    A group: its name, the number of its objects, the share that no default box covers, the mean
    best IoU. An object that no box covers still gets one: the best, by bipartite matching. That is
    one example a step, of a box that has far to go.
    """

    threshold: float
    best_iou: np.ndarray
    sizes: np.ndarray  # (G,) root of the area, in pixels of the network's input
    by_size: list[tuple[str, int, float, float]]
    by_ratio: list[tuple[str, int, float, float]]

    @property
    def uncovered(self) -> float:
        """Share of the objects whose best IoU is below the threshold."""
        return float(np.mean(self.best_iou < self.threshold)) if len(self.best_iou) else 0.0

    def lines(self) -> list[str]:
        """For people: one line in all, one for each group."""
        few = f"{int(np.sum(self.best_iou < self.threshold))} of {len(self.best_iou)} objects"
        rule = f"have no default box with an IoU of {self.threshold:g} or more"
        out = [f"{few} ({self.uncovered:.1%}) {rule}"]
        for title, groups in (("size in the input", self.by_size), ("shape", self.by_ratio)):
            out.append(f"{title:20} {'objects':>8} {'uncovered':>10} {'best IoU, mean':>15}")
            for name, count, share, mean in groups:
                out.append(f"{name:20} {count:8} {share:10.1%} {mean:15.2f}")
        return out

    def as_dict(self) -> dict:
        """The same for JSON."""
        keys = ("name", "objects", "uncovered", "mean_best_iou")
        return {
            "threshold": self.threshold,
            "objects": len(self.best_iou),
            "uncovered": self.uncovered,
            "best_iou": [round(float(iou), 4) for iou in self.best_iou],
            "by_size": [dict(zip(keys, group, strict=True)) for group in self.by_size],
            "by_ratio": [dict(zip(keys, group, strict=True)) for group in self.by_ratio],
        }


def coverage(boxes_corner: np.ndarray, config: Config) -> Coverage:
    """How well the default boxes of `config` fit objects (G, 4), in fractions of their images.

    Seen without augmentation, which moves the objects to other sizes.
    """
    check_kind(config, Config, "config")
    boxes = check_boxes(boxes_corner, "boxes_corner").astype(np.float64).reshape(-1, 4)
    defaults, ops = center_to_corner(default_boxes(config)[:, :4]), select()  # (T, 4)
    # a thousand objects at a time: with 8732 default boxes, all of COCO would fill the memory
    parts = [boxes[i : i + 1000] for i in range(0, len(boxes), 1000)]
    ious = [ops.iou_matrix(part, defaults).max(axis=1) for part in parts]
    best = np.concatenate([np.empty(0), *ious])  # (G,)
    image = config.input.shape[::-1]  # width, height
    width, height = (boxes[:, 2:] - boxes[:, :2]).T * np.reshape(image, (2, 1))  # pixels
    side = np.sqrt(width * height)
    size_names = [f"{low:g} to {high:g} px" for low, high in pairwise(SIDES)]
    size_names[-1] = f"over {SIDES[-2]:g} px"
    threshold = config.matching.threshold

    def groups(
        values: np.ndarray, edges: Sequence[float], names: Sequence[str]
    ) -> list[tuple[str, int, float, float]]:
        """The objects between two edges each; empty groups are left out."""
        group_of = np.digitize(values, edges[1:-1])  # (G,)
        parts = [(name, best[group_of == group]) for group, name in enumerate(names)]
        return [(name, len(ious), float(np.mean(ious < threshold)), float(ious.mean()))
                for name, ious in parts if len(ious)]  # fmt: skip

    by_size = groups(side, SIDES, size_names)
    return Coverage(threshold, best, side, by_size, groups(width / height, RATIOS, RATIO_NAMES))
