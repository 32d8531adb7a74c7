"""Two maps merged: PyTorch's results, every cell by its rule, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.merge import merge_backward, merge_forward, nearest

pytestmark = pytest.mark.lesson07

# (h, w), (H, W)
SIZES = [
    ((10, 10), (19, 19)),
    ((4, 3), (8, 6)),
    ((3, 5), (5, 16)),
    ((1, 1), (7, 4)),
    ((6, 2), (6, 2)),
    ((5, 7), (5, 13)),
]


@pytest.fixture(params=SIZES, ids=str)
def maps(request, rng):
    coarse, fine = request.param
    return rng.standard_normal((2, *coarse, 3)), rng.standard_normal((2, *fine, 4))


def test_torch_agrees(maps, rng):
    torch = pytest.importorskip("torch")
    theirs = [torch.tensor(m.transpose(0, 3, 1, 2), requires_grad=True) for m in maps]
    size = theirs[1].shape[2:]
    enlarged = torch.nn.functional.interpolate(theirs[0], size, mode="nearest")
    expected = torch.cat((enlarged, theirs[1]), 1)
    out, cache = merge_forward(*maps)
    np.testing.assert_array_equal(out, expected.detach().permute(0, 2, 3, 1).numpy())
    dout = rng.standard_normal(out.shape)
    expected.backward(torch.tensor(dout.transpose(0, 3, 1, 2)))
    for ours, tensor in zip(merge_backward(dout, cache), theirs, strict=True):
        assert relative_error(ours, tensor.grad.permute(0, 2, 3, 1).numpy()) <= 1e-14


def test_numeric_gradients(maps, rng):
    deep, lateral = maps
    out, cache = merge_forward(deep, lateral)
    dout = rng.standard_normal(out.shape)
    ddeep, dlateral = merge_backward(dout, cache)
    numeric = numeric_gradient(lambda x: merge_forward(x, lateral)[0], deep, dout)
    assert relative_error(ddeep, numeric) <= 1e-7
    numeric = numeric_gradient(lambda x: merge_forward(deep, x)[0], lateral, dout)
    assert relative_error(dlateral, numeric) <= 1e-7


def test_projected_and_added_is_merged_and_projected(rng):
    """A pyramid's sum of two 1x1 convolutions is one on the merged map."""
    deep, lateral = rng.standard_normal((1, 2, 3, 4)), rng.standard_normal((1, 4, 6, 5))
    w = rng.standard_normal((9, 7))
    enlarged = np.kron(deep @ w[:4], np.ones((1, 2, 2, 1)))
    expected = enlarged + lateral @ w[4:]
    np.testing.assert_allclose(merge_forward(deep, lateral)[0] @ w, expected, rtol=1e-12)


@pytest.mark.parametrize("coarse", range(1, 60, 7))
def test_every_coarse_cell_in_order_and_in_shares_that_differ_by_one(coarse):
    for fine in range(coarse, 3 * coarse + 2):
        cells = nearest(coarse, fine)
        assert len(cells) == fine and np.all(np.diff(cells) >= 0)
        counts = np.bincount(cells)
        assert len(counts) == coarse and np.ptp(counts) <= 1
    assert nearest(10, 19).tolist() == [i // 2 for i in range(19)]
    assert nearest(49, 98)[-1] == 48  # by whole numbers: 1 / 49 rounds down


def test_inputs_stay_and_results_are_arrays_of_their_own(maps, rng):
    before = [m.copy() for m in maps]
    out, cache = merge_forward(*maps)
    dout = rng.standard_normal(out.shape)
    kept = dout.copy()
    for gradient in merge_backward(dout, cache):
        gradient[...] = 0
    out[...] = 0
    np.testing.assert_array_equal(dout, kept)
    for m, b in zip(maps, before, strict=True):
        np.testing.assert_array_equal(m, b)


@pytest.mark.parametrize(
    ("deep", "lateral", "dtype"),
    [
        ((1, 5, 4, 2), (1, 4, 4, 2), float),
        ((1, 4, 5, 2), (1, 4, 4, 2), float),
        ((2, 4, 4, 2), (1, 4, 4, 2), float),
        ((1, 2, 2, 2), (1, 4, 4, 2), np.float32),
    ],
)
def test_maps_that_do_not_fit_are_refused(deep, lateral, dtype):
    with pytest.raises(ShapeError, match="at least as many lateral cells"):
        merge_forward(np.zeros(deep), np.zeros(lateral, dtype))


def test_a_gradient_of_another_shape_is_refused():
    _, cache = merge_forward(np.zeros((1, 2, 2, 3)), np.zeros((1, 4, 4, 3)))
    with pytest.raises(ShapeError, match="what merge_forward returned"):
        merge_backward(np.zeros((1, 4, 4, 5)), cache)
