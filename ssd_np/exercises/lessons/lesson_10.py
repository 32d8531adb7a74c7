"""The exercises of lesson 10: photometric augmentation."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "brightness_and_contrast", 10, "ssd_np.data.photometric", ("brightness", "contrast"),
        "test_photometric.py",
        ("image = np.array([[[0.0, 100, 250]]])", "brightness(image, 20)", "contrast(image, 1.5)"),
    ),
    Exercise(
        "saturation", 10, "ssd_np.nn.hsv", ("scale_saturation",), "test_photometric.py",
        (
            "pixel = np.array([[[200.0, 120, 40]]])  # V = 200, C = 160, S = 0.8",
            "scale_saturation(pixel, 0.5)  # S = 0.4: the smallest is 0.6 * 200",
            "scale_saturation(pixel, 9)  # S = 1 at most",
        ),
    ),
    Exercise(
        "hue", 10, "ssd_np.nn.hsv", ("turn_hue",), "test_photometric.py",
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
        "lighting_noise", 10, "ssd_np.data.photometric", ("lighting_noise", "draw_order"),
        "test_photometric.py",
        (
            "image = np.array([[[10, 20, 30], [40, 50, 60]]])",
            "lighting_noise(image, [2, 0, 1])",
            "draw_order(np.random.default_rng(0))",
        ),
        hint="Draw the number of an order with `rng.integers(5)`, or draw until it is another one\n"
        "than [0, 1, 2].",
    ),
)
