"""The exercises of lesson 02: default boxes."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "corner_to_center", 2, "ssd_np.boxes.coords", ("corner_to_center", "center_to_corner"),
        "test_coords.py",
        (
            "corner_to_center(np.array([[0.1, 0.2, 0.5, 0.8]]))",
            "center_to_corner(np.array([[0.3, 0.5, 0.4, 0.6]]))",
        ),
    ),
    Exercise(
        "default_boxes", 2, "ssd_np.boxes.default_boxes", ("box_shapes", "default_boxes_for_map"),
        "test_default_boxes.py",
        (
            "conv9 = FeatureMapConfig('conv9', 1, 8, min_size=9, max_size=16, aspect_ratios=(4,))",
            "box_shapes(conv9)",
            "from ssd_np.config import load_config",
            "boxes = default_boxes_for_map(load_config('tiny'), 2)  # 4 x 4 cells, 4 boxes each",
            "boxes.shape",
            "boxes[0, 1, :, :4] * 128  # row 0, column 1: four boxes on one centre, in pixels",
        ),
        hint="Of the map: `shape` is (rows, columns) of cells, `steps` (down, across) in pixels.\n"
        "`config.input.shape` is (height, width).",
    ),
)
