"""Smooth L1: PyTorch's results, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_smooth_l1 import BETAS
from ssd_np.gradcheck import relative_error
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward

pytestmark = pytest.mark.lesson09


@BETAS
def test_torch_agrees(beta, rng):
    torch = pytest.importorskip("torch")
    pred, target, dout = (2 * rng.standard_normal((6, 4)) for _ in range(3))
    pred_torch = torch.tensor(pred, requires_grad=True)
    expected = torch.nn.functional.smooth_l1_loss(
        pred_torch, torch.tensor(target), reduction="none", beta=beta
    )
    expected.backward(torch.tensor(dout))
    out, cache = smooth_l1_forward(pred, target, beta)
    assert relative_error(out, expected.detach().numpy()) <= 1e-14
    assert relative_error(smooth_l1_backward(dout, cache), pred_torch.grad.numpy()) <= 1e-14


def test_shapes_that_would_only_broadcast_are_refused():
    with pytest.raises(ShapeError, match=r"pred has shape \(3, 4\), target \(4,\)"):
        smooth_l1_forward(np.zeros((3, 4)), np.zeros(4))
