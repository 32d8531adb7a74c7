"""The exercise of lesson 18: depthwise convolution."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "depthwise", 18, "ssd_np.nn.depthwise", ("depthwise_forward", "depthwise_backward"),
        "test_depthwise.py",
        (
            "x = np.array([[[[1.0, 10], [2, 20], [3, 30]]]])  # three pixels, two channels",
            "w = np.array([[[1.0, 0], [0, 1], [-1, 2]]])",
            "out, cache = depthwise_forward(x, w, np.zeros(2))",
            "out.ravel()  # 1 - 3, and 20 + 2 * 30",
            "depthwise_backward(np.array([[[[1.0, 10]]]]), cache)",
        ),
        given=("im2col", "col2im", "output_size"),
        results=("dx", "dw", "db"),
        hint="The cache may be whatever your backward needs. `im2col` gives rows of kh kw C\n"
        "numbers, the channels of a tap side by side.",
    ),
)
