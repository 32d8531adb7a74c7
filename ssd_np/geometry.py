"""Windows on a map: how many there are along an axis, and the borders they may reach into.

Sizes are (height, width). A border is one number of cells for all four sides, or
((top, bottom), (left, right)); TensorFlow's "SAME" puts more behind than in front.
"""

from typing import Any

from ssd_np.checks import check_whole, ends, sides
from ssd_np.errors import ShapeError

Size = tuple[int, int]  # height, width
Pad = int | tuple[tuple[int, int], tuple[int, int]]


def pair(value: Any) -> tuple[Any, Any]:
    """(down, across) of a number that holds for both axes, or of a pair.

    >>> pair(300), pair((240, 320))
    ((300, 300), (240, 320))
    """
    return value if isinstance(value, tuple) else (value, value)


def shortest(down: Any, across: Any) -> Any:
    """The inverse of `pair`: one number where it holds for both axes."""
    return down if down == across else (down, across)


def borders(pad: Pad) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) of either form.

    >>> borders(1)
    ((1, 1), (1, 1))
    """
    return sides(pad)


def output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    border: int | tuple[int, int] = (0, 0),
    dilation: int = 1,
    ceil: bool = False,
    least: int = 0,
) -> int:
    """Cells along an axis of the output, for `size` cells of the input.

    A window has `kernel` taps, `dilation` apart, and must fit into the input and its border
    (one number of cells, or cells before, cells after). `ceil` keeps a last window that does not
    (Caffe's rule: 75 -> 38). A border below 0, down to `least`, cuts cells off.
    Raises ShapeError where no window fits at all.

    >>> output_size(75, kernel=2, stride=2), output_size(75, kernel=2, stride=2, ceil=True)
    (37, 38)
    """
    before, after = ends(border, least)
    for name, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        check_whole(value, name)
    check_whole(size, "a number of cells", 0)
    reach = dilation * (kernel - 1) + 1
    span = size + before + after - reach
    out = (-(-span // stride) if ceil else span // stride) + 1
    # the last window must begin inside the image or its first border (Caffe and PyTorch alike)
    if ceil and (out - 1) * stride >= size + before:
        out -= 1
    if out < 1:
        what = f"a window that reaches over {reach} pixels does not fit {size} pixels, pad {border}"
        raise ShapeError(what, hint="use a larger image, more padding or a smaller kernel")
    return out
