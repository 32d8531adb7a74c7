"""The exercises of lesson 11: geometric augmentation."""

from ssd_np.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "flips",
        11,
        "ssd_np.data.geometric",
        ("horizontal_flip", "vertical_flip"),
        "test_geometric.py",
        (
            "image = np.array([[0, 1], [2, 3]])[..., None].repeat(3, axis=2)",
            "boxes, labels = np.array([[0.1, 0.2, 0.4, 0.6]]), np.array([1])",
            "rng = np.random.default_rng(0)",
            "flipped, moved, _ = horizontal_flip(image, boxes, labels, rng)",
            "flipped[..., 0]",
            "moved",
            "vertical_flip(image, boxes, labels, rng)[1]",
        ),
        results=("image", "boxes_corner", "labels"),
        hint="The history, if there is one, gets the pair ('horizontal_flip', {}) or\n"
        "('vertical_flip', {}).",
    ),
    Exercise(
        "expand",
        11,
        "ssd_np.data.geometric",
        ("expand",),
        "test_geometric.py",
        (
            "image, history = np.full((2, 2, 3), 255, np.uint8), []",
            "boxes, labels = np.array([[0, 0, 1, 0.5]]), np.array([1])",
            "rng = np.random.default_rng(0)",
            "canvas, moved, _ = expand(image, boxes, labels, rng, 4.0, (9, 9, 9), history)",
            "canvas[..., 0]",
            "moved",
            "history[0][1]['window']",
        ),
        results=("image", "boxes_corner", "labels"),
        hint="Draw, in this order, ratio = rng.uniform(1, max_ratio), for a canvas of\n"
        "int(height * ratio) rows and int(width * ratio) columns, then top and left with\n"
        "rng.integers(places that there are). The history, if there is one, gets the pair\n"
        "('expand', {'ratio': ratio, 'window': window}): the canvas in fractions of the image, a\n"
        "(4,) array. In an image of whole numbers the colour is rounded.",
    ),
    Exercise(
        "crop_rule",
        11,
        "ssd_np.data.geometric",
        ("patches_pass", "centres_inside"),
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
        "crop",
        11,
        "ssd_np.data.geometric",
        ("crop",),
        "test_geometric.py",
        (
            "image, history = np.arange(48).reshape(4, 4, 3), []",
            "boxes, labels = np.array([[0, 0, 0.75, 0.75], [0.75, 0.75, 1, 1]]), np.array([1, 2])",
            "rng, rule = np.random.default_rng(4), ((0.5,), (0.5, 1.0), (0.5, 2.0), 50)",
            "patch, moved, kept = crop(image, boxes, labels, rng, *rule, history)",
            "history[0][1]['window'] * 4  # in pixels",
            "patch.shape",
            "moved",
            "kept",
        ),
        given=("draw_patches", "into_window", "iou_matrix"),
        results=("image", "boxes_corner", "labels"),
        hint="Draw, in this order, `min_ious[int(rng.integers(len(min_ious)))]` and, unless it is\n"
        "1, `draw_patches((height, width), rng, scale, ratio, tries)`: (P, 4) fractions, whole\n"
        "pixels but for rounding, those of the `tries` patches whose shape is allowed. The first\n"
        "that passes is taken. A centre on the edge of a patch is outside. The history, if there\n"
        "is one, gets the pair ('crop', {'min_iou': ..., 'window': the patch or [0, 0, 1, 1]}).",
    ),
)
