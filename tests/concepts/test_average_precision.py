"""Pascal VOC's average precision: what it refuses."""

import math

import numpy as np
import pytest

from ssd_np.errors import ConfigError, NotFinite, ShapeError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.exercises.graded.test_average_precision import LEFT, NAMES, found, truth
from ssd_np.records import Detections

pytestmark = pytest.mark.lesson14


def test_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match="1 detections for 2 truths"):
        evaluate_voc([found()], [truth(), truth()])
    with pytest.raises(ShapeError, match="image 0: detection labels from 3 to 3"):
        evaluate_voc([found((LEFT, 3, 0.5))], [truth()])
    with pytest.raises(ShapeError, match="image 0: truth labels from 3 to 3"):
        evaluate_voc([found()], [truth((LEFT, 3))])
    with pytest.raises(ShapeError, match="class names differ"):
        other = Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), ("bird",))
        evaluate_voc([found(), other], [truth(), truth()])
    with pytest.raises(ShapeError, match="do not fit"):
        short = Detections(np.zeros((2, 4)), np.ones(2, int), np.ones(1), NAMES)
        evaluate_voc([short], [truth()])
    with pytest.raises(NotFinite, match="image 0"):
        evaluate_voc([found((LEFT, 1, math.nan))], [truth()])
    with pytest.raises(ConfigError, match="unknown metric '12-point'"):
        evaluate_voc([], [], metric="12-point")
    with pytest.raises(ConfigError, match="threshold"):
        evaluate_voc([], [], iou_threshold=0.0)
