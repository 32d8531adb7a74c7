"""What is wrong with a data set, by file and object.

Wrong boxes are the most frequent cause of a loss that becomes NaN, and a missing file shows only
when its turn comes. The checks look at every file and every object once, decode every image, go on
after each finding, and change nothing. What a finding does to training is its effect: `items.py`.
"""

from collections.abc import Iterator, Sequence

from ssd_np.boxes.coords import clip
from ssd_np.data.decoding import undecodable
from ssd_np.data.items import Item, Problem, Source
from ssd_np.data.labels import similar_names
from ssd_np.data.report import Report
from ssd_np.data.stored import box_faults, header_of, place
from ssd_np.errors import DataError
from ssd_np.progress import Progress

MOST_PROBLEMS = 1_000_000  # a record of two bytes makes one, of hundreds of bytes


def check(source: Source, class_names: Sequence[str] | None = None) -> Report:
    """Checks the images and annotations of a source. With `class_names`, others are findings.

    Raises DataError where no image at all is found: one mistake, not one for each image.
    """
    report = Report(len(source))
    declared = source.class_names is not None
    if declared and class_names is not None:
        report.findings += unknown_classes(source, class_names)
    names: set[str] = set(source.class_names or ())
    found = list(_limited(source))
    # one that a list names very often is decoded once
    images = list(dict.fromkeys(item.image for item in found if isinstance(item, Item)))
    faults = {images[i]: what for i, what in undecodable(images).items()}
    with Progress(len(source), "check", "image", leave=False) as bar:
        for item in found:
            if isinstance(item, Problem):
                report.findings.append(item)
                continue
            bar.update()
            names.update(labelled.name for labelled in item.objects)
            known = None if declared else class_names
            check_item(report, item, source, known, faults.get(item.image))
    missing = [f for f in report.findings if f.kind == "no image" and f.effect == "left out"]
    if missing and len(missing) == len(source):  # the folder is wrong, not each of its files
        what = f"none of the {len(source)} images is there; the first: {missing[0].what}"
        raise DataError(what, where=str(source), hint="is it the folder of the images?")
    report.findings += similar_names(names, str(source))
    return report


def _limited(source: Source) -> Iterator[Item | Problem]:
    """Its items; DataError where there is something wrong with so many that nobody reads it."""
    count = 0
    for item in source.items():
        count += isinstance(item, Problem)
        if count > MOST_PROBLEMS:
            what = f"has over {MOST_PROBLEMS:,} problems, the last: {item}"
            raise DataError(what, str(source), "is it data of this format?")
        yield item


def unknown_classes(source: Source, class_names: Sequence[str]) -> Iterator[Problem]:
    """Of the classes that the source declares those that are not in `class_names`."""
    for name in source.class_names or ():
        if name not in class_names:
            what = f"unknown class {name!r}; known: {', '.join(class_names)}"
            yield Problem("class", "stops", str(source), what)


def check_item(
    report: Report,
    item: Item,
    source: Source,
    class_names: Sequence[str] | None,
    undecoded: str | None,
) -> None:
    """Judges the boxes of one image, and counts those that are trained on; `undecoded` is what the
    decoder had against the image."""
    header = header_of(item)
    if isinstance(header, Problem):
        report.findings.append(header)
        return  # boxes can not be judged without a size
    if undecoded:
        report.findings.append(Problem("image", "left out", str(item.image), undecoded))
        return
    boxes, problem = place(item, header, source.annotated_size)
    if problem:
        report.findings.append(problem)
    seen: dict[tuple[float, ...], int] = {}
    faults = box_faults(item, boxes, header.size)
    for labelled, box, fault in zip(item.objects, clip(boxes), faults, strict=True):
        index, name, numbers = labelled.object_index, labelled.name, tuple(labelled.numbers)
        if class_names is not None and name not in class_names:
            what = f"unknown class; known: {', '.join(class_names)}"
            report.findings.append(Problem("class", "stops", item.where, what, index, name))
        if numbers in seen:
            what = "box (" + ", ".join(f"{n:g}" for n in numbers) + ")"
            what = f"{what} is that of object {seen[numbers]}, too"
            report.findings.append(Problem("duplicate box", "kept", item.where, what, index, name))
        seen.setdefault(numbers, index)
        if fault:
            report.findings.append(fault)
        if not (labelled.crowd or (fault and fault.left_out)):
            report.count(name, box, header.size)
