"""A merge: a deep, coarse map enlarged to the cells of a fine one, and laid beside its channels.

A feature pyramid network (Lin et al. 2017, arXiv 1612.03144, section 3) gives a shallow map the
context of a deep one: the deep map is enlarged by nearest neighbour, both go through a 1x1
convolution, and the two are added. Here they are laid side by side, and the 1x1 convolution that
follows in the network is both projections and their sum at once:

    [deep, lateral] W = deep W_1 + lateral W_2        W_1, W_2: the upper and lower rows of W

Row i of the fine map gets row floor(i h / H) of the deep one, and so do columns.
"""

import numpy as np

from ssd_np.checks import check_whole
from ssd_np.errors import ShapeError
from ssd_np.nn.checks import check_gradient, check_image


def merge_forward(deep: np.ndarray, lateral: np.ndarray) -> tuple[np.ndarray, tuple]:
    """deep (N, h, w, C1), lateral (N, H, W, C2), h <= H and w <= W -> (N, H, W, C1 + C2), cache."""
    check_image(deep)
    check_image(lateral)
    (n, h, w, _), (n_lateral, height, width, _) = deep.shape, lateral.shape
    if n_lateral != n or h > height or w > width or deep.dtype != lateral.dtype:
        what = f"deep is {deep.shape} {deep.dtype}, lateral {lateral.shape} {lateral.dtype}"
        hint = "expected as many images of one type, and at least as many lateral cells"
        raise ShapeError(what, hint=hint)
    rows, columns = nearest(h, height), nearest(w, width)
    enlarged = deep[:, rows[:, None], columns]  # (N, H, W, C1)
    return np.concatenate([enlarged, lateral], axis=-1), (deep.shape, lateral.shape)


def merge_backward(dout: np.ndarray, cache: tuple) -> tuple[np.ndarray, np.ndarray]:
    """dout (N, H, W, C1 + C2) -> ddeep (N, h, w, C1), dlateral (N, H, W, C2).

    Derivation: docs/derivations.md#merging-two-maps, (33).
    """
    (n, h, w, c), (*_, height, width, c_lateral) = cache
    check_gradient(dout, (n, height, width, c + c_lateral), "merge_forward")
    lines = np.zeros((n, h, width, c), dout.dtype)
    for i, row in enumerate(nearest(h, height)):
        lines[:, row] += dout[:, i, :, :c]
    ddeep = np.zeros((n, h, w, c), dout.dtype)
    for j, column in enumerate(nearest(w, width)):
        ddeep[:, :, column] += lines[:, :, j]
    return ddeep, dout[..., c:].copy()


def nearest(coarse: int, fine: int) -> np.ndarray:
    """Which of `coarse` cells each of the `fine` ones lies in, (fine,): no smaller, none left out.

    >>> nearest(3, 5).tolist()
    [0, 0, 1, 1, 2]
    """
    check_whole(coarse, "coarse")
    check_whole(fine, "fine")
    return np.arange(fine) * coarse // fine
