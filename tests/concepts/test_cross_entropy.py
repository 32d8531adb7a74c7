"""Cross-entropy from logits: PyTorch's results, refused labels."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.gradcheck import relative_error
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward

pytestmark = pytest.mark.lesson09


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    logits, labels = 10 * rng.standard_normal((9, 6)), rng.integers(0, 6, 9)
    dout = rng.standard_normal(9)
    logits_torch = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        logits_torch, torch.tensor(labels), reduction="none"
    )
    expected.backward(torch.tensor(dout))
    loss, cache = cross_entropy_forward(logits, labels)
    assert relative_error(loss, expected.detach().numpy()) <= 1e-14
    assert relative_error(cross_entropy_backward(dout, cache), logits_torch.grad.numpy()) <= 1e-13


@pytest.mark.parametrize("labels", [[0, 3], [-1, 2]])
def test_labels_out_of_range_are_refused(labels):
    with pytest.raises(ShapeError, match=r"labels run from .* logits have 3 classes"):
        cross_entropy_forward(np.zeros((2, 3)), np.array(labels))


def test_wrong_shapes_and_types_are_named():
    with pytest.raises(ShapeError, match="one label for each row"):
        cross_entropy_forward(np.zeros((2, 3)), np.zeros((2, 3), int))  # one-hot, perhaps
    with pytest.raises(ShapeError, match=r"float64.*whole numbers"):
        cross_entropy_forward(np.zeros((2, 3)), np.zeros(2))
