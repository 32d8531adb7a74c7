"""The exercises of lesson 14: mean average precision."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "average_precision", 14, "ssd_np.evaluate.average_precision",
        ("all_point_ap", "eleven_point_ap"), "test_average_precision.py",
        (
            "recall, precision = np.array([1 / 3, 1 / 3, 2 / 3]), np.array([1, 1 / 2, 2 / 3])",
            "all_point_ap(recall, precision)  # right, wrong, right; the third is never found",
            "eleven_point_ap(recall, precision)",
        ),
        hint="Both arrays run down the list of detections, best score first; both may be empty.",
    ),
    Exercise(
        "precision_recall", 14, "ssd_np.evaluate.average_precision", ("_curve",),
        "test_average_precision.py",
        (
            "rows = np.array([(1, 0.7, 0.9, 0), (1, 0.9, 0.8, 0), (1, 0.8, 0.1, 1)], _ASSIGNED)",
            "ignored = np.array([False, False])  # two objects, none of them difficult",
            "_curve(rows, ignored, truths=2, iou_threshold=0.5)",
        ),
        given=("_ASSIGNED",),
        results=("recall", "precision", "scores"),
        hint="`rows` are the detections of one class over all images: label, score, best IoU with\n"
        "an object of their class, and which object that is. ignored[truth] is True for a\n"
        "difficult one; `truths` counts those that are not. Equal scores keep their order.",
    ),
)
