"""Geometry of boxes: coordinates, IoU, default boxes, codec, matching, suppression. No learning."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.boxes.codec import decode as decode
    from ssd_np.boxes.codec import decode_backward as decode_backward
    from ssd_np.boxes.codec import encode as encode
    from ssd_np.boxes.coords import area as area
    from ssd_np.boxes.coords import center_to_corner as center_to_corner
    from ssd_np.boxes.coords import clip as clip
    from ssd_np.boxes.coords import corner_to_center as corner_to_center
    from ssd_np.boxes.default_boxes import DefaultBoxes as DefaultBoxes
    from ssd_np.boxes.default_boxes import box_shapes as box_shapes
    from ssd_np.boxes.default_boxes import cell_shapes as cell_shapes
    from ssd_np.boxes.default_boxes import default_boxes_for_map as default_boxes_for_map
    from ssd_np.boxes.default_boxes import derive_scales as derive_scales
    from ssd_np.boxes.default_boxes import derive_sizes as derive_sizes
    from ssd_np.boxes.iou import iou_matrix as iou_matrix
    from ssd_np.boxes.matching import match as match
    from ssd_np.boxes.matching import match_iou as match_iou
    from ssd_np.boxes.nms import best_first as best_first
    from ssd_np.boxes.nms import nms_each_class as nms_each_class
    from ssd_np.boxes.targets import make_targets as make_targets
    from ssd_np.boxes.targets import targets_of_matches as targets_of_matches
else:
    __getattr__, __dir__ = contents(__name__, __file__)
