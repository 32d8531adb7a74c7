"""The exercises of lesson 09: the SSD loss."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "softmax", 9, "ssd_np.nn.softmax",
        ("softmax", "log_softmax_forward", "log_softmax_backward"), "test_softmax.py",
        (
            "softmax(np.log(np.array([1.0, 2.0, 5.0])))",
            "log_softmax_forward(np.array([1000.0, 0.0]))[0]",
            "_, cache = log_softmax_forward(np.zeros(2))",
            "log_softmax_backward(np.array([1.0, 0.0]), cache)",
        ),
        hint="The cache may be whatever your backward needs.",
    ),
    Exercise(
        "cross_entropy_backward", 9, "ssd_np.loss.cross_entropy", ("cross_entropy_backward",),
        "test_cross_entropy.py",
        (
            "from ssd_np.loss.cross_entropy import cross_entropy_forward",
            "_, cache = cross_entropy_forward(np.log(np.array([[1.0, 3.0]])), np.array([1]))",
            "cross_entropy_backward(np.array([2.0]), cache)",
        ),
        hint="The cache is (log-softmax of the logits, labels).",
    ),
    Exercise(
        "smooth_l1", 9, "ssd_np.loss.smooth_l1", ("smooth_l1_forward", "smooth_l1_backward"),
        "test_smooth_l1.py",
        (
            "out, cache = smooth_l1_forward(np.array([0.0, 0.5, 1.0, -2.0]), np.zeros(4))",
            "out",
            "smooth_l1_backward(np.ones(4), cache)",
        ),
        hint="The cache may be whatever your backward needs.",
    ),
    Exercise(
        "mine_hard_negatives", 9, "ssd_np.loss.mining", ("mine_hard_negatives",), "test_mining.py",
        (
            "loss = np.array([[9.0, 1, 5, 2, 4, 3, 8]])  # as background",
            "positive = np.array([[True] + 6 * [False]])",
            "mine_hard_negatives(loss, positive, ~positive)",
        ),
        hint="NaN counts as the largest loss of all, so that it is not hidden.",
    ),
    Exercise(
        "multibox_loss", 9, "ssd_np.loss.multibox", ("multibox_loss",), "test_multibox.py",
        (
            "labels = np.array([[2, 0, 0, 0, 0, -1]])  # one object, one neutral box",
            "zeros = np.zeros((1, 6, 4))",
            "loss = multibox_loss(np.zeros((1, 6, 3)), zeros, labels, zeros)",
            "loss.total  # four boxes count, each at ln 3",
            "loss.dlogits[0]",
        ),
        given=(
            "MultiboxLoss",
            "cross_entropy_backward",
            "cross_entropy_forward",
            "log_softmax_forward",
            "mine_hard_negatives",
            "smooth_l1_backward",
            "smooth_l1_forward",
        ),
        hint="Returned is MultiboxLoss(total, location, confidence, num_positive, mined, dlogits,\n"
        "doffsets): three losses already divided, a count, a mask (N, T), and the gradients of\n"
        "total. `class_weights` and `gamma` are None here: leave them out.",
    ),
    Exercise(
        "focal_loss", 9, "ssd_np.loss.focal", ("focal_loss_forward", "focal_loss_backward"),
        "test_focal.py",
        (
            "logits = np.log(np.array([[1.0, 3.0], [1.0, 9.0]]))  # p = 0.75 and 0.9",
            "loss, cache = focal_loss_forward(logits, np.array([1, 1]))",
            "loss",
            "focal_loss_backward(np.array([1.0, 1.0]), cache)",
        ),
        given=("log_softmax_forward",),
        hint="The cache may be whatever your backward needs. With a gamma below 1 the derivative\n"
        "of (1 - p)^gamma alone is infinite at p = 1; times log p it is not.",
    ),
)
