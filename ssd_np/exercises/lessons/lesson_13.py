"""The exercises of lesson 13: decoding and non-maximum suppression."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "nms", 13, "ssd_np.boxes.nms", ("nms",), "test_nms.py",
        (
            "boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1.8], [5, 5, 7, 7]])",
            "nms(boxes, np.array([0.6, 0.9, 0.5]))",
        ),
        given=("iou_matrix",),
        hint="Indices are returned as int64.",
    ),
)
