"""What follows from a fingerprint: each decision a pure function of it, with its reason.

All return a pair, the value and a sentence for people. The numbers in capitals are the rules.
"""

import numpy as np

from ssd_np.checks import check_axes, check_whole
from ssd_np.config import (
    TIMED_STEPS,
    AugmentationConfig,
    Brightness,
    Contrast,
    Crop,
    Expand,
    Hue,
    Saturation,
)
from ssd_np.errors import ConfigError
from ssd_np.fit.boxes import ENOUGH, chance_to_match
from ssd_np.fit.fingerprint import Fingerprint
from ssd_np.geometry import Size
from ssd_np.signatures import checked
from ssd_np.terminal import counted

SIDES = (256, 320, 384)  # of an input, were it square
SMALLEST = 192  # from random weights, where steps are worth more than pixels
LARGER = range(448, 1025, 64)  # that are advised where these are too small
FEW_MATCHED = 0.9  # of the objects, below which that is said
FINEST = (8.0, 8.0)  # pixels between the cells of the shallowest map
MULTIPLE = 32  # of which an input's sides are: whole cells on most maps
ONE_WAY = 0.8  # of the images lie, or stand, before the input does
OBLONG, MOST_OBLONG = 1.15, 2.0  # width / height from which on, and up to which
UPRIGHT, MIRRORED, COLOURFUL = 2.0, 0.5, 0.3  # see Fingerprint
SAME = 0.02  # share of how pictures differ from themselves upside down that all may have in common
ZOOM = 1.2  # factor between sizes of one class from which on a zoom is worth while
LEAST_ZOOM, MOST_ZOOM = 2.0, 3.0  # and of the zoom, then
STILL_MATCHED = 0.95  # of the objects, after zooming out
LIGHT, CONTRAST = 5.0, 1.1  # variations that are worth a change of light
MANY_IMAGES = 5000  # of which each is seen a few times only
USUAL, SCRATCH = "small", "scratch"  # presets; the base of the first comes with the package
BATCH = 8
RATE, RATE_NORMALISED = 0.01, 0.02  # learning rates for a batch of 8
MOST_PASSES, FEWEST_STEPS = 300, 1000
KNOWN = 0.3  # of the rate for the layers of a base: few images would teach them the images by heart
TUNED = 0.5  # of these rates, for a detector that is tuned
WARM_UP = TIMED_STEPS  # those of a training by minutes, which can not know how many follow
AVERAGE = 0.1  # of the steps, see train/average.py
LEAST_SCORE = 0.001  # that counts in metrics: few images teach to give what is new a low one


def network(given: str | None, from_scratch: bool) -> tuple[str, str]:
    """The preset whose layers are trained, where no network is given: that of the base, or the one
    that learns most without."""
    if given:
        return given, f"network {given}"
    if from_scratch:
        return SCRATCH, f"network {SCRATCH}: full convolutions, which learn most without a base"
    return USUAL, f"network {USUAL}: separable convolutions, which come with a base"


@checked
def proportions(shapes: np.ndarray) -> tuple[float, str]:
    """Width / height of the input, from heights and widths (N, 2) of the images."""
    check_axes(shapes, "shapes", None, 2)
    ratios = shapes[:, 1] / shapes[:, 0]
    ratio = float(np.clip(np.median(ratios), 1 / MOST_OBLONG, MOST_OBLONG))
    lying, standing = np.mean(ratios > 1), np.mean(ratios < 1)
    if ratio >= OBLONG and lying >= ONE_WAY:
        return ratio, f"{lying:.0%} of the images are landscape"
    if ratio <= 1 / OBLONG and standing >= ONE_WAY:
        return ratio, f"{standing:.0%} of the images are portrait"
    return 1.0, "the images are square, or lie and stand"


@checked
def input_shape(f: Fingerprint, from_scratch: bool = False) -> tuple[Size, str]:
    """Height and width of the input: the fewest pixels on which small objects can be matched."""
    ratio, why = proportions(f.shapes)
    for side in (SMALLEST, *SIDES) if from_scratch else SIDES:
        shape = of_area(side, ratio)
        share = matchable(f, shape)
        if share >= ENOUGH:
            break
    cost = shape[0] * shape[1] / SIDES[0] ** 2
    times = f"{cost:.2g} times" if abs(cost - 1) > 0.05 else "about"
    return shape, (
        f"input {shape[1]} x {shape[0]} (width x height): {why}; the finest cells can match "
        f"{share:.1%} of the objects; {times} the arithmetic of 256 x 256"
    )


@checked
def matchable(f: Fingerprint, shape: Size, smaller: float = 1.0) -> float:
    """The share of the objects that the finest cells can match, made smaller by a factor."""
    return float(chance_to_match(f.objects * shape / smaller, FINEST) @ f.weights)


@checked
def too_small(f: Fingerprint, shape: Size) -> list[str]:
    """A warning where this input shows many objects too small: which one would not, if the pictures
    have its pixels, and what it costs."""
    share = matchable(f, shape)
    if share >= FEW_MATCHED:
        return []
    what = f"warning: {1 - share:.0%} of the objects are too small for this input"
    pixels, area = float(np.median(f.shapes.prod(axis=1))), shape[0] * shape[1]
    larger = [of_area(side, shape[1] / shape[0]) for side in LARGER]
    larger = [(h, w) for h, w in larger if area < h * w <= pixels]
    if not larger:
        return [
            f"{what}, and the pictures have few pixels more: cut out what matters, or go closer"
        ]
    height, width = next((s for s in larger if matchable(f, s) >= ENOUGH), larger[-1])
    rate, cost = matchable(f, (height, width)), height * width / area
    return [
        f"{what}: train with --size {width}x{height}, where the finest cells can match {rate:.0%}, "
        f"at {cost:.2g} times the arithmetic and memory"
    ]


@checked
def of_area(side: int, ratio: float) -> Size:
    """Height and width with about the area of a square, in whole multiples."""
    if not 0 < ratio < MULTIPLE:
        raise ConfigError(f"ratio is {ratio!r}", hint="width / height of an input")
    height, width = side / ratio**0.5, side * ratio**0.5
    return MULTIPLE * round(height / MULTIPLE), MULTIPLE * round(width / MULTIPLE)


@checked
def augmentation(f: Fingerprint, shape: Size) -> tuple[AugmentationConfig, list[str]]:
    """As much variety as the data has itself, and no flip that makes something else."""
    across, down, why_flips = flips(f)
    crop, expand, why_zoom = zoom(f, shape)
    (brightness, contrast, saturation, hue), why_light = light(f)
    chosen = AugmentationConfig(
        brightness, contrast, saturation, hue, 0.0, expand, crop, across, down
    )
    return chosen, [why_flips, why_zoom, why_light]


@checked
def flips(f: Fingerprint) -> tuple[float, float, str]:
    """Probabilities of the flip left-right and of the flip upside down."""
    if f.mirror > MIRRORED:
        return 0.0, 0.0, "no flips: mirrored, objects of one class look like those of another"
    if f.tumble > MIRRORED:
        why = "flips left and right; upside down, objects of one class look like those of another"
        return 0.5, 0.0, why
    if f.upright > UPRIGHT:
        return 0.5, 0.0, "flips left and right; upside down these pictures look different"
    # of n pictures u = 1 + n * share, give or take 1: the share may be as large as this
    if f.upright + 1 > SAME * f.looked_at:
        few = counted(f.looked_at, "picture")
        return 0.5, 0.0, f"flips left and right; {few} can not tell whether upside down is the same"
    return 0.5, 0.5, "flips both ways: upside down these pictures look the same"


@checked
def zoom(f: Fingerprint, shape: Size) -> tuple[Crop, Expand, str]:
    """Zooming in and out where the objects of a class differ in size anyway, and further than half
    of them do: few pictures show all sizes (docs/fitting.md has what that gains)."""
    factor = float(np.clip(f.spread, LEAST_ZOOM, MOST_ZOOM))
    none = Crop(probability=0.0), Expand(probability=0.0)
    if len(f.shapes) > MANY_IMAGES:
        return *none, f"no zoom: with {len(f.shapes):,} images each is seen a few times only"
    # the deviation of n logarithms is known to a share of 1 / sqrt(2 n) of it, give or take
    most = f.spread ** (1 + 2 / (2 * len(f.labels)) ** 0.5)
    if most < ZOOM:
        return *none, f"no zoom: objects of one class have one size (a factor of {f.spread:.2f})"
    crop = Crop(0.5, scale=(1 / factor, 1.0))
    if matchable(f, shape, factor) < STILL_MATCHED:
        return crop, none[1], f"zooms in by up to {factor:.2f}; zoomed out, objects are too small"
    why = f"zooms in and out by up to {factor:.2f}, as objects of one class differ in size"
    why += "" if f.spread >= ZOOM else f", or may: {counted(len(f.labels), 'object')} can not tell"
    return crop, Expand(0.5, factor), why


@checked
def light(f: Fingerprint) -> tuple[tuple[Brightness, Contrast, Saturation, Hue], str]:
    """Changes of light, as far as the images differ; of colour where it does not tell classes."""
    levels, factor, colour = min(f.light, 32), min(f.contrast, 1.5), 0.5 * (f.colour <= COLOURFUL)
    brightness = Brightness(0.5 * (levels >= LIGHT), -levels, levels)
    contrast = Contrast(0.5 * (factor >= CONTRAST), 1 / factor, factor)
    words = (
        f"{levels:.0f} grey levels of brightness" * (levels >= LIGHT),
        f"a factor of {factor:.2f} in contrast" * (factor >= CONTRAST),
    )
    told = " and ".join(filter(None, words))
    lights = f"{told}, as images differ" if told else "no light: images hardly differ in it"
    kept = "are changed, too" if colour else f"stay: alone they tell {f.colour:.0%} of the classes"
    changes = (brightness, contrast, Saturation(colour), Hue(colour))
    return changes, f"changes {lights}; colours {kept}"


@checked
def learning_rate(
    normalised: bool, batch: int = BATCH, slower: float = 1.0, base: float = 1.0
) -> tuple[float, str]:
    """The rate grows with the batch; batch normalisation bears more; what is known moves slower:
    a whole detector, or the part of it that a base brings."""
    rate = (RATE_NORMALISED if normalised else RATE) * batch / 8 * slower
    kind = "with" if normalised else "without"
    why = f"learning rate {rate:g}: batches of {batch}, {kind} batch normalisation"
    why += ", for a detector that knows something" if slower < 1 else ""
    return rate, why + (f"; {base:g} of it for the base, which knows something" if base < 1 else "")


@checked
def steps(
    images: int, affordable: int | None, minutes: float = 0.0, batch: int = BATCH
) -> tuple[int, str]:
    """As many as the time allows, but no image more often than is of use; all that are of use while
    nobody knows how many `minutes` allow."""
    check_whole(images, "images")
    check_whole(batch, "batch")
    useful = max(FEWEST_STEPS, MOST_PASSES * images // batch)
    if affordable is None:
        what = f"as many steps as {counted(minutes, 'minute')} allow{'s' if minutes == 1 else ''}"
        what += f", at most {useful:,}"
        many = counted(images, "image")
        return useful, f"{what}: {MOST_PASSES} passes over {many} are enough"
    count = min(affordable, useful)
    passes = count * batch / images
    limit = "the time" if count == affordable else f"{MOST_PASSES} passes are enough"
    over = f"{counted(round(passes, 1), 'pass', 'passes')} over {counted(images, 'image')}"
    return count, f"{counted(count, 'step')}, {over}: {limit}"
