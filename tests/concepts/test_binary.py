"""Sigmoid scores and binary cross-entropy: by hand, PyTorch's results, large logits, gradients."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.loss.binary import binary_cross_entropy_backward, binary_cross_entropy_forward
from ssd_np.loss.multibox import background_loss, multibox_loss
from ssd_np.nn.sigmoid import sigmoid, softplus


def test_by_hand():
    z = np.log([1.0, 3.0, 1 / 4])
    np.testing.assert_allclose(sigmoid(z), (1 / 2, 3 / 4, 1 / 5), rtol=1e-15)
    np.testing.assert_allclose(softplus(z), np.log([2, 4, 5 / 4]), rtol=1e-15)
    logits = np.array([[9.0, *z], [9.0, *z]])  # column 0 counts for nothing
    loss, _ = binary_cross_entropy_forward(logits, np.array([2, 0]))
    background = np.log(2) + np.log(4) + np.log(5 / 4)
    np.testing.assert_allclose(loss, (background - np.log(3), background), rtol=1e-14)
    assert background_loss(logits, "sigmoid") == pytest.approx([background] * 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_stay_finite(dtype):
    z = np.array([[0, 1000, -1000, 80]], dtype)
    loss, cache = binary_cross_entropy_forward(z, np.array([2]))
    assert loss.dtype == dtype and loss[0] == 2080
    dz = binary_cross_entropy_backward(np.ones(1, dtype), cache)
    assert dz.dtype == dtype
    np.testing.assert_array_equal(dz, np.array([[0, 1, -1, 1]], dtype))
    np.testing.assert_array_equal(sigmoid(z[0]), np.array([0.5, 1, 0, 1], dtype))


def test_gradient_is_the_numeric_one(rng):
    logits, labels = 3 * rng.standard_normal((4, 5, 6)), rng.integers(0, 6, (4, 5))
    dout = rng.standard_normal((4, 5))
    _, cache = binary_cross_entropy_forward(logits, labels)
    numeric = numeric_gradient(lambda z: binary_cross_entropy_forward(z, labels)[0], logits, dout)
    dz = binary_cross_entropy_backward(dout, cache)
    assert relative_error(dz, numeric) <= 1e-7 and not dz[..., 0].any()


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    logits, labels = 10 * rng.standard_normal((9, 6)), rng.integers(0, 6, 9)
    dout = rng.standard_normal(9)
    z = torch.tensor(logits, requires_grad=True)
    target = torch.nn.functional.one_hot(torch.tensor(labels), 6)[:, 1:].double()
    each = torch.nn.functional.binary_cross_entropy_with_logits(z[:, 1:], target, reduction="none")
    expected = each.sum(-1)
    expected.backward(torch.tensor(dout))
    loss, cache = binary_cross_entropy_forward(logits, labels)
    assert relative_error(loss, expected.detach().numpy()) <= 1e-14
    assert relative_error(binary_cross_entropy_backward(dout, cache), z.grad.numpy()) <= 1e-13


def test_the_whole_loss_has_this_gradient(rng):
    """Through mining, with a neutral box; what is mined costs most by all classes together."""
    logits, offsets = rng.standard_normal((2, 12, 4)), rng.standard_normal((2, 12, 4))
    labels = np.array([[1, 3, -1] + [0] * 9, [0] * 11 + [2]])
    truth = labels, rng.standard_normal((2, 12, 4))
    found = multibox_loss(logits, offsets, *truth, ratio=2, scores="sigmoid")
    assert found.mined.sum() == 2 * 3
    cost = background_loss(logits[0], "sigmoid")
    assert set(np.flatnonzero(found.mined[0])) == set(3 + np.argsort(-cost[3:])[:4])

    def total(z):
        return np.array(multibox_loss(z, offsets, *truth, ratio=2, scores="sigmoid").total)

    numeric = numeric_gradient(total, logits, np.array(1.0))
    assert relative_error(found.dlogits, numeric) <= 1e-6


def test_wrong_labels_are_refused():
    with pytest.raises(ShapeError, match=r"labels run from 0 to 3, logits have 3 classes"):
        binary_cross_entropy_forward(np.zeros((2, 3)), np.array([0, 3]))
