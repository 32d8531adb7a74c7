"""Max-pooling: PyTorch's results, padding of each side, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_pool import RULE
from ssd_np.gradcheck import relative_error
from ssd_np.nn.pool import (
    max_pool2d_backward,
    max_pool2d_forward,
    pool_output_size,
)

pytestmark = pytest.mark.lesson06


@RULE
def test_torch_agrees(rule, rng):
    torch = pytest.importorskip("torch")
    size, stride, pad, ceil_mode = rule
    x = rng.integers(0, 4, (2, 9, 8, 3)).astype(np.float64)  # many ties: both take the first
    x_torch = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    expected = torch.nn.functional.max_pool2d(x_torch, size, stride, pad, ceil_mode=ceil_mode)
    out, cache = max_pool2d_forward(x, *rule)
    assert np.array_equal(out, expected.detach().permute(0, 2, 3, 1).numpy())
    dout = rng.standard_normal(out.shape)
    expected.backward(torch.tensor(dout.transpose(0, 3, 1, 2)))
    grad = x_torch.grad.permute(0, 2, 3, 1).numpy()
    assert relative_error(max_pool2d_backward(dout, cache), grad) <= 1e-14


def test_output_sizes_against_torch_over_many_rules():
    torch = pytest.importorskip("torch")
    for size in range(2, 12):
        x = torch.zeros(1, 1, size, size)
        for window in (2, 3):
            for stride in (1, 2, 3):
                for pad in (0, 1):
                    for ceil in (False, True):
                        if size + 2 * pad >= window:
                            out = torch.nn.functional.max_pool2d(x, window, stride, pad, 1, ceil)
                            assert pool_output_size(size, window, stride, pad, ceil) == len(
                                out[0, 0]
                            )


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match="pad may be at most half a window"):
        max_pool2d_forward(np.zeros((1, 4, 4, 1)), 2, 2, 2)
    with pytest.raises(ShapeError, match="reaches over 3 pixels does not fit 2 pixels"):
        max_pool2d_forward(np.zeros((1, 2, 2, 1)), 3, 1)
    with pytest.raises(ShapeError, match=r"expected \(N, H, W, C\)"):
        max_pool2d_forward(np.zeros((4, 4, 1)), 2, 2)
    _, cache = max_pool2d_forward(np.zeros((1, 4, 6, 2)), 2, 2)
    for shape in ((1, 3, 2, 2), (1, 2, 3, 3), (2, 2, 3, 2)):
        with pytest.raises(ShapeError, match=r"the output had \(1, 2, 3, 2\)"):
            max_pool2d_backward(np.zeros(shape), cache)
