"""Softmax and log-softmax: PyTorch's results."""

import pytest

from ssd_np.gradcheck import relative_error
from ssd_np.nn.softmax import log_softmax_backward, log_softmax_forward, softmax

pytestmark = pytest.mark.lesson09


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    z, dout = 10 * rng.standard_normal((3, 4, 6)), rng.standard_normal((3, 4, 6))
    z_torch = torch.tensor(z, requires_grad=True)
    expected = torch.log_softmax(z_torch, dim=-1)
    expected.backward(torch.tensor(dout))
    out, cache = log_softmax_forward(z)
    assert relative_error(out, expected.detach().numpy()) <= 1e-14
    assert relative_error(log_softmax_backward(dout, cache), z_torch.grad.numpy()) <= 1e-13
    assert relative_error(softmax(z), torch.softmax(torch.tensor(z), -1).numpy()) <= 1e-14
