"""Cases: what the library answers, as JSON, to hold another implementation against.

    python tests/explore/cases.py cases.json

A file is {"format": 1, "cases": [...]}; a case is

    function   the library's name, such as "match"
    catches    a sentence: which mistake shows here
    given      its arguments by name; arrays are nested lists, no value is null
    expected   what the library answers, in the same way; a dict where it answers several things

Whole numbers must be equal, other numbers within 1e-4. Boxes are fractions of the image, images
are (H, W, C), kernels (kh, kw, C, Co). Some cases were written by hand, for a mistake that is often
made; the others are drawn, and search for the mistakes that nobody thought of.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ssd_np.boxes.codec import decode, encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import match, match_iou
from ssd_np.boxes.nms import nms
from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.image import preprocess, resize
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.explore.described import described
from ssd_np.infer.detect import Detector
from ssd_np.loss.mining import mine_hard_negatives
from ssd_np.loss.multibox import multibox_loss
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward
from ssd_np.model.ssd import SSD
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.nn.depthwise import depthwise_backward, depthwise_forward
from ssd_np.nn.l2norm import l2norm_backward, l2norm_forward
from ssd_np.nn.pool import max_pool2d_backward, max_pool2d_forward
from ssd_np.nn.relu import activation_backward, activation_forward
from ssd_np.nn.softmax import log_softmax_forward, softmax
from ssd_np.records import Truth

DRAWN = 25  # cases of each strategy


def case(function, catches, expected, **arguments):
    return {
        "function": function,
        "catches": catches,
        "given": plain(arguments),
        "expected": plain(expected),
    }


def plain(value):
    """Arrays as nested lists, tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.astype(int).tolist() if value.dtype == bool else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def drawn(strategy, count=DRAWN):
    """`count` values of a strategy, the same ones every time."""
    values = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(value):
        values.append(value)

    collect()
    return values


# --- strategies ----------------------------------------------------------------------------------

EIGHTHS = st.integers(0, 8).map(lambda k: k / 8)  # few places, so that overlaps are often equal
ANYWHERE = st.floats(-0.5, 1.5, allow_nan=False).map(lambda v: round(v, 4))


@st.composite
def boxes(draw, place=ANYWHERE, most=5, least=0):
    """(N, 4) corners with some area; `place` draws a coordinate."""
    rows = []
    for _ in range(draw(st.integers(least, most))):
        x, y = (sorted(draw(st.lists(place, min_size=2, max_size=2, unique=True))) for _ in "xy")
        rows.append([x[0], y[0], x[1], y[1]])
    return np.reshape(rows, (-1, 4)).astype(np.float64)


SEEDS = st.integers(0, 2**32 - 1)


# --- boxes ---------------------------------------------------------------------------------------


def box_cases():
    for name in ("tiny", "small", "ssd300_voc", "ssd300_coco"):
        config = load_config(name)
        every = default_boxes(config)
        rows = np.r_[0:12, len(every) // 2 : len(every) // 2 + 12, len(every) - 12 : len(every)]
        yield case(
            "default_boxes",
            f"the order of the boxes of {name}: map, row, column, shape; x runs along the columns",
            {"count": len(every), "rows": every[rows]},
            config=described(config),
            rows=rows,
        )
    for value in drawn(boxes()):
        center = corner_to_center(value)
        yield case("corner_to_center", "a side taken for a corner", center, boxes=value)
        yield case(
            "center_to_corner", "half a side forgotten", center_to_corner(center), boxes=center
        )
    for a, b in drawn(st.tuples(boxes(), boxes())):
        yield case(
            "iou_matrix",
            "an intersection or union that is off, rows and columns exchanged",
            iou_matrix(a, b),
            a_corner=a,
            b_corner=b,
        )
    flat = np.array([[0.2, 0.2, 0.2, 0.6], [0.6, 0.6, 0.2, 0.2], [0.2, 0.2, 0.6, 0.6]])
    yield case(
        "iou_matrix",
        "0 / 0 for a box without area; a reversed box with a positive area",
        iou_matrix(flat, flat),
        a_corner=flat,
        b_corner=flat,
    )
    apart = np.array([[0, 0, 0.1, 0.1], [0.5, 0.5, 0.6, 0.6], [0.1, 0, 0.2, 0.1]])
    yield case(
        "iou_matrix",
        "two negative sides multiplied to a positive intersection",
        iou_matrix(apart, apart),
        a_corner=apart,
        b_corner=apart,
    )


MATCHING = (  # catches, overlaps, threshold, neutral threshold
    (
        "one object written after the other: the second takes the first one's box",
        [
            [0.5898, 0.4675, 0.0536, 0.2099],
            [0.4566, 0.2781, 0.0106, 0.4372],
            [0.5378, 0.8868, 0.2474, 0.1279],
        ],
        0.5,
        None,
    ),
    (
        "three objects that want the same box are not served by overlap",
        [[0.30, 0.20, 0.10], [0.31, 0.25, 0.05], [0.32, 0.29, 0.01]],
        0.5,
        None,
    ),
    (
        "rule two wins over rule one: an object loses its only box",
        [[0.95, 0.96], [0.30, 0.0]],
        0.5,
        None,
    ),
    (
        "above the threshold instead of at least",
        [[0.75, 0.5, 0.25, np.nextafter(0.5, 0)]],
        0.5,
        None,
    ),
    ("the lower border of the neutral zone", [[0.75, 0.5, 0.25, np.nextafter(0.5, 0)]], 0.5, 0.25),
    ("a neutral zone that begins within it", [[0.75, 0.5, 0.25, np.nextafter(0.5, 0)]], 0.5, 0.3),
    (
        "equal overlaps below the threshold: the lowest object, then the lowest box",
        np.full((2, 4), 0.25),
        0.5,
        None,
    ),
    (
        "equal overlaps above the threshold: the rest goes to the lowest object",
        np.full((2, 4), 0.75),
        0.5,
        None,
    ),
    (
        "more objects than boxes: a loop without an end, or a box given twice",
        [[0.2, 0.1], [0.3, 0.4], [0.5, 0.6]],
        0.5,
        None,
    ),
    ("an object that overlaps nothing is given box 0", [[0.0, 0.0], [0.0, 0.3]], 0.5, None),
    ("no object at all", np.zeros((0, 5)), 0.5, None),
    ("no object and a neutral zone", np.zeros((0, 3)), 0.5, 0.4),
)


def matching_cases():
    for catches, iou, threshold, neutral in MATCHING:
        iou = np.array(iou, float).reshape(-1, np.shape(iou)[1])
        yield case(
            "match_iou",
            catches,
            match_iou(iou, threshold, neutral),
            iou=iou,
            boxes=iou.shape[1],
            threshold=threshold,
            neutral_threshold=neutral or 0,
        )
    for gt, default, neutral in drawn(
        st.tuples(boxes(EIGHTHS), boxes(EIGHTHS, 12, 1), st.sampled_from([0, 0.25]))
    ):
        yield case(
            "match",
            "ties: equal overlaps decided by another rule than the lowest index",
            match(gt, default, 0.5, neutral or None),
            gt_corner=gt,
            default_corner=default,
            threshold=0.5,
            neutral_threshold=neutral,
        )
    tiny = default_boxes(load_config("tiny"))
    for gt, neutral in drawn(st.tuples(boxes(), st.sampled_from([0, 0.4]))):
        labels = np.arange(len(gt)) % 5 + 1
        target_labels, offsets = make_targets(gt, labels, tiny, 0.5, neutral or None)
        rows = np.flatnonzero(target_labels)
        yield case(
            "make_targets",
            "objects beyond the border of the image; labels of the wrong "
            "object; offsets where there is no object",
            {"rows": rows, "labels": target_labels[rows], "offsets": offsets[rows]},
            gt_corner=gt,
            gt_labels=labels,
            config="tiny",
            threshold=0.5,
            neutral_threshold=neutral,
        )


def codec_cases():
    variances = np.array([0.1, 0.1, 0.2, 0.2])
    for a, b in drawn(st.tuples(boxes(least=1), boxes(least=1))):
        count = min(len(a), len(b))
        defaults = np.c_[corner_to_center(b[:count]), np.tile(variances, (count, 1))]
        center = corner_to_center(a[:count])
        offsets = encode(center, defaults)
        yield case(
            "encode",
            "variances forgotten, width and height exchanged, no logarithm",
            offsets,
            gt_center=center,
            default_boxes=defaults,
        )
        yield case(
            "decode",
            "variances forgotten, width and height exchanged, no exponential",
            decode(offsets, defaults),
            offsets=offsets,
            default_boxes=defaults,
            max_exponent=0,
        )
    wild = np.array([[0, 0, 40.0, 3]])
    default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])
    limit = float(np.log(1000 / 16))
    yield case(
        "decode",
        "the limit on the exponent: before the variance, or on one side only",
        decode(wild, default, limit),
        offsets=wild,
        default_boxes=default,
        max_exponent=limit,
    )


def suppression_cases():
    touching = np.array([[0, 0, 1, 1], [0, 0, 1, 0.45], [0, 0, 0.5, 1], [0.5, 0, 1, 1.0]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    for limit in (0.45, 0.5, 0.49):
        yield case(
            "nms",
            "at least the threshold instead of above it",
            nms(touching, scores, limit),
            boxes_corner=touching,
            scores=scores,
            iou_threshold=limit,
            top_k=100,
        )
    chain = np.array([[0, 0, 0.5, 0.5], [0.15, 0, 0.65, 0.5], [0.3, 0, 0.8, 0.5]])
    yield case(
        "nms",
        "a dropped box that goes on dropping others",
        nms(chain, scores[:3], 0.45),
        boxes_corner=chain,
        scores=scores[:3],
        iou_threshold=0.45,
        top_k=100,
    )
    yield case(
        "nms",
        "no candidate at all",
        nms(np.zeros((0, 4)), np.zeros(0)),
        boxes_corner=np.zeros((0, 4)),
        scores=np.zeros(0),
        iou_threshold=0.45,
        top_k=100,
    )
    for corner, top_k, seed in drawn(st.tuples(boxes(EIGHTHS, 10), st.integers(1, 8), SEEDS)):
        scores = np.random.default_rng(seed).integers(0, 5, len(corner)) / 4
        yield case(
            "nms",
            "equal scores: the higher index kept; top_k applied after the drop",
            nms(corner, scores, 0.45, top_k),
            boxes_corner=corner,
            scores=scores,
            iou_threshold=0.45,
            top_k=top_k,
        )


# --- loss ----------------------------------------------------------------------------------------


def loss_cases():
    for row in ([0, 0, 0], [1000, 0, -1000], [1e-3, 2, -3]):
        z = np.array([row], float)
        yield case("softmax", "an overflow for large logits", softmax(z), logits=z)
        yield case("log_softmax", "the logarithm of 0", log_softmax_forward(z)[0], logits=z)
    d = np.array([-3, -1, -0.5, 0, 0.999, 1, 2.0])
    out, cache = smooth_l1_forward(d, np.zeros(7))
    yield case(
        "smooth_l1",
        "a jump where the parabola meets the line; a gradient above 1",
        {"out": out, "dpred": smooth_l1_backward(np.ones(7), cache)},
        d=d,
    )
    ties = np.array([0.5, 2, 2, 0.5, 2, 1.0])
    for labels, ratio, minimum, catches in (
        ([1, 0, 0, 0, 0, 0], 3, 0, "of equal losses a later index mined"),
        ([0, 0, 0, 0, 0, 0], 3, 0, "negatives mined in an image without an object"),
        ([0, 0, 0, 0, 0, 0], 3, 2, "the minimum forgotten in an image without an object"),
        ([1, -1, -1, 0, 0, 0], 3, 0, "neutral boxes mined"),
        ([2, 3, 1, 1, 0, 0], 3, 0, "more wanted than there are"),
        ([1, 0, 0, 0, 0, 0], 1.5, 0, "a ratio that is rounded up"),
    ):
        labels = np.array(labels)
        mined = mine_hard_negatives(ties[None], labels[None] > 0, labels[None] == 0, ratio, minimum)
        yield case(
            "mine_hard_negatives",
            catches,
            mined[0],
            confidence_loss=ties,
            labels=labels,
            ratio=ratio,
            minimum=minimum,
        )
    for seed, ratio, minimum, objects in drawn(
        st.tuples(SEEDS, st.sampled_from([0, 1, 3, 2.5]), st.integers(0, 6), st.integers(0, 4))
    ):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.r_[rng.integers(1, 4, objects), np.zeros(12, int), [-1, -1]])
        logits, offsets = rng.normal(0, 2, (len(labels), 4)), rng.normal(0, 1, (len(labels), 4))
        targets = rng.normal(0, 1, (len(labels), 4)) * (labels > 0)[:, None]
        loss = multibox_loss(
            logits[None], offsets[None], labels[None], targets[None], ratio, 0.7, minimum=minimum
        )
        yield case(
            "multibox_loss",
            "the divisor: without positives, with a minimum; a gradient "
            "that is not divided; neutral boxes that count; location of negatives",
            {
                "total": loss.total,
                "location": loss.location,
                "confidence": loss.confidence,
                "mined": loss.mined[0],
                "dlogits": loss.dlogits[0],
                "doffsets": loss.doffsets[0],
            },
            logits=logits,
            offsets=offsets,
            target_labels=labels,
            target_offsets=targets,
            ratio=ratio,
            alpha=0.7,
            minimum=minimum,
        )


# --- layers --------------------------------------------------------------------------------------


def layer_cases():
    for seed, kernel, stride, pad, dilation, channels in drawn(
        st.tuples(
            SEEDS,
            st.integers(1, 3),
            st.integers(1, 2),
            st.integers(0, 2),
            st.integers(1, 2),
            st.integers(1, 6),
        )
    ):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1, rng.integers(5, 8), rng.integers(5, 8), rng.integers(1, 4)))
        w = rng.normal(size=(kernel, kernel, x.shape[3], channels))
        b = rng.normal(size=channels)
        out, cache = conv2d_forward(x, w, b, stride, pad, dilation)
        dout = rng.normal(size=out.shape)
        dx, dw, db = conv2d_backward(dout, cache)
        yield case(
            "conv2d",
            "a border that is off by one, rows and columns exchanged, a kernel "
            "that is not turned for dx, channels in another order",
            {"out": out[0], "dx": dx[0], "dw": dw, "db": db},
            x=x[0],
            w=w,
            b=b,
            stride=stride,
            pad=pad,
            dilation=dilation,
            dout=dout[0],
        )
        w = rng.normal(size=(kernel, kernel, x.shape[3]))
        out, cache = depthwise_forward(x, w, b[0] * w[0, 0], stride, pad, dilation)
        dout = rng.normal(size=out.shape)
        dx, dw, db = depthwise_backward(dout, cache)
        yield case(
            "depthwise",
            "a kernel read in another order, channels that mix",
            {"out": out[0], "dx": dx[0], "dw": dw, "db": db},
            x=x[0],
            w=w,
            b=b[0] * w[0, 0],
            stride=stride,
            pad=pad,
            dilation=dilation,
            dout=dout[0],
        )
    corners = np.array([-1.0, 0, 3, 6, 7])
    for activation in ("none", "relu", "relu6"):
        out, cache = activation_forward(corners, activation)
        yield case(
            "activation",
            f"{activation}: the gradient at its corners",
            {"out": out, "dx": activation_backward(np.ones(5), cache)},
            x=corners,
            activation=activation,
            dout=np.ones(5),
        )
    for seed, size, stride, pad, ceil in drawn(
        st.tuples(SEEDS, st.integers(2, 3), st.integers(1, 2), st.integers(0, 1), st.booleans())
    ):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 4, (1, rng.integers(4, 8), rng.integers(4, 8), 2)).astype(float) / 2
        out, cache = max_pool2d_forward(x, size, stride, pad, ceil)
        dout = rng.normal(size=out.shape)
        yield case(
            "max_pool2d",
            "equal values: the gradient to the wrong one or to both; the "
            "last, partial window; padding that counts as 0",
            {"out": out[0], "dx": max_pool2d_backward(dout, cache)[0]},
            x=x[0],
            size=size,
            stride=stride,
            pad=pad,
            ceil=int(ceil),
            dout=dout[0],
        )
    for form in ("inside", "max", "outside"):
        rng = np.random.default_rng(5)
        x, scale = rng.normal(size=(1, 3, 2, 4)), rng.normal(size=4)
        x[0, 1, 1] = 0
        out, cache = l2norm_forward(x, scale, 0.1, form)
        dout = rng.normal(size=out.shape)
        dx, dscale = l2norm_backward(dout, cache)
        yield case(
            "l2norm",
            f"a pixel of zeros; the place of eps, here {form}",
            {"out": out[0], "dx": dx[0], "dscale": dscale},
            x=x[0],
            scale=scale,
            eps=0.1,
            form=form,
            dout=dout[0],
        )


# --- pictures and detections ---------------------------------------------------------------------


def picture_cases():
    # heights up to 17: where the height shrinks more than the width, some of Pillow's versions take
    # the columns first, and a value is another by one grey level
    for seed, height, width in drawn(st.tuples(SEEDS, st.integers(1, 17), st.integers(1, 40)), 12):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        yield case(
            "resize",
            "four neighbours only when shrinking; columns before rows; rounding",
            resize(pixels, 17, 13),
            image=pixels,
            height=17,
            width=13,
        )
        for method in ("antialias", "half_pixel"):
            config = load_config("tiny")
            config = dataclasses.replace(
                config, input=dataclasses.replace(config.input, resize=method)
            )
            seen = preprocess(pixels, config)
            yield case(
                "preprocess",
                f"{method}: mean and std of the wrong channel, centres of pixels at whole numbers",
                {"rows": seen[::31, ::17]},
                image=pixels,
                input=described(config)["input"],
            )


def detection_cases():
    config, rng = load_config("tiny"), np.random.default_rng(2)
    model = SSD(config)
    for index in range(6):
        logits, offsets = rng.normal(0, 1, (1344, 6)), rng.normal(0, 1, (1344, 4))
        logits[:, 0] += 3  # mostly background
        if index % 2:
            logits[1::3] = logits[::3]  # equal scores, of equal numbers
        found = Detector(model, 0.4, 0.45, 20).decode(logits, offsets)
        truth = Truth(found.boxes_corner[::2] * 0.95, found.labels[::2])
        result = evaluate_voc([found], [truth])
        counted = [c for c in result.classes if c.truths]
        yield case(
            "detect",
            "suppression across classes, the best of all classes cut before that "
            "of each, boxes not clipped",
            {"boxes_corner": found.boxes_corner, "labels": found.labels, "scores": found.scores},
            logits=logits,
            offsets=offsets,
            config="tiny",
            score=0.4,
            iou=0.45,
            top_k=20,
        )
        yield case(
            "average_precision",
            "duplicates counted as right, precision without envelope, "
            "objects of another class found",
            {c.name: {"ap": c.ap, "recall": c.recall, "precision": c.precision} for c in counted},
            boxes_corner=found.boxes_corner,
            labels=found.labels,
            scores=found.scores,
            gt_corner=truth.boxes_corner,
            gt_labels=truth.labels,
            class_names=config.class_names,
        )


def all_cases():
    """Every case, by what it is about."""
    for cases in (
        box_cases,
        matching_cases,
        codec_cases,
        suppression_cases,
        loss_cases,
        layer_cases,
        picture_cases,
        detection_cases,
    ):
        yield from cases()


if __name__ == "__main__":
    written = {"format": 1, "cases": list(all_cases())}
    Path(sys.argv[1]).write_text(json.dumps(written), encoding="utf-8")
    print(f"{len(written['cases'])} cases in {sys.argv[1]}")
