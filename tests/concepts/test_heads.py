"""The predictors: PyTorch's order of rows."""

import numpy as np
import pytest

from ssd_np.exercises.graded.test_heads import SHAPE, A, H, K, N, W
from ssd_np.model.heads import grid_to_rows

pytestmark = pytest.mark.lesson08


@pytest.mark.parametrize("kind, numbers", [("conf", K), ("loc", 4)])
def test_rows_are_those_of_pytorch(kind, numbers, rng):
    """Channels first need a permute: (N, A*K, H, W) -> (N, H, W, A*K) -> (N, H*W*A, K)."""
    torch = pytest.importorskip("torch")
    x = rng.standard_normal(SHAPE)
    rows = dict(zip(("conf", "loc"), grid_to_rows(x, A), strict=True))[kind]
    part = x[..., : A * K] if kind == "conf" else x[..., A * K :]
    theirs = torch.from_numpy(part).permute(0, 3, 1, 2).contiguous()  # as PyTorch would have it
    as_published = theirs.permute(0, 2, 3, 1).reshape(N, -1, numbers)
    as_torchvision = theirs.view(N, A, numbers, H, W).permute(0, 3, 4, 1, 2)
    np.testing.assert_array_equal(rows, as_published)
    np.testing.assert_array_equal(rows, as_torchvision.reshape(N, -1, numbers))
