"""Which way a convolution of an inference goes: one table of shapes, and nothing else decides.

`python tests/engine/measure_algorithms.py` measures them all.
"""

from ssd_np.geometry import Size

# Sides of Winograd's tiles, and from how many channels, lines and columns on they are faster than
# what comes below them; a dilated convolution is from one line on, for nothing else takes it.
TABLE = ((4, 12, 11), (2, 12, 7))
ALLOWED = {"winograd2": (2,), "winograd4": (4, 2)}


def tile_side(
    convolution: str, cells: Size, kernel: tuple[int, ...], stride: int, dilation: int
) -> int:
    """Side of Winograd's tiles (engine/winograd.py), or 0: straight from the image.

    convolution  what the config allows
    cells        of the output, (height, width)
    """
    if len(kernel) < 4 or kernel[:2] != (3, 3) or stride > 1:
        return 0
    for side, channels, least in TABLE:
        large = dilation > 1 or min(cells) >= least
        if side in ALLOWED.get(convolution, ()) and large and kernel[2] >= channels:
            return side
    return 0
