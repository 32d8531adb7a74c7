"""Offsets: PyTorch's results, and boxes that have no offsets."""

import numpy as np
import pytest

from ssd_np.boxes.codec import decode, decode_backward, encode
from ssd_np.errors import DegenerateBox, ShapeError
from ssd_np.exercises.graded.test_codec import random_center, random_defaults
from ssd_np.gradcheck import relative_error

pytestmark = [pytest.mark.lesson04, pytest.mark.lesson13]


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    defaults, dout = random_defaults(rng, 9), rng.standard_normal((9, 4))
    offsets = torch.tensor(rng.standard_normal((9, 4)), requires_grad=True)
    d = torch.tensor(defaults)
    center = d[:, :2] + offsets[:, :2] * d[:, 4:6] * d[:, 2:4]
    boxes = torch.cat([center, d[:, 2:4] * torch.exp(offsets[:, 2:] * d[:, 6:])], dim=1)
    boxes.backward(torch.tensor(dout))
    values = offsets.detach().numpy()
    assert relative_error(decode(values, defaults), boxes.detach().numpy()) <= 1e-14
    assert relative_error(decode_backward(dout, values, defaults), offsets.grad.numpy()) <= 1e-14


@pytest.mark.parametrize("size", [0.0, -0.1, np.nan])
def test_a_box_without_area_is_named(size, rng):
    boxes = random_center(rng, 4)
    boxes[2, 3] = size
    with pytest.raises(DegenerateBox, match=r"gt_center\[2\].*above 0"):
        encode(boxes, random_defaults(rng, 4))


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match="cx cy w h and four variances"):
        encode(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(ShapeError, match="offsets has shape"):
        decode(np.ones((3, 8)), np.ones((3, 8)))
