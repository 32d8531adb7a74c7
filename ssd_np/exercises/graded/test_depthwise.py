"""Depthwise convolution: by hand, against a full one with a diagonal kernel, numeric gradients."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.nn.depthwise import depthwise_backward, depthwise_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson18]

GEOMETRY = pytest.mark.parametrize(
    ("stride", "pad", "dilation"),
    [(1, 0, 1), (1, 1, 1), (2, 1, 1), (2, ((0, 1), (0, 1)), 1), (1, 2, 2), (3, 2, 1)],
)


def draw(rng, images=2, channels=3, kernel=(3, 3)):
    """x, w, b."""
    return (
        rng.standard_normal((images, 6, 7, channels)),
        rng.standard_normal((*kernel, channels)),
        rng.standard_normal(channels),
    )


def test_by_hand():
    x = np.array([[[[1.0, 10], [2, 20], [3, 30]]]])
    w = np.array([[[1.0, 0], [0, 1], [-1, 2]]])
    out, cache = depthwise_forward(x, w, np.array([0.5, 0]))
    assert out.tolist() == [[[[-1.5, 80]]]]
    dx, dw, db = depthwise_backward(np.array([[[[1.0, 10]]]]), cache)
    assert dx[0, 0].T.tolist() == [[1, 0, -1], [0, 10, 20]]
    assert dw[0].T.tolist() == [[1, 2, 3], [100, 200, 300]] and db.tolist() == [1, 10]


@GEOMETRY
def test_it_is_a_convolution_whose_channels_do_not_mix(stride, pad, dilation, rng):
    x, w, b = draw(rng)
    diagonal = w[..., None] * np.eye(3)  # (kh, kw, C, C)
    out, cache = depthwise_forward(x, w, b, stride, pad, dilation)
    expected, full_cache = conv2d_forward(x, diagonal, b, stride, pad, dilation)
    assert out.shape == expected.shape and np.allclose(out, expected)
    dout = rng.standard_normal(out.shape)
    dx, dw, db = depthwise_backward(dout, cache)
    full_dx, full_dw, full_db = conv2d_backward(dout, full_cache)
    assert np.allclose(dx, full_dx) and np.allclose(db, full_db)
    assert np.allclose(dw, np.einsum("ijcc->ijc", full_dw))


@GEOMETRY
def test_gradients(stride, pad, dilation, rng):
    x, w, b = draw(rng)
    out, cache = depthwise_forward(x, w, b, stride, pad, dilation)
    dout = rng.standard_normal(out.shape)
    rest = (stride, pad, dilation)
    for found, value, function in zip(
        depthwise_backward(dout, cache),
        (x, w, b),
        (
            lambda v: depthwise_forward(v, w, b, *rest)[0],
            lambda v: depthwise_forward(x, v, b, *rest)[0],
            lambda v: depthwise_forward(x, w, v, *rest)[0],
        ),
        strict=True,
    ):
        assert found.shape == value.shape
        assert relative_error(numeric_gradient(function, value, dout), found) <= 1e-6


def test_kernels_that_are_not_square(rng):
    x, w, b = draw(rng, kernel=(1, 3))
    out, _ = depthwise_forward(x, w, b)
    assert out.shape == (2, 6, 5, 3)
    for c in range(3):
        expected = sum(x[:, :, j : j + 5, c] * w[0, j, c] for j in range(3)) + b[c]
        assert np.allclose(out[..., c], expected)


def test_inputs_stay_as_they_are_and_types_too(rng):
    x, w, b = (a.astype(np.float32) for a in draw(rng))
    before = [a.copy() for a in (x, w, b)]
    out, cache = depthwise_forward(x, w, b, 1, 1)
    gradients = depthwise_backward(np.ones_like(out), cache)
    assert {a.dtype for a in (out, *gradients)} == {np.dtype(np.float32)}
    assert all(np.array_equal(a, c) for a, c in zip((x, w, b), before, strict=True))
