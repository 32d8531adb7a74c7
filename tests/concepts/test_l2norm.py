"""L2Norm: PyTorch's normalize, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ConfigError, ShapeError
from ssd_np.gradcheck import relative_error
from ssd_np.nn.l2norm import l2norm_backward, l2norm_forward

pytestmark = pytest.mark.lesson06


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    x, scale, dout = (rng.standard_normal(s) for s in ((2, 3, 4, 5), (5,), (2, 3, 4, 5)))
    x_torch, scale_torch = (torch.tensor(a, requires_grad=True) for a in (x, scale))
    expected = torch.nn.functional.normalize(x_torch, dim=-1) * scale_torch
    expected.backward(torch.tensor(dout))
    for form, eps, tolerance in (("inside", 1e-10, 1e-8), ("max", 1e-12, 1e-13)):
        out, cache = l2norm_forward(x, scale, eps, form)
        dx, dscale = l2norm_backward(dout, cache)
        assert relative_error(out, expected.detach().numpy()) <= tolerance
        assert relative_error(dx, x_torch.grad.numpy()) <= tolerance
        assert relative_error(dscale, scale_torch.grad.numpy()) <= tolerance


def test_wrong_arguments_are_named():
    with pytest.raises(ShapeError, match=r"scale has shape \(3,\).*one scale a channel"):
        l2norm_forward(np.ones((1, 2, 2, 4)), np.ones(3))
    with pytest.raises(ConfigError, match=r"unknown form 'l1'.*inside, max, outside"):
        l2norm_forward(np.ones((1, 4)), np.ones(4), form="l1")
