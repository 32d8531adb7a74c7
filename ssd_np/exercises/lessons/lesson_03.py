"""The exercises of lesson 03: IoU and matching."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "iou_matrix", 3, "ssd_np.boxes.iou", ("iou_matrix",), "test_iou.py",
        ("iou_matrix(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [0, 0, 4, 4.0]]))",),
        given=("area", "check_two_lists"),
        hint="`check_two_lists` makes both arrays floats of one type; `area` gives (A,) areas.",
    ),
    Exercise(
        "match", 3, "ssd_np.boxes.matching", ("match_iou",), "test_matching.py",
        (
            "iou = np.array([[0.95, 0.96], [0.30, 0.00]])  # 2 objects, 2 default boxes",
            "match_iou(iou)  # both want box 0: object 1 has no other, so object 0 takes box 1",
            "match_iou(np.array([[0.7, 0.6, 0.45, 0.2]]), threshold=0.5, neutral_threshold=0.4)",
        ),
        given=("BACKGROUND", "NEUTRAL"),
        hint="`match` works out the overlaps (G, T) of objects and default boxes and calls\n"
        "`match_iou`. A box that no rule matches is neutral when its best IoU reaches\n"
        "`neutral_threshold`. Among equal overlaps the lowest object wins, then the lowest\n"
        "default box. An object that overlaps no default box at all stays unmatched.",
    ),
)
