"""A camera's note which way up a picture is, and boxes that were drawn before it was heeded.

Cameras store the pixels as the sensor saw them and note the turn beside them (EXIF's orientation, 1
to 8). `read_image` turns the pixels, as most programs do. A program that does not shows a standing
photograph lying down, and boxes drawn in it belong to the picture as stored.
"""

import numpy as np

from ssd_np.boxes.checks import check_boxes
from ssd_np.data.geometric import mirror_x, mirror_y

TRANSPOSED = (5, 6, 7, 8)  # orientations that exchange height and width


def turn_boxes(boxes_corner: np.ndarray, orientation: int) -> np.ndarray:
    """(G, 4) fractions of the picture as stored -> (G, 4) fractions of the picture turned.

    A quarter turn clockwise (6) is x, y -> 1 - y, x: an exchange of the axes, then a mirror.
    """
    boxes = check_boxes(boxes_corner, "boxes_corner").reshape(-1, 4)
    if orientation in TRANSPOSED:
        boxes = boxes[:, [1, 0, 3, 2]]
    if orientation in (2, 3, 6, 7):
        boxes = mirror_x(boxes)
    if orientation in (3, 4, 7, 8):
        boxes = mirror_y(boxes)
    return boxes
