"""How good detections are: Pascal VOC's and COCO's metrics."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.evaluate.average_precision import ClassResult as ClassResult
    from ssd_np.evaluate.average_precision import VocResult as VocResult
    from ssd_np.evaluate.average_precision import all_point_ap as all_point_ap
    from ssd_np.evaluate.average_precision import common_class_names as common_class_names
    from ssd_np.evaluate.average_precision import eleven_point_ap as eleven_point_ap
    from ssd_np.evaluate.average_precision import evaluate_voc as evaluate_voc
    from ssd_np.evaluate.coco import CocoClass as CocoClass
    from ssd_np.evaluate.coco import CocoResult as CocoResult
    from ssd_np.evaluate.coco import coco_result as coco_result
    from ssd_np.evaluate.coco import evaluate_coco as evaluate_coco
    from ssd_np.evaluate.coco_matching import Matched as Matched
    from ssd_np.evaluate.coco_matching import check_sizes as check_sizes
    from ssd_np.evaluate.coco_matching import clean as clean
    from ssd_np.evaluate.coco_matching import coco_iou as coco_iou
    from ssd_np.evaluate.coco_matching import match_image as match_image
    from ssd_np.evaluate.coco_matching import measured as measured
    from ssd_np.evaluate.coco_matching import to_pixels as to_pixels
    from ssd_np.evaluate.coco_results import from_coco_results as from_coco_results
    from ssd_np.evaluate.coco_results import read_results as read_results
    from ssd_np.evaluate.coco_results import to_coco_instances as to_coco_instances
    from ssd_np.evaluate.coco_results import to_coco_results as to_coco_results
    from ssd_np.evaluate.confusion import Confusion as Confusion
    from ssd_np.evaluate.confusion import Outcome as Outcome
    from ssd_np.evaluate.confusion import outcome_of as outcome_of
    from ssd_np.evaluate.confusion import worst_first as worst_first
    from ssd_np.evaluate.run import detect_dataset as detect_dataset
    from ssd_np.evaluate.threshold import best_threshold as best_threshold
else:
    __getattr__, __dir__ = contents(__name__, __file__)
