"""The SSD loss: PyTorch's results, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_multibox import VARIANTS, draw, plain_loss
from ssd_np.gradcheck import relative_error
from ssd_np.loss.multibox import multibox_loss

pytestmark = pytest.mark.lesson09


@VARIANTS
def test_torch_agrees(options, rng):
    torch = pytest.importorskip("torch")
    logits, offsets, labels, target = draw(rng)
    z, o = (torch.tensor(a, requires_grad=True) for a in (logits, offsets))
    loss = multibox_loss(logits, offsets, labels, target, **options)
    *_, mined = plain_loss(logits, offsets, labels, target, **options)
    chosen = labels > 0
    chosen[tuple(np.transpose(mined))] = True
    rows = torch.tensor(chosen)
    confidence = torch.nn.functional.cross_entropy(
        z[rows], torch.tensor(labels)[rows], reduction="sum"
    )
    positive = torch.tensor(labels > 0)
    location = torch.nn.functional.smooth_l1_loss(
        o[positive], torch.tensor(target)[positive], reduction="sum"
    )
    alpha, ratio = options.get("alpha", 1.0), options.get("ratio", 3)
    normaliser = max(1, int(positive.sum()), len(mined) / max(1, ratio))
    total = (confidence + alpha * location) / normaliser
    total.backward()
    assert loss.total == pytest.approx(total.item(), rel=1e-12)
    assert relative_error(loss.dlogits, z.grad.numpy()) <= 1e-12
    assert relative_error(loss.doffsets, o.grad.numpy()) <= 1e-12


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_wrong_shapes_are_named(cut, rng):
    arrays = list(draw(rng))
    arrays[cut] = arrays[cut][:, :-1]
    with pytest.raises(ShapeError, match=r"expected \(N, T, K\), \(N, T, 4\), \(N, T\)"):
        multibox_loss(*arrays)


def test_a_label_beyond_the_classes_is_named(rng):
    logits, offsets, labels, target = draw(rng)
    labels[1, 3] = 4
    with pytest.raises(ShapeError, match="to 4, logits have 4 classes"):
        multibox_loss(logits, offsets, labels, target)
