"""The data set behind `--data` (see `data/sources.py`), and what was left out of it."""

import contextlib
from collections import Counter
from collections.abc import Sequence

from ssd_np.config import LossConfig
from ssd_np.data.class_folders import FolderDataset
from ssd_np.data.items import Item, Problem, Source
from ssd_np.data.labels import label_map
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.shared import shared_images
from ssd_np.data.sources import FOLDER, SHAPES, describe, open_source
from ssd_np.data.splits import SEED
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import DataError, NoSuchSplit
from ssd_np.terminal import counted, listed, note

TRAIN_SHAPES, EVAL_SHAPES = 10_000, 500  # images; painted on the fly, nothing is stored
SEED_APART = 1_000_003  # evaluation draws its pictures from seeds that training does not use
PROBLEMS_SHOWN = 5
NOTHING = "there is no object to learn from"
FEW_OBJECTS = 5  # of a class to learn from
CAN_BE_NONE = ("--eval-split", "--val-split")
KEPT = {  # kinds of problems that training goes on with
    "size": "images of another size than annotated",
    "turned": "images with a camera's turn to look at",
    "class": "classes that look like one",
    "duplicate image": "images that are listed twice and taken once",
    "outline": "files with outlines, of which the boxes are used",
}

Dataset = ShapesDataset | StoredDataset
PretrainingData = Dataset | FolderDataset


def training_data(
    spec: str,
    split: str,
    seed: int,
    strict: bool = False,
    keep_difficult: bool = True,
    classes: Sequence[str] | None = None,
    others: Sequence[str | None] = (),
) -> Dataset:
    """The data set to train on, with all or some `classes`; `strict` refuses one with problems.
    What only its splits `others` have are classes, too."""
    if spec == SHAPES:
        return ShapesDataset(seed, TRAIN_SHAPES, classes)
    names = _names_found(spec, split, others) if classes is None else None
    dataset = _stored(spec, split, names, strict, keep_difficult, classes=classes, learns=True)
    seen = {label for i in range(len(dataset)) for label in dataset.truth(i).labels}
    for label, name in enumerate(classes or (), 1):
        if label not in seen:
            raise DataError(f"there is no object of class {name!r}", describe(spec, split))
    return dataset


def evaluation_data(
    spec: str,
    split: str,
    class_names: Sequence[str] | None,
    seed: int = 0,
    strict: bool = False,
    option: str = "--split",
    classes: Sequence[str] | None = None,
) -> Dataset:
    """The data set to evaluate on; if `class_names` are given, its objects must be of these. With
    `classes`, objects of others are passed over. `option` is what names the split on the command
    line, for messages."""
    if spec == SHAPES:
        return ShapesDataset(seed + SEED_APART, EVAL_SHAPES, classes)
    return _stored(spec, split, class_names, strict, option=option, classes=classes)


def unseen_data(
    spec: str,
    split: str | None,
    option: str,
    class_names: Sequence[str],
    seed: int,
    strict: bool = False,
    classes: Sequence[str] | None = None,
) -> Dataset | None:
    """Data to measure a training on; None for no split and for the split "none"."""
    if split in (None, "none"):
        return None
    return evaluation_data(spec, split, class_names, seed, strict, option, classes)


def class_folders(
    spec: str, split: str, eval_split: str | None
) -> tuple[PretrainingData, PretrainingData | None, str]:
    """Of a folder of pictures for each class what to learn from, what to count right answers on
    (`val` unless another is named), and what that is called."""
    folder = spec.removeprefix(FOLDER)
    learned = FolderDataset(folder, split)
    other = eval_split or "val"
    unseen = None if other == "none" else FolderDataset(folder, other, learned.class_names)
    told: dict[str, list[str]] = {}  # of which splits
    for part, data in ((split, learned), (other, unseen)):
        for problem in data.problems if data else ():
            told.setdefault(problem, []).append(part)
    for problem, parts in list(told.items())[:PROBLEMS_SHOWN]:
        note(f"{describe(spec, '+'.join(parts))}: {problem}")
    return learned, unseen, describe(spec, other)


def tell_shared(
    known: PretrainingData | None, other: PretrainingData | None, purpose: str, use: str
) -> None:
    """Says how many images that it is `purpose` are images that it `use`, if any are."""
    shared = shared_images(known, other)
    if other is not None and shared:
        what = f"{shared} of the {len(other)} images that it is {purpose}"
        note(f"note: {what} are images that it {use}")


def tell_idle(dataset: Dataset, rule: LossConfig) -> None:
    """Says how many images teach nothing: those without objects, if no negative is mined there."""
    mined = rule.minimum_negatives or rule.mining == "batch" or rule.focal_gamma is not None
    if isinstance(dataset, StoredDataset) and not mined:
        idle = sum(not len(dataset.truth(i)) for i in range(len(dataset)))
        if idle:
            what = f"{idle} of the {len(dataset)} images have no object, and teach nothing so"
            note(f"note: {what}; loss.minimum_negatives of the config (3) changes that")


def tell_classes(learned: Dataset, chosen_by: Dataset | None, measured: Dataset | None) -> None:
    """Says which classes have hardly an object to learn from, which may be a name that was typed
    wrong, and which can not be chosen by or measured for want of one."""
    for data, purpose, few in (
        (learned, "learns from", FEW_OBJECTS),
        (chosen_by, "is chosen by", 1),
        (measured, "is evaluated on", 1),
    ):
        if not isinstance(data, StoredDataset):
            continue
        truths = [data.truth(i) for i in range(len(data))]
        objects = Counter(name for t in truths for name in t.labels[~t.crowd].tolist())
        rare = [(k, n) for n, k in enumerate(data.class_names, 1) if objects[n] < few]
        if rare:
            told = listed([f"{name!r} ({objects[n]})" for name, n in rare], PROBLEMS_SHOWN)
            what = f"of the {len(data.class_names)} classes {len(rare)} have fewer than"
            note(f"note: {what} {counted(few, 'object')} in the images that it {purpose}: {told}")


def describe_evaluation(spec: str, split: str) -> str:
    """For people: which images these are."""
    return f"{EVAL_SHAPES} generated images" if spec == SHAPES else describe(spec, split)


def some_images(source: Source, spec: str, split: str) -> Source:
    """The source; DataError for one without an image."""
    if not len(source):
        raise DataError("there are no images", describe(spec, split))
    return source


def category_ids(dataset: Dataset) -> list[int]:
    """The id in COCO's files of each of `dataset.class_names`."""
    if isinstance(dataset, StoredDataset):
        return dataset.category_ids
    return list(range(1, len(dataset.class_names) + 1))


def image_ids(dataset: Dataset) -> Sequence[int | str]:
    """The id in COCO's files of each image: its own, in VOC its name, else its number from 1."""
    if isinstance(dataset, StoredDataset):
        return dataset.image_ids
    return list(range(1, len(dataset) + 1))


def _names_found(spec: str, split: str, others: Sequence[str | None]) -> list[str] | None:
    """Where data does not list its classes: those of all these splits, as far as they exist, so
    that one which only evaluation has is known, and missed. None where nothing is to be added."""
    names: set[str] = set()
    apart = [other for other in others if other not in (None, "none", split)]
    for name in (split, *filter(None, apart)) if apart else ():
        with contextlib.suppress(NoSuchSplit):  # it is missed where it is needed
            source = open_source(spec, name)
            if source.class_names:
                return None
            items = (item for item in source.items() if isinstance(item, Item))
            names |= {labelled.name for item in items for labelled in item.objects}
    return sorted(names) or None


def _stored(
    spec: str,
    split: str,
    class_names: Sequence[str] | None,
    strict: bool,
    keep_difficult: bool = True,
    option: str = "--split",
    classes: Sequence[str] | None = None,
    learns: bool = False,
) -> StoredDataset:
    try:
        source = some_images(open_source(spec, split, classes), spec, split)
    except NoSuchSplit as error:
        none = " (none: do without)" if option in CAN_BE_NONE else ""
        hint = f"{option} names it{none}; {error.hint}"
        raise NoSuchSplit(error.what, error.where, hint) from error
    known = None if source.class_names else class_names
    dataset = StoredDataset(source, known, keep_difficult)
    if class_names is not None:
        label_map(dataset.class_names, class_names)  # an unknown class shows now, not later
    dataset.leave_out_undecodable()
    if dataset.drawn:
        drawn = f"{len(dataset)} of {sum(map(len, dataset.drawn.values()))} images, drawn by seed"
        note(f"{describe(spec, split)}: {drawn} {SEED}, for the data brings no split")
    empty = not any(len(dataset.truth(i)) for i in range(len(dataset)))
    if dataset.problems:
        _tell(dataset.problems, spec, split, strict, empty, learns)
    if empty and learns:
        raise DataError(NOTHING, describe(spec, split), "it would learn nothing")
    return dataset


def _tell(
    problems: list[Problem], spec: str, split: str, strict: bool, empty: bool, learns: bool
) -> None:
    """Says once what was left out, with the count and the first few; or refuses. Where it leaves
    the data `empty` the first is enough, for the others are mostly like it."""
    gone = [p for p in problems if p.left_out]
    objects = sum(p.object_index is not None for p in gone)
    kept = Counter(p.kind for p in problems if not p.left_out)
    counts = {"objects left out": objects, "images left out": len(gone) - objects}
    counts |= {KEPT.get(kind, kind): count for kind, count in kept.items()}
    summary = ", ".join(f"{what}: {count}" for what, count in counts.items() if count)
    listing = f"`ssd-np check-data {spec} --split {split}` lists all"
    first = gone + [p for p in problems if not p.left_out]
    if strict:
        hint = f"first: {first[0]}; {listing}; without --strict they are left out"
        raise DataError(f"has problems: {summary}", where=describe(spec, split), hint=hint)
    if empty and gone:
        hint = f"the first that was left out: {first[0]}; {summary}; {listing}"
        if learns:
            raise DataError(NOTHING, describe(spec, split), hint)
        note(f"{describe(spec, split)}: no object is left; {hint}")
        return
    note(f"{describe(spec, split)}: {summary}")
    for problem in first[:PROBLEMS_SHOWN]:
        note(f"  {problem}")
    if len(first) > PROBLEMS_SHOWN:
        note(f"  and {len(first) - PROBLEMS_SHOWN} more; {listing}")
