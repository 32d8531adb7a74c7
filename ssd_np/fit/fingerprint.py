"""A data set's fingerprint: what the decisions of a training are made from, and nothing else.

All annotations count; of the pictures a few are decoded, drawn by a seed. These, and the objects in
them, are made small and grey, each with mean 0 and spread 1. Whether it matters which way up they
are follows from d, the difference of such a cutting and itself upside down: where it does not
matter, d is as likely as -d, and the square of the mean of n of them is 1 / n of their mean square.
"""

from dataclasses import dataclass
from itertools import combinations
from types import EllipsisType

import numpy as np

from ssd_np.checks import as_array
from ssd_np.data.image import resize
from ssd_np.data.items import AnnotatedDataset, Dataset
from ssd_np.errors import DataError, ShapeError
from ssd_np.records import Sample, Truth
from ssd_np.terminal import counted

Flip = tuple[EllipsisType | slice, ...]

LOOKS, OBJECTS = 128, 4  # pictures that are decoded, objects of each that are cut out
SIDE = 12  # of a cut-out object
ACROSS = (..., slice(None, None, -1))  # flips, of arrays that end in height and width
DOWN = (*ACROSS, slice(None))
TURNED = (*ACROSS, slice(None, None, -1))
SURE = 3 * 0.5  # standard errors of a rate among n, times the root of n
FEW = 5  # objects of a class from which on its mean says something


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What a data set looks like. Arrays are (N, ...) for images, (G, ...) for objects.

    shapes    (N, 2) heights and widths of the images
    boxes     (G, 4) corners in fractions of the image; crowds are left out
    labels    (G,) from 1
    images    (G,) which image an object is in
    light     how far the images' mean grey varies, in grey levels (standard deviation)
    contrast  how far the images' spread of grey varies, as a factor (exp of the log's deviation)
    colour    what colour alone says of an object's class: 0 nothing, 1 everything
    upright   how different images or objects look upside down; 1 is chance, more is difference
    mirror    how often mirrored objects of some class look more like those of another one than of
              their own, and the reverse, from 0 to 1, less what chance makes of few: arrows to the
              left and to the right
    tumble    the same upside down, or turned by half: arrows up and down; 6 and 9
    """

    class_names: tuple[str, ...]
    shapes: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    light: float = 0.0
    contrast: float = 1.0
    colour: float = 0.0
    upright: float = np.inf
    mirror: float = 0.0
    tumble: float = 0.0

    @property
    def weights(self) -> np.ndarray:
        """(G,) what an object counts: all classes the same, 1 in all."""
        return class_weights(self.labels)

    @property
    def objects(self) -> np.ndarray:
        """(G, 2) heights and widths in fractions of the image."""
        return (self.boxes[:, 2:] - self.boxes[:, :2])[:, ::-1]

    @property
    def looked_at(self) -> int:
        """Pictures with objects that `upright` is measured on."""
        return round(len(np.unique(self.images)) * min(1, LOOKS / max(1, len(self.shapes))))

    @property
    def spread(self) -> float:
        """By which factor objects of one class differ in size, usually (exp of the deviation)."""
        sizes = np.log(self.objects.prod(axis=1)) / 2
        middle = {label: np.median(sizes[self.labels == label]) for label in np.unique(self.labels)}
        apart = np.abs(sizes - np.array([middle[label] for label in self.labels]))
        return float(np.exp(1.48 * np.median(apart))) if len(apart) else 1.0

    def lines(self) -> list[str]:
        """For people."""
        images, objects = len(self.shapes), len(self.boxes)
        height, width = np.median(self.shapes, axis=0)
        low, middle, high = np.percentile(np.sqrt(self.objects.prod(axis=1)), (5, 50, 95))
        return [
            f"{counted(images, 'image')}, usually {width:.0f} x {height:.0f} pixels, "
            f"{counted(objects, 'object')} "
            f"({objects / images:.1f} an image), classes: {', '.join(self.class_names)}",
            f"objects take {low:.0%} to {high:.0%} of the image's side, half of them less than "
            f"{middle:.0%}; one class's differ in size by a factor of {self.spread:.2f}",
        ]


def class_weights(labels: np.ndarray) -> np.ndarray:
    """(G,) labels -> (G,) what an object counts: all classes the same, 1 in all."""
    labels = as_array(labels, "labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise ShapeError(f"labels are {labels.shape} {labels.dtype}", hint="whole numbers (G,)")
    counts = np.bincount(labels, minlength=1)[labels]
    return 1 / (counts * max(1, len(np.unique(labels))))


def fingerprint(dataset: Dataset, seed: int = 0) -> Fingerprint:
    """Reads it off a data set. DataError where no image has an object."""
    if not hasattr(dataset, "class_names"):
        raise DataError("has no class_names", f"data set {type(dataset).__name__}")
    count = len(dataset)
    chosen = np.random.default_rng(seed).permutation(count)[:LOOKS]
    samples = [dataset[int(i)] for i in chosen]
    truths = [_truth(dataset, i) for i in range(count)]
    kept = [~truth.crowd for truth in truths]
    boxes = np.concatenate([t.boxes_corner[k] for t, k in zip(truths, kept, strict=True)])
    if len(boxes) == 0:
        raise DataError("no image has an object", hint="there is nothing to fit to")
    usual = np.median([s.image.shape[:2] for s in samples], axis=0)
    greys = [np.asarray(s.image[::4, ::4], np.float32).mean(axis=2) for s in samples]
    spreads = [np.log(1 + grey.std()) for grey in greys]
    patches, labels, images = _cut_out(samples)
    shapes = _shapes(patches)
    return Fingerprint(
        tuple(dataset.class_names),
        np.array([usual if t.size is None else t.size for t in truths]),
        boxes,
        np.concatenate([t.labels[k] for t, k in zip(truths, kept, strict=True)]),
        np.repeat(np.arange(count), [k.sum() for k in kept]),
        float(np.std([grey.mean() for grey in greys])),
        float(np.exp(np.std(spreads))),
        _told_by_colour(patches, labels, images),
        max(
            _upright(_plain(patches), images),
            _upright(_plain(np.array([_small(s.image) for s in samples])), chosen),
        ),
        _becomes_another(shapes, labels, ACROSS),
        max(_becomes_another(shapes, labels, flip) for flip in (DOWN, TURNED)),
    )


def _truth(dataset: Dataset, index: int) -> Truth:
    """Of a data set that tells it without decoding the image, so; else with it."""
    if isinstance(dataset, AnnotatedDataset):
        return dataset.truth(index)
    return dataset[index].truth


def _cut_out(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first objects of each picture: (n, SIDE, SIDE, 3), labels (n,), pictures (n,)."""
    patches, labels, images = [], [], []
    for number, sample in enumerate(samples):
        height, width = sample.image.shape[:2]
        for row in np.flatnonzero(~sample.truth.crowd)[:OBJECTS]:
            x0, y0, x1, y1 = sample.truth.boxes_corner[row] * (width, height, width, height)
            patches.append(_small(sample.image, (x0, y0, x1, y1)))
            labels.append(sample.truth.labels[row])
            images.append(number)
    return np.reshape(patches, (-1, SIDE, SIDE, 3)), np.array(labels, int), np.array(images, int)


def _small(image: np.ndarray, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """All of an image (H, W, 3), or a box of it in pixels, as (SIDE, SIDE, 3)."""
    return resize(image, SIDE, SIDE, box=box).astype(np.float64)


def _plain(patches: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE, 3) -> grey (n, SIDE, SIDE), each with mean 0 and spread 1."""
    grey = patches.mean(axis=3)
    grey = grey - grey.mean(axis=(1, 2), keepdims=True)
    return grey / (grey.std(axis=(1, 2), keepdims=True) + 1e-6)


def _upright(grey: np.ndarray, images: np.ndarray) -> float:
    """Squared mean of the differences with upside down, in parts of what chance would give. Objects
    of one picture, which share its light, count as one."""
    differences = grey - grey[:, ::-1]
    each = np.array([differences[images == i].mean(axis=0) for i in np.unique(images)])
    square = np.mean(each**2) if len(each) else 0.0
    return float(len(each) * np.mean(each.mean(axis=0) ** 2) / square) if square else 1.0


def _shapes(patches: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE, 3) -> (n, 4, SIDE, SIDE): colours without light, and edges, which are there
    whether an object is lighter than what is behind it or darker."""
    planes = patches.transpose(0, 3, 1, 2)
    around = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across = around[..., 1:-1, 2:] - around[..., 1:-1, :-2]
    down = around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    edges = np.sqrt(across**2 + down**2).max(axis=1, keepdims=True)
    colours = planes - planes.mean(axis=(2, 3), keepdims=True)
    # edges weigh as much as the three colours
    parts = [weight * each / (each.std(axis=(1, 2, 3), keepdims=True) + 1e-6)
             for each, weight in ((colours, 1.0), (edges, 3**0.5))]  # fmt: skip
    return np.concatenate(parts, axis=1)


def _becomes_another(shapes: np.ndarray, labels: np.ndarray, flip: Flip) -> float:
    """Of the pair of classes that become each other most when `flip` (an index) is applied, how
    often they do: nearer to the other's mean than to their own, and as near as the other's objects
    are. The rarer way of the two counts, less three standard errors of a rate of one half."""
    classes = [shapes[labels == k] for k in np.unique(labels) if (labels == k).sum() > FEW]

    def rate(a: np.ndarray, b: np.ndarray) -> float:
        own, other = (_apart(a[flip], mean) for mean in (a.mean(axis=0), b.mean(axis=0)))
        usual = np.quantile(_apart(b, b.mean(axis=0)), 0.95)
        return float(((other < own) & (other <= usual)).mean() - SURE / len(a) ** 0.5)

    return max((min(rate(a, b), rate(b, a)) for a, b in combinations(classes, 2)), default=0.0)


def _apart(shapes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Squared distances (n,) of shapes from one."""
    return ((shapes - mean) ** 2).sum(axis=(1, 2, 3))


def _told_by_colour(patches: np.ndarray, labels: np.ndarray, images: np.ndarray) -> float:
    """Each object is given the class whose mean colour, in other pictures, is nearest to its own;
    how many are right, the classes counting the same, between chance and all."""
    middle = patches[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].mean(axis=(1, 2))
    share = middle / (middle.sum(axis=1, keepdims=True) + 1e-6)  # (n, 3): colour without light
    classes = [k for k in np.unique(labels) if len(np.unique(images[labels == k])) > 1]
    if len(classes) < 2:
        return 0.0
    right: dict[int, list[bool]] = {k: [] for k in classes}
    for i in np.flatnonzero(np.isin(labels, classes)):
        others = images != images[i]
        means = [share[others & (labels == k)].mean(axis=0) for k in classes]
        nearest = classes[int(np.argmin([np.sum((share[i] - mean) ** 2) for mean in means]))]
        right[labels[i]].append(nearest == labels[i])
    chance = 1 / len(classes)
    rate = float(np.mean([np.mean(found) for found in right.values()]))
    return max(0.0, (rate - chance) / (1 - chance))
