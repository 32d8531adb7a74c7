"""The exercises of lesson 04: encoding and variances."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "encode", 4, "ssd_np.boxes.codec", ("encode",), "test_codec.py",
        (
            "default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])",
            "encode(np.array([[0.55, 0.48, 0.3, 0.2]]), default)",
        ),
        given=("_columns",),
    ),
    Exercise(
        "decode", 4, "ssd_np.boxes.codec", ("decode",), "test_codec.py",
        (
            "default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])",
            "decode(np.array([[2.0, -0.8, 0.0, 1.0]]), default)",
        ),
        given=("LARGEST_EXPONENT", "_columns"),
    ),
    Exercise(
        "decode_backward", 4, "ssd_np.boxes.codec", ("decode_backward",), "test_codec.py",
        (
            "default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])",
            "decode_backward(np.ones((1, 4)), np.array([[2.0, -0.8, 0.0, 1.0]]), default)",
        ),
        given=("LARGEST_EXPONENT", "_columns", "decode"),
        hint="`dcenter` is the gradient of what `decode` returned.",
    ),
)
