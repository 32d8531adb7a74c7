"""What no function takes is refused with the argument's name, by both engines alike."""

import numpy as np
import pytest

from ssd_np.boxes.codec import decode_backward
from ssd_np.config import config_from_json, load_config
from ssd_np.data.geometric import HorizontalFlip, mirror_x, mirror_y
from ssd_np.data.image import normalise, resize
from ssd_np.engine import select
from ssd_np.errors import ConfigError, ShapeError

RNG = np.random.default_rng(0)
X, KERNEL, ROWS = RNG.random((1, 6, 6, 3)), RNG.random((3, 3, 3, 4)), RNG.random((2, 5, 4))
LABELS, THREE = np.array([[1, 0, 0, 0, 0]] * 2), np.ones(3)
CALLS = {
    "convolution": lambda ops, to: ops.conv2d_forward(to(X), to(KERNEL), to(np.zeros(4))),
    "depthwise": lambda ops, to: ops.depthwise_forward(to(X), to(KERNEL[..., 0]), to(THREE), 1, 1),
    "pooling": lambda ops, to: ops.max_pool2d_forward(to(X), 2, 2, 0, False),
    "batch normalisation": lambda ops, to: ops.batchnorm_forward(to(X), to(THREE), to(THREE), 1e-5),
    "softmax": lambda ops, to: ops.softmax(to(ROWS)),
    "log softmax": lambda ops, to: ops.log_softmax_forward(to(ROWS)),
    "loss": lambda ops, to: ops.multibox_loss(to(ROWS), to(ROWS), LABELS, ROWS),
    "saturation": lambda ops, to: ops.scale_saturation(to(X[0]), 1.2),
    "hue": lambda ops, to: ops.turn_hue(to(X[0]), 10),
}
TYPES = ("float16", np.dtype("float32").newbyteorder(), "longdouble", "O", "U3")


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("name", CALLS)
def test_types_that_are_not_compiled_are_named(name, engine):
    ops = select(engine)
    for dtype in TYPES:
        with pytest.raises(ShapeError, match=r"(x|logits|image) (is|are) .*"):
            CALLS[name](ops, lambda a, dtype=dtype: a.astype(dtype))
    for wrong in ([1, 2], None, "x"):
        with pytest.raises(ShapeError, match=f" is a {type(wrong).__name__}"):
            CALLS[name](ops, lambda _, wrong=wrong: wrong)
    for dtype in (np.float32, np.float64):
        CALLS[name](ops, lambda a, dtype=dtype: a.astype(dtype))


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("key", ["ratio", "alpha", "minimum"])
def test_factors_of_the_loss(key, engine):
    for wrong in (np.nan, np.inf, -1, "3", None):
        with pytest.raises(ConfigError, match=f"^{key} is .*at least 0"):
            select(engine).multibox_loss(ROWS, ROWS, LABELS, ROWS, **{key: wrong})


def test_shapes_of_boxes_and_images():
    grid = np.full((5, 8), 0.5)
    tiny = load_config("tiny").input
    for call, words in (
        (lambda: decode_backward(ROWS[:, :4], ROWS, grid), r"dcenter has shape \(2, 4, 4\)"),
        (lambda: decode_backward(None, ROWS, grid), "dcenter has shape"),
        (lambda: normalise(np.zeros((4, 4)), tiny), r"the image is \(4, 4\)"),
        (lambda: normalise(np.zeros((4, 4, 4)), tiny), r"expected \(H, W, 3\)"),
        (lambda: resize(None, 3, 3), "the image is a NoneType"),
        (lambda: resize(np.zeros((4, 4, 3), np.uint8), 0, 3), "can not resize to 3 x 0"),
        (lambda: mirror_x(np.zeros((2, 3))), r"boxes_corner has shape \(2, 3\)"),
        (lambda: mirror_y(None), "boxes_corner has shape"),
        (lambda: HorizontalFlip()(None, np.zeros((0, 4)), np.zeros(0), RNG), "the image is"),
    ):
        with pytest.raises(ShapeError, match=words):
            call()


def test_a_number_of_five_thousand_digits():
    with pytest.raises(ConfigError, match=r"not valid JSON: .*4300 digits"):
        config_from_json('{"name": ' + "9" * 5000 + "}")


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_colours_of_other_than_three_channels_are_refused(engine, channels):
    """A kernel would read beyond its image."""
    ops, image = select(engine), np.zeros((2, 2, channels), np.float32)
    for change in (ops.turn_hue, ops.scale_saturation):
        with pytest.raises(ShapeError, match=rf"image has shape \(2, 2, {channels}\)"):
            change(image, 1.5)


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_update_of_unequal_shapes_is_refused(engine, which):
    """A kernel would write beyond its tensors."""
    arrays = [np.zeros(4, np.float32) for _ in range(3)]
    arrays[which] = np.zeros(3, np.float32)
    with pytest.raises(ShapeError, match=r"w \(\d,\), v \(\d,\), g \(\d,\)"):
        select(engine).sgd_update(*arrays, 0.1)
