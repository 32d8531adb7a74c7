"""The predictors: one row for each default box, in their order, and the way back of gradients."""

import numpy as np
import pytest

from ssd_np.boxes.default_boxes import default_boxes, default_boxes_for_map
from ssd_np.config import load_config
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.model.heads import Head, grid_to_rows, rows_to_grid
from ssd_np.nn.conv import conv2d_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson08]

N, H, W, A, K = 2, 3, 5, 6, 7
SHAPE = (N, H, W, A * K + A * 4)


def test_two_cells_by_hand():
    """Two boxes a cell, two classes and the background: 2 * 3 scores, then 2 * 4 offsets."""
    left = [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 20, 21, 22, 23]
    right = [-number for number in left]
    logits, offsets = grid_to_rows(np.array([[[left, right]]], float), boxes=2)
    np.testing.assert_array_equal(logits, [[[1, 2, 3], [4, 5, 6], [-1, -2, -3], [-4, -5, -6]]])
    np.testing.assert_array_equal(
        offsets, [[[10, 11, 12, 13], [20, 21, 22, 23], [-10, -11, -12, -13], [-20, -21, -22, -23]]]
    )
    grid = rows_to_grid(logits, offsets, (1, 1, 2, 14))
    np.testing.assert_array_equal(grid, [[[left, right]]])


def test_rows_stand_in_the_order_of_the_default_boxes():
    """Every cell says of each of its boxes where the box lies: the rows are the default boxes."""
    config = load_config("tiny")
    boxes = default_boxes_for_map(config, 1)  # (H, W, A, 8)
    side, _, a, _ = boxes.shape
    says = boxes[..., :4].reshape(1, side, side, a * 4)
    number = np.repeat(np.arange(a), 3)  # the scores of box a are a, a, a
    scores = np.broadcast_to(number, (1, side, side, a * 3))
    logits, offsets = grid_to_rows(np.concatenate([scores, says], axis=-1), a)
    before = default_boxes_for_map(config, 0).size // 8
    expected = default_boxes(config)[before : before + side * side * a, :4]
    np.testing.assert_array_equal(offsets[0], expected)
    np.testing.assert_array_equal(logits[0], np.tile(np.arange(a)[:, None], (side * side, 3)))


def test_every_place_of_the_grid():
    """The rows spelled out: image n, cell (i, j), box a, class k or coordinate k."""
    grid = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    logits, offsets = grid_to_rows(grid, A)
    assert logits.shape == (N, H * W * A, K) and offsets.shape == (N, H * W * A, 4)
    for n, i, j, a in np.ndindex(N, H, W, A):
        row, cell = A * (W * i + j) + a, grid[n, i, j]
        assert [cell[a * K + k] for k in range(K)] == logits[n, row].tolist()
        assert [cell[A * K + a * 4 + k] for k in range(4)] == offsets[n, row].tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_is_the_adjoint_of_forward(dtype, rng):
    """<rows(x), d> = <x, grid(d)>, for any x and any gradient d."""
    x = rng.standard_normal(SHAPE).astype(dtype)
    dlogits = rng.standard_normal((N, H * W * A, K)).astype(dtype)
    doffsets = rng.standard_normal((N, H * W * A, 4)).astype(dtype)
    logits, offsets = grid_to_rows(x, A)
    dx = rows_to_grid(dlogits, doffsets, SHAPE)
    assert logits.dtype == offsets.dtype == dx.dtype == dtype and dx.shape == SHAPE
    forward = np.vdot(logits, dlogits) + np.vdot(offsets, doffsets)
    np.testing.assert_allclose(forward, np.vdot(x, dx), rtol=1e-4)


def test_there_and_back_is_where_one_was(rng):
    """Each number has one place in the rows: the adjoint is the inverse too."""
    x = rng.standard_normal(SHAPE)
    before = x.copy()
    rows = grid_to_rows(x, A)
    np.testing.assert_array_equal(rows_to_grid(*rows, SHAPE), x)
    np.testing.assert_array_equal(x, before)


def test_one_image_one_cell_one_box(rng):
    x = rng.standard_normal((1, 1, 1, 7))
    logits, offsets = grid_to_rows(x, 1)
    np.testing.assert_array_equal(logits, x[0, :, :, :3])
    np.testing.assert_array_equal(offsets, x[0, :, :, 3:])


def test_gradients_are_not_changed_on_their_way(rng):
    d = rng.standard_normal((N, H * W * A, K)), rng.standard_normal((N, H * W * A, 4))
    before = [part.copy() for part in d]
    dx = rows_to_grid(*d, SHAPE)
    dx += 1
    assert all(np.array_equal(now, then) for now, then in zip(d, before, strict=True))


# --- the layer -----------------------------------------------------------------------------------


@pytest.fixture
def head(rng):
    """A float64 head of 2 boxes and 3 classes on a map of 5 channels, with biases that matter."""
    head = Head("map", 5, boxes=2, classes=3, rng=rng, dtype=np.float64)
    for parameter in head.parameters.values():
        parameter.assign(rng.standard_normal(parameter.value.shape))
    return head


def test_a_head_is_two_convolutions(head, rng):
    x = rng.standard_normal((2, 4, 3, 5))
    logits, offsets = head.forward(x)
    weights = {name: parameter.value for name, parameter in head.parameters.items()}
    for kind, rows, numbers in (("conf", logits, 3), ("loc", offsets, 4)):
        w, b = weights[f"{kind}_map.weight"], weights[f"{kind}_map.bias"]
        assert w.shape == (3, 3, 5, 2 * numbers)
        alone, _ = conv2d_forward(x, w, b, 1, 1)
        np.testing.assert_allclose(rows, alone.reshape(2, -1, numbers), rtol=1e-12)


def test_the_gradients_of_a_head_are_the_numeric_ones(head, rng):
    x = rng.standard_normal((2, 4, 3, 5))
    dlogits, doffsets = rng.standard_normal((2, 24, 3)), rng.standard_normal((2, 24, 4))
    d = np.concatenate([dlogits, doffsets], axis=-1)

    def forward(v):
        return np.concatenate(head.forward(v), axis=-1)

    head.forward(x, training=True)
    dx = head.backward(dlogits, doffsets)
    assert relative_error(numeric_gradient(forward, x, d), dx) <= 1e-6
    for name, parameter in head.parameters.items():
        grad = parameter.grad

        def with_value(v, parameter=parameter):
            kept = parameter.value.copy()
            parameter.assign(v)
            out = forward(x)
            parameter.assign(kept)
            return out

        numeric = numeric_gradient(with_value, parameter.value, d)
        assert relative_error(numeric, grad) <= 1e-6, name
