"""The exercises of lesson 17: batch normalisation."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "batchnorm", 17, "ssd_np.nn.batchnorm", ("batchnorm_forward", "batchnorm_backward"),
        "test_batchnorm.py",
        (
            "x = np.array([[1.0], [3], [5], [7]])  # mean 4, variance 5",
            "out, cache = batchnorm_forward(x, np.array([2.0]), np.array([10.0]))",
            "out.ravel()",
            "batchnorm_backward(np.array([[0.0], [0], [0], [1]]), cache)",
        ),
        results=("dx", "dscale", "dshift"),
        hint="The cache may be whatever your backward needs.",
    ),
    Exercise(
        "running_statistics", 17, "ssd_np.nn.batchnorm", ("running_statistics",),
        "test_batchnorm.py",
        (
            "from ssd_np.nn.batchnorm import batchnorm_forward",
            "x = np.array([[1.0], [3], [5], [7]])",
            "_, cache = batchnorm_forward(x, np.ones(1), np.zeros(1))",
            "running_statistics(np.zeros(1), np.ones(1), cache)  # 0.9 * 1 + 0.1 * 20 / 3",
        ),
        results=("mean", "variance"),
        hint="The cache is (x, scale, mean of the batch, its biased variance, eps).",
    ),
)
