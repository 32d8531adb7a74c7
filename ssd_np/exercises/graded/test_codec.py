"""Offsets: the worked example, the round trip, decode's gradient."""

import numpy as np
import pytest

from ssd_np.boxes.codec import decode, decode_backward, encode
from ssd_np.boxes.coords import area, center_to_corner, clip
from ssd_np.gradcheck import numeric_gradient, relative_error

pytestmark = [pytest.mark.graded, pytest.mark.lesson04, pytest.mark.lesson13]

VARIANCES = [0.1, 0.1, 0.2, 0.2]


def random_center(rng, count):
    return np.concatenate([rng.random((count, 2)), 0.05 + rng.random((count, 2))], axis=1)


def random_defaults(rng, count):
    return np.concatenate([random_center(rng, count), np.tile(VARIANCES, (count, 1))], axis=1)


def test_the_worked_example():
    default = np.array([[0.5, 0.5, 0.25, 0.25, *VARIANCES]])
    offsets = encode(np.array([[0.55, 0.48, 0.3, 0.2]]), default)
    np.testing.assert_allclose(offsets, [[2, -0.8, 0.9116, -1.1157]], rtol=0, atol=5e-5)
    np.testing.assert_allclose(decode(offsets, default), [[0.55, 0.48, 0.3, 0.2]], rtol=1e-12)


def test_every_variance_belongs_to_its_own_offset():
    default = np.array([[0.5, 0.5, 0.5, 0.5, 0.1, 0.2, 0.3, 0.4]])
    offsets = encode(np.array([[0.55, 0.55, np.e / 2, np.e / 2]]), default)
    np.testing.assert_allclose(offsets, [[1, 0.5, 1 / 0.3, 1 / 0.4]], rtol=1e-12)


def test_the_default_box_itself_has_offsets_zero(rng):
    defaults = random_defaults(rng, 5)
    assert not encode(defaults[:, :4], defaults).any()
    assert np.array_equal(decode(np.zeros((5, 4)), defaults), defaults[:, :4])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_round_trip(dtype, tolerance, rng):
    boxes, defaults = (f(rng, 50).astype(dtype) for f in (random_center, random_defaults))
    offsets = encode(boxes, defaults)
    back = decode(offsets, defaults)
    assert offsets.dtype == back.dtype == dtype
    np.testing.assert_allclose(back, boxes, rtol=0, atol=tolerance)


def test_decode_of_a_batch(rng):
    offsets, defaults = rng.standard_normal((3, 6, 4)), random_defaults(rng, 6)
    each = np.stack([decode(one, defaults) for one in offsets])
    assert np.array_equal(decode(offsets, defaults), each)


@pytest.mark.parametrize("limit", [None, 0.1])
def test_decode_backward(limit, rng):
    defaults = random_defaults(rng, 7)
    offsets, dout = rng.standard_normal((2, 7, 4)), rng.standard_normal((2, 7, 4))
    if limit is not None:
        cut = offsets[..., 2:] * 0.2 > limit
        assert cut.any() and not cut.all()
    numeric = numeric_gradient(lambda o: decode(o, defaults, limit), offsets, dout)
    assert relative_error(numeric, decode_backward(dout, offsets, defaults, limit)) <= 1e-6


def test_max_exponent_limits_growth_not_shrinking():
    default = np.array([[0.5, 0.5, 0.25, 0.25, *VARIANCES]])
    limit = float(np.log(1000 / 16))
    huge = decode(np.array([[0, 0, 1000.0, -1000.0]]), default, limit)
    np.testing.assert_allclose(huge[0, 2:], [0.25 * 62.5, 0], rtol=1e-12, atol=1e-80)
    gradient = decode_backward(np.ones((1, 4)), np.array([[0, 0, 1000.0, 1]]), default, limit)
    assert gradient[0, 2] == 0 and gradient[0, 3] > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_size_overflows(dtype):
    """Offsets of a network gone astray: boxes larger than any image, but finite, with an area."""
    defaults = np.array([[0.5, 0.5, 0.25, 0.25, *VARIANCES]] * 3, dtype)
    offsets = np.array([[0, 0, 1e6, 1e5], [3, 0, 4000, -4000], [0, 0, 199, 1]], dtype)
    boxes = decode(offsets, defaults)
    assert boxes.dtype == dtype and np.isfinite(boxes).all()
    assert np.isfinite(area(center_to_corner(boxes))).all()
    assert np.array_equal(clip(center_to_corner(boxes))[0], [0, 0, 1, 1])
    np.testing.assert_allclose(boxes[2, 2], 0.25 * np.exp(dtype(199) * dtype(0.2)), rtol=1e-5)
    gradient = decode_backward(np.ones((3, 4), dtype), offsets, defaults)
    assert np.isfinite(gradient).all() and gradient[0, 2] == gradient[0, 3] == 0 < gradient[2, 2]


def test_inputs_stay_as_they_are(rng):
    boxes, defaults, dout = (
        random_center(rng, 5),
        random_defaults(rng, 5),
        rng.standard_normal((5, 4)),
    )
    offsets = rng.standard_normal((5, 4))
    arrays = (boxes, defaults, dout, offsets)
    before = [a.copy() for a in arrays]
    encode(boxes, defaults)
    decode(offsets, defaults, 0.1)
    decode_backward(dout, offsets, defaults, 0.1)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
