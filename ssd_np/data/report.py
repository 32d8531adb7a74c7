"""What the linter found: the problems of a data set, and its objects counted by class and size."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ssd_np.boxes.coords import area
from ssd_np.data.items import Problem

SMALL, LARGE = 32**2, 96**2  # square pixels; COCO's limits of small, medium and large objects


@dataclass
class Report:
    """All findings of a data set, and its objects counted by class and size.

    Counted is what would be trained on: no crowds, nothing that is left out.
    """

    images: int
    findings: list[Problem] = field(default_factory=list)
    sizes: dict[str, Counter] = field(default_factory=dict)  # class -> small, medium, large
    boxes: list[np.ndarray] = field(default_factory=list)  # (4,) each: corners of what was counted

    @property
    def drops(self) -> bool:
        """Whether training would go without something, or not at all."""
        return any(finding.effect != "kept" for finding in self.findings)

    def count(self, name: str, box_corner: np.ndarray, size: tuple[int, int]) -> None:
        """Counts an object of class `name`, its box (4,) inside an image (height, width)."""
        self.boxes.append(box_corner)
        pixels = area(box_corner) * size[0] * size[1]
        group = "small" if pixels < SMALL else "medium" if pixels < LARGE else "large"
        self.sizes.setdefault(name, Counter())[group] += 1

    def lines(self) -> list[str]:
        """For people: the findings, then a table of the objects."""
        out = [f"{f.place}: {f.what} [{f.kind}; {f.effect}]" for f in self.findings]
        effects = Counter(finding.effect for finding in self.findings)
        summary = ", ".join(f"{count} {effect}" for effect, count in effects.items())
        summary = f" ({summary})" if summary else ""
        out.append(f"{self.images} images, {len(self.findings)} findings{summary}")
        width = max([5, *map(len, self.sizes)])
        out.append(f"{'class':{width}} {'all':>7} {'small':>7} {'medium':>7} {'large':>7}")
        for name, sizes in sorted(self.sizes.items()):
            numbers = [sizes.total(), sizes["small"], sizes["medium"], sizes["large"]]
            out.append(f"{name:{width}} " + " ".join(f"{number:7}" for number in numbers))
        return out

    def as_dict(self) -> dict:
        """The same for JSON."""
        keys = {"kind": "kind", "effect": "effect", "file": "file", "object": "object_index"}
        keys |= {"class": "name", "what": "what"}
        findings = [{key: getattr(f, name) for key, name in keys.items()} for f in self.findings]
        objects = {name: dict(sizes) for name, sizes in sorted(self.sizes.items())}
        return {"images": self.images, "findings": findings, "objects": objects}
