"""The exercises of lesson 05: convolution as im2col, and its gradient."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "im2col", 5, "ssd_np.nn.im2col", ("im2col",), "test_im2col.py",
        (
            "im2col(np.arange(9.0).reshape(1, 3, 3, 1), kernel=2)  # 4 windows of 2 x 2",
            "im2col(np.arange(4.0).reshape(1, 2, 2, 1), kernel=3, pad=1)[0].reshape(3, 3)",
        ),
        given=("output_size",),
        hint="A row runs over kernel rows, kernel columns, channels: (i, j, c).",
    ),
    Exercise(
        "col2im", 5, "ssd_np.nn.im2col", ("col2im",), "test_im2col.py",
        ("col2im(np.ones((4, 4)), (1, 3, 3, 1), kernel=2)[0, :, :, 0]  # windows above a pixel",),
        given=("output_size",),
    ),
    Exercise(
        "conv2d_forward", 5, "ssd_np.nn.conv", ("conv2d_forward",), "test_conv.py",
        (
            "x = np.arange(9.0).reshape(1, 3, 3, 1)",
            "w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)",
            "out, cache = conv2d_forward(x, w, np.array([10.0]))",
            "out[0, :, :, 0]",
        ),
        given=("im2col", "output_size"),
        hint="The cache is (x, w, stride, pad, dilation, the shape of the output).",
    ),
    Exercise(
        "conv2d_backward", 5, "ssd_np.nn.conv", ("conv2d_backward",), "test_conv.py",
        (
            "x = np.arange(9.0).reshape(1, 3, 3, 1)",
            "w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)",
            "cache = (x, w, 1, 0, 1, (1, 2, 2, 1))  # stride 1, no padding, dilation 1",
            "dx, dw, db = conv2d_backward(np.array([[1.0, 0], [0, 2]]).reshape(1, 2, 2, 1), cache)",
            "dx[0, :, :, 0]",
            "dw[:, :, 0, 0]",
            "db",
        ),
        given=("im2col", "col2im"),
        results=("dx", "dw", "db"),
        hint="The cache is (x, w, stride, pad, dilation, the shape of the output).",
    ),
)
