"""The exercises of lesson 08: convolutional predictors and the whole network."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "prediction_rows", 8, "ssd_np.model.heads", ("grid_to_rows", "rows_to_grid"),
        "test_heads.py",
        (
            "grid = np.array([1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 20, 21, 22, 23])",
            "logits, offsets = grid_to_rows(grid.reshape(1, 1, 1, 14), boxes=2)  # 3 classes",
            "logits",
            "offsets",
            "rows_to_grid(logits, offsets, (1, 1, 1, 14))",
        ),
        results=("logits", "offsets"),
    ),
    Exercise(
        "shape_trace", 8, "ssd_np.model.trace", ("trace",), "test_trace.py",
        (
            "from ssd_np.config import load_config",
            "rows = trace(load_config('tiny'))",
            "[row.name for row in rows[:3]]",
            "rows[0].output, rows[0].kind",
            "rows[0].parameters  # 3 * 3 * 3 * 24 weights, 24 biases",
            "rows[0].multiply_adds  # 64 * 64 cells of 24 channels, 3 * 3 * 3 products each",
            "rows[2].output, rows[2].kind",
        ),
        given=("ConvLayer", "Row", "receptive_fields"),
        hint="The rows of a map `m` are m, m_norm (if it has an `l2norm_scale`), conf_m, loc_m.\n"
        "Kinds are 'conv 3x3', 'conv 3x3 dil 6', 'max 2x2', 'max 2x2 ceil' and 'L2Norm', which\n"
        "has one parameter a channel. `layer.output_shape((rows, columns))` are those of the\n"
        "output, `layer.label` is the kind, `receptive_fields(config)` has the fields of layers\n"
        "and, as 'head_m', of the heads.\n"
        "These have kernels of `config.head_kernel` taps on a side.",
    ),
)
