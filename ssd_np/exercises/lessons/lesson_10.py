"""The exercises of lesson 10: photometric augmentation."""

from ssd_np.exercises.exercise import Exercise

EXERCISES = (
    Exercise(
        "brightness_and_contrast",
        10,
        "ssd_np.data.photometric",
        ("brightness", "contrast"),
        "test_photometric.py",
        (
            "image, history = np.array([[[0.0, 100, 250]]]), []",
            "boxes, labels = np.array([[0.1, 0.2, 0.4, 0.6]]), np.array([1])",
            "rng = np.random.default_rng(0)",
            "brightness(image, boxes, labels, rng, 20, 20, history)",
            "contrast(image, boxes, labels, rng, 1.5, 1.5, history)[0]",
            "history",
        ),
        results=("image", "boxes_corner", "labels"),
        hint="Draw with `rng.uniform(low, high)`. The history, if there is one, gets a pair: the\n"
        "function's name and a dict of what was drawn, {'delta': ...} or {'factor': ...}.",
    ),
    Exercise(
        "saturation",
        10,
        "ssd_np.data.photometric",
        ("scale_saturation",),
        "test_photometric.py",
        (
            "pixel = np.array([[[200.0, 120, 40]]])  # V = 200, C = 160, S = 0.8",
            "scale_saturation(pixel, 0.5)  # S = 0.4: the smallest is 0.6 * 200",
            "scale_saturation(pixel, 9)  # S = 1 at most",
        ),
    ),
    Exercise(
        "hue",
        10,
        "ssd_np.data.photometric",
        ("turn_hue",),
        "test_photometric.py",
        (
            "pixel = np.array([[[200.0, 120, 40]]])  # H = 30 degrees, orange",
            "turn_hue(pixel, 120)  # red becomes green",
            "turn_hue(pixel, 30)  # yellow",
            "turn_hue(pixel, -60)  # across 0 degrees",
        ),
        hint="H in sixths of a turn is (green - blue) / C where red is the largest value,\n"
        "2 + (blue - red) / C where green is, 4 + (red - green) / C where blue is. Grey pixels,\n"
        "whose C is 0, stay what they are.",
    ),
    Exercise(
        "lighting_noise",
        10,
        "ssd_np.data.photometric",
        ("lighting_noise",),
        "test_photometric.py",
        (
            "image, history = np.array([[[10, 20, 30], [40, 50, 60]]]), []",
            "boxes, labels = np.array([[0.1, 0.2, 0.4, 0.6]]), np.array([1])",
            "lighting_noise(image, boxes, labels, np.random.default_rng(0), history)[0]",
            "history",
        ),
        results=("image", "boxes_corner", "labels"),
        hint="Draw with `rng.permutation(3)`. The history, if there is one, gets the pair\n"
        "('lighting_noise', {'order': order}), a list: new channel k is old channel order[k].",
    ),
)
