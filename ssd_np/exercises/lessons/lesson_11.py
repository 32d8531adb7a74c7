"""The exercises of lesson 11: geometric augmentation."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "flips", 11, "ssd_np.data.geometric", ("mirror_x", "mirror_y"), "test_geometric.py",
        ("boxes = np.array([[0.1, 0.2, 0.4, 0.6]])", "mirror_x(boxes)", "mirror_y(boxes)"),
    ),
    Exercise(
        "expand", 11, "ssd_np.data.geometric", ("draw_canvas", "into_window"), "test_geometric.py",
        (
            "window = draw_canvas((2, 2), np.random.default_rng(0), 4.0)",
            "window  # in fractions of the picture, which lies at 0 to 1",
            "into_window(np.array([[0, 0, 1, 0.5]]), window)",
        ),
        hint="Draw, in this order, ratio = rng.uniform(1, max_ratio), for a canvas of\n"
        "int(height * ratio) rows and int(width * ratio) columns, then top and left with\n"
        "rng.integers(places that there are).",
    ),
    Exercise(
        "crop_rule", 11, "ssd_np.data.patches", ("patches_pass", "centres_inside"),
        "test_geometric.py",
        (
            "patches = np.array([[0, 0, 0.5, 1], [0, 0, 1, 0.5], [0, 0, 1, 1]])",
            "boxes = np.array([[0.125, 0, 0.5, 1], [0.25, 0.5, 0.5, 1]])",
            "iou_matrix(patches, boxes)",
            "centres_inside(patches, boxes)",
            "patches_pass(patches, boxes, 0.5)",
        ),
        given=("iou_matrix",),
    ),
    Exercise(
        "crop", 11, "ssd_np.data.geometric", ("draw_patch", "keep_centred"), "test_geometric.py",
        (
            "boxes, labels = np.array([[0, 0, 0.75, 0.75], [0.75, 0.75, 1, 1]]), np.array([1, 2])",
            "rule = CropConfig(min_ious=(1.0, 0.5))",
            "window, min_iou = draw_patch((4, 4), boxes, np.random.default_rng(1), rule)",
            "window * 4  # in pixels",
            "min_iou",
            "keep_centred(boxes, labels, window)",
        ),
        given=("CropConfig", "centres_inside", "draw_patches", "into_window", "patches_pass"),
        results=("boxes_corner", "labels"),
        hint="`rule.min_ious` are the minima. `draw_patches(size, rng, rule)` draws those of one:\n"
        "(P, 4), whole pixels as fractions. `patches_pass(patches, boxes, min_iou)`\n"
        "says which pass. Pick with `rng.integers`. A centre on the border is outside.",
    ),
)
