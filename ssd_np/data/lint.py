"""What is wrong with a data set, by file and object.

Wrong boxes are the most frequent cause of a loss that becomes NaN, and a missing file shows only
when its turn comes. The checks look at every file and every object once, go on after each finding,
and change nothing. Every finding says what it does to training:

    "stops"     the data set can not be opened, or fails when the image is read
    "left out"  the object, or the image with all its objects, is not trained on
    "kept"      training goes on with it; a person should look
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ssd_np.boxes.coords import area, clip
from ssd_np.data import coco, voc
from ssd_np.data.image import read_image, read_size
from ssd_np.data.voc import Problem
from ssd_np.data.voc_annotation import parse_annotation
from ssd_np.errors import DataError

SMALL, LARGE = 32**2, 96**2  # square pixels; COCO's limits of small, medium and large objects


@dataclass(frozen=True)
class Finding:
    """A problem, its kind in one or two words, and its effect on training (see above)."""

    kind: str
    effect: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.problem} [{self.kind}; {self.effect}]"


@dataclass
class Report:
    """All findings of a data set, and its objects counted by class and size.

    Counted is what would be trained on: no crowds, nothing that is left out.
    """

    images: int
    findings: list[Finding] = field(default_factory=list)
    sizes: dict[str, Counter] = field(default_factory=dict)  # class -> small, medium, large
    boxes: list[np.ndarray] = field(default_factory=list)  # (4,) each: corners of what was counted

    @property
    def drops(self) -> bool:
        """Whether training would go without something, or not at all."""
        return any(finding.effect != "kept" for finding in self.findings)

    def add(self, kind: str, effect: str, file: object, what: str, index=None, name="") -> None:
        self.findings.append(
            Finding(kind, effect, Problem(str(file), index, name, what, effect == "left out"))
        )

    def check_object(
        self,
        file: object,
        index: int,
        name: str,
        numbers: tuple[float, ...],
        box: np.ndarray,
        size: tuple[int, int],
        seen: dict[tuple, int],
        crowd: bool = False,
    ) -> None:
        """Counts one object, unless it is a crowd, and adds what is wrong with its box.

        numbers as annotated; box (4,) the same as corners in fractions, not clipped; size (height,
        width) of the image; seen the boxes of the image so far, with their objects' indices.
        """
        text = "box (" + ", ".join(f"{number:g}" for number in numbers) + ")"
        picture = f"the image of {size[1]} x {size[0]} pixels"
        sides, inside = box[2:] - box[:2], clip(box)
        if numbers in seen:
            what = f"{text} is that of object {seen[numbers]}, too"
            self.add("duplicate box", "kept", file, what, index, name)
        seen.setdefault(numbers, index)
        if min(sides) < 0:
            self.add("reversed box", "left out", file, f"{text} ends before it begins", index, name)
        elif min(sides) == 0:
            self.add("no area", "left out", file, f"{text} has no area", index, name)
        elif area(inside) == 0:
            self.add("outside", "left out", file, f"{text} lies outside {picture}", index, name)
        else:
            if not np.array_equal(box, inside):
                what = f"{text} reaches beyond {picture}; it is clipped"
                self.add("outside", "kept", file, what, index, name)
            if crowd:
                return
            self.boxes.append(inside)
            pixels = area(inside) * size[0] * size[1]
            group = "small" if pixels < SMALL else "medium" if pixels < LARGE else "large"
            self.sizes.setdefault(name, Counter())[group] += 1

    def lines(self) -> list[str]:
        """For people: the findings, then a table of the objects."""
        out = [str(finding) for finding in self.findings]
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
        findings = [
            {
                "kind": finding.kind,
                "effect": finding.effect,
                "file": finding.problem.file,
                "object": finding.problem.object_index,
                "class": finding.problem.name,
                "what": finding.problem.what,
            }
            for finding in self.findings
        ]
        objects = {name: dict(sizes) for name, sizes in sorted(self.sizes.items())}
        return {"images": self.images, "findings": findings, "objects": objects}


def check_voc(
    roots: str | Path | Sequence[str | Path],
    split: str | Sequence[str],
    class_names: Sequence[str] | None = None,
) -> Report:
    """Checks a VOC folder (or several, as VOCDataset takes them). With `class_names`, others are
    findings. Raises DataError only where there is nothing to check: no split, no image folder."""
    files = [files for pair in voc.pair_roots(roots, split) for files in voc.list_files(*pair)]
    report = Report(len(files))
    for xml, times in Counter(xml for _, xml, _ in files).items():
        if times > 1:
            report.add("duplicate image", "kept", xml, f"{times} times in the split")
    for name, xml, by_stem in tqdm(files, "check", unit="image", disable=None, leave=False):
        try:
            annotation = parse_annotation(xml)
        except DataError as error:
            report.add("annotation", "left out", error.where or xml, error.what)
            continue
        image = voc.find_image(name, annotation.filename, by_stem)
        size = _check_image(report, xml, image, bad_header="left out")
        if size is None:
            continue  # boxes can not be judged without it
        if annotation.size not in (None, size):
            said, true = (f"{w} x {h}" for h, w in (annotation.size, size))
            what = f"annotated as {said} pixels, the image is {true}; the image's size is used"
            report.add("size", "kept", xml, what)
        seen: dict[tuple, int] = {}
        for i, item in enumerate(annotation.objects):
            if class_names is not None and item.name not in class_names:
                what = f"unknown class; known: {', '.join(class_names)}"
                report.add("class", "stops", xml, what, i, item.name)
            box = voc.pixels_to_fractions(item.pixels, size)
            report.check_object(xml, i, item.name, item.pixels, box, size, seen)
    return report


def _check_image(
    report: Report, annotation: object, image: Path | None, bad_header: str
) -> tuple[int, int] | None:
    """(height, width) of an image, all of which is decoded; None and a finding if it fails."""
    if image is None:
        report.add("no image", "left out", annotation, "no image of this name")
        return None
    effect = bad_header
    try:
        read_size(image)
        effect = "stops"  # nobody looks at more than the header before the image's turn comes
        return read_image(image).shape[:2]
    except DataError as error:
        report.add("image", effect, image, error.what)
        return None


def check_coco(
    images: str | Path, annotations: str | Path, class_names: Sequence[str] | None = None
) -> Report:
    """Checks a COCO instances file and its images. With `class_names`, other classes are findings.
    Raises DataError if it is no such file."""
    path = Path(annotations)
    content = coco.read_instances(path)
    report = Report(len(content["images"]))
    names = _coco_categories(report, path, content["categories"], class_names)
    sizes: dict[int, tuple[int, int] | None] = {}  # None: the image can not be used
    bar = tqdm(content["images"], "check", unit="image", disable=None, leave=False)
    for i, record in enumerate(bar):
        where = f"{path}: image at position {i}"
        try:
            number = coco.field(record, "id", int, where)
            file = Path(images) / coco.field(record, "file_name", str, where)
            size = coco.image_size(record, where)
        except DataError as error:
            report.add("image record", "stops", error.where, error.what)
            continue
        if number in sizes:
            report.add("duplicate image", "stops", path, f"image id {number} occurs twice")
        where, there = f"{path}: image {number}", file if file.is_file() else None
        found = _check_image(report, where, there, bad_header="stops")
        sizes[number] = size if found else None
        if found and found != size:
            said, true = (f"{w} x {h}" for h, w in (size, found))
            report.add("size", "kept", file, f"annotated as {said} pixels, the image is {true}")
    _check_coco_objects(report, path, content["annotations"], names, sizes)
    return report


def _coco_categories(
    report: Report, path: Path, records: list, class_names: Sequence[str] | None
) -> dict[int, str]:
    """Names by id; findings for records that have none."""
    names: dict[int, str] = {}
    for i, record in enumerate(records):
        where = f"{path}: category at position {i}"
        try:
            number = coco.field(record, "id", int, where)
            name = coco.field(record, "name", str, where)
        except DataError as error:
            report.add("class", "stops", error.where, error.what)
            continue
        if not name.strip() or name in names.values() or number in names:
            report.add("class", "stops", where, f"id {number}, name {name!r}: empty or not unique")
        elif class_names is not None and name not in class_names:
            what = f"unknown class {name!r}; known: {', '.join(class_names)}"
            report.add("class", "stops", where, what)
        names[number] = name
    return names


def _check_coco_objects(
    report: Report,
    path: Path,
    records: list,
    names: dict[int, str],
    sizes: dict[int, tuple[int, int] | None],
) -> None:
    ids: set[int] = set()
    seen: dict[int, dict[tuple, int]] = {}  # of each image the boxes so far
    for i, record in enumerate(records):
        where = f"{path}: annotation at position {i}"
        try:
            number, image, category = (
                coco.field(record, key, int, where) for key in ("id", "image_id", "category_id")
            )
            pixels = coco.pixel_box(record, f"{path}: annotation {number}")
        except DataError as error:
            report.add("annotation", "stops", error.where, error.what)
            continue
        name = names.get(category, "")
        if number in ids:
            report.add("annotation", "stops", path, "its id occurs twice", number, name)
        ids.add(number)
        if category not in names:
            report.add("class", "stops", path, f"there is no category {category}", number)
        if image not in sizes:
            report.add("no image", "stops", path, f"there is no image {image}", number, name)
            continue
        if sizes[image] is None:
            continue  # goes with its image
        box = coco.pixels_to_fractions(pixels, sizes[image])
        in_image, crowd = seen.setdefault(image, {}), bool(record.get("iscrowd", 0))
        report.check_object(path, number, name, pixels, box, sizes[image], in_image, crowd)
