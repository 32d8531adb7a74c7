"""The exercises of lesson 06: pooling, ReLU, L2Norm."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "max_pool2d_backward", 6, "ssd_np.nn.pool", ("max_pool2d_backward",), "test_pool.py",
        (
            "from ssd_np.nn.pool import max_pool2d_forward",
            "_, cache = max_pool2d_forward(np.array([1.0, 2, 1]).reshape(1, 1, 3, 1), 3, 1, 1)",
            "max_pool2d_backward(np.array([10.0, 20, 40]).reshape(1, 1, 3, 1), cache).ravel()",
        ),
        hint="The cache is (shape of x, size, stride, pad, tap). tap (N, Ho, Wo, C) says where in\n"
        "its window a value came from, as i * size + j: row i, column j of the window, whose\n"
        "corner lies at row oy * stride - pad and column ox * stride - pad of x.",
    ),
    Exercise(
        "l2norm_backward", 6, "ssd_np.nn.l2norm", ("l2norm_backward",), "test_l2norm.py",
        (
            "_, cache = l2norm_forward(np.array([[3.0, 4.0]]), np.array([10.0, 20.0]))",
            "l2norm_backward(np.array([[1.0, 0.0]]), cache)",
        ),
        given=("FORMS", "l2norm_forward"),
        results=("dx", "dscale"),
        hint="The cache is (x / norm, norm, scale, eps, form).",
    ),
)
