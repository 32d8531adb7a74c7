"""The exercises: which functions of the library are left blank, and which tests grade them.

Everything else in an exercise's file (signatures, docstrings, helper functions, the results of the
worked example) is taken from the library when the file is made, so it can not drift from it.
"""

from dataclasses import dataclass

from ssd_np.errors import ConfigError

LESSONS = {
    2: "default boxes",
    3: "IoU and matching",
    4: "encoding and variances",
    5: "convolution as im2col, and its gradient",
    6: "pooling, ReLU, L2Norm",
    7: "the base network and its feature maps",
    8: "convolutional predictors and the whole network",
    9: "the SSD loss",
    10: "photometric augmentation",
    11: "geometric augmentation",
    12: "training",
    13: "decoding and non-maximum suppression",
    14: "mean average precision",
}

# Graded are results. The refusal of bad input, memory that the caller provides, arrays that are not
# contiguous and tiles are the library's own business; PyTorch is not asked, so that the grader is
# the same for all.
NOT_GRADED = ("named", "refuse", "torch", "memory_given", "unwanted", "views", "tiles")


@dataclass(frozen=True)
class Exercise:
    """`functions` of `module` are to be written; `tests` (a file of graded/) grade them.

    given    helper functions and imported names that the blank file offers
    example  lines of Python; the values of those that are expressions are worked out and shown
    hint     what a writer must know that the docstrings do not say
    """

    name: str
    lesson: int
    module: str
    functions: tuple[str, ...]
    tests: str
    example: tuple[str, ...]
    given: tuple[str, ...] = ()
    hint: str = ""


EXERCISES = (
    Exercise(
        "corner_to_center",
        2,
        "ssd_np.boxes.coords",
        ("corner_to_center", "center_to_corner"),
        "test_coords.py",
        (
            "corner_to_center(np.array([[0.1, 0.2, 0.5, 0.8]]))",
            "center_to_corner(np.array([[0.3, 0.5, 0.4, 0.6]]))",
        ),
    ),
    Exercise(
        "default_boxes",
        2,
        "ssd_np.boxes.default_boxes",
        ("box_shapes", "default_boxes_for_map"),
        "test_default_boxes.py",
        (
            "conv9 = FeatureMapConfig('conv9', 1, 8, min_size=9, max_size=16, aspect_ratios=(4,))",
            "box_shapes(conv9)",
            "from ssd_np.config import load_config",
            "boxes = default_boxes_for_map(load_config('tiny'), 2)  # 4 x 4 cells, 4 boxes each",
            "boxes.shape",
            "boxes[0, 1, :, :4] * 128  # row 0, column 1: four boxes on one centre, in pixels",
        ),
    ),
    Exercise(
        "iou_matrix",
        3,
        "ssd_np.boxes.iou",
        ("iou_matrix",),
        "test_iou.py",
        ("iou_matrix(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [0, 0, 4, 4.0]]))",),
        given=("_same_type", "area"),
        hint="`_same_type` makes both arrays floats of one type; `area` gives (A,) areas.",
    ),
    Exercise(
        "match",
        3,
        "ssd_np.boxes.matching",
        ("match_iou",),
        "test_matching.py",
        (
            "iou = np.array([[0.95, 0.96], [0.30, 0.00]])  # 2 objects, 2 default boxes",
            "match_iou(iou)  # both want box 0: object 1 has no other, so object 0 takes box 1",
            "match_iou(np.array([[0.7, 0.6, 0.45, 0.2]]), threshold=0.5, neutral_threshold=0.4)",
        ),
        given=("BACKGROUND", "NEUTRAL", "_neutral_limit"),
        hint="`match` works out the overlaps (G, T) of objects and default boxes and calls\n"
        "`match_iou`. A box that no rule matches is neutral when its best IoU reaches\n"
        "`neutral_threshold`. Among equal overlaps the lowest object wins, then the lowest\n"
        "default box. An object that overlaps no default box at all stays unmatched.",
    ),
    Exercise(
        "encode",
        4,
        "ssd_np.boxes.codec",
        ("encode",),
        "test_codec.py",
        (
            "default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])",
            "encode(np.array([[0.55, 0.48, 0.3, 0.2]]), default)",
        ),
        given=("_columns",),
    ),
    Exercise(
        "decode",
        4,
        "ssd_np.boxes.codec",
        ("decode",),
        "test_codec.py",
        (
            "default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])",
            "decode(np.array([[2.0, -0.8, 0.0, 1.0]]), default)",
        ),
        given=("LARGEST_EXPONENT", "_columns"),
    ),
    Exercise(
        "decode_backward",
        4,
        "ssd_np.boxes.codec",
        ("decode_backward",),
        "test_codec.py",
        (
            "default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])",
            "decode_backward(np.ones((1, 4)), np.array([[2.0, -0.8, 0.0, 1.0]]), default)",
        ),
        given=("LARGEST_EXPONENT", "_columns", "decode"),
        hint="`dcenter` is the gradient of what `decode` returned.",
    ),
    Exercise(
        "im2col",
        5,
        "ssd_np.nn.im2col",
        ("im2col",),
        "test_im2col.py",
        (
            "im2col(np.arange(9.0).reshape(1, 3, 3, 1), kernel=2)  # 4 windows of 2 x 2",
            "im2col(np.arange(4.0).reshape(1, 2, 2, 1), kernel=3, pad=1)[0].reshape(3, 3)",
        ),
        given=("kernel_sides", "output_size"),
        hint="A row runs over kernel rows, kernel columns, channels: (i, j, c).",
    ),
    Exercise(
        "col2im",
        5,
        "ssd_np.nn.im2col",
        ("col2im",),
        "test_im2col.py",
        ("col2im(np.ones((4, 4)), (1, 3, 3, 1), kernel=2)[0, :, :, 0]  # windows above a pixel",),
        given=("kernel_sides", "output_size"),
    ),
    Exercise(
        "conv2d_forward",
        5,
        "ssd_np.nn.conv",
        ("conv2d_forward",),
        "test_conv.py",
        (
            "x = np.arange(9.0).reshape(1, 3, 3, 1)",
            "w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)",
            "out, cache = conv2d_forward(x, w, np.array([10.0]))",
            "out[0, :, :, 0]",
        ),
        given=("im2col_plain", "tiled"),
        hint="`tiled.output_shape(x.shape, w.shape, stride, pad, dilation)` is (N, Ho, Wo, Co).\n"
        "The cache is (x, w, stride, pad, dilation, algorithm). relu=True asks for max(0, .) of\n"
        "the result; `algorithm` and `out` choose how the library computes: you need not use them.",
    ),
    Exercise(
        "conv2d_backward",
        5,
        "ssd_np.nn.conv",
        ("conv2d_backward",),
        "test_conv.py",
        (
            "x = np.arange(9.0).reshape(1, 3, 3, 1)",
            "w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)",
            "cache = (x, w, 1, 0, 1, 'plain')  # stride 1, no padding, dilation 1",
            "dx, dw, db = conv2d_backward(np.array([[1.0, 0], [0, 2]]).reshape(1, 2, 2, 1), cache)",
            "dx[0, :, :, 0]",
            "dw[:, :, 0, 0]",
            "db",
        ),
        given=("im2col_plain", "col2im_plain"),
        hint="The cache is (x, w, stride, pad, dilation, algorithm). `input_gradient`,\n"
        "`kernel_gradient` and `dx` spare the library work; you need not use them.",
    ),
    Exercise(
        "max_pool2d_backward",
        6,
        "ssd_np.nn.pool",
        ("max_pool2d_backward",),
        "test_pool.py",
        (
            "from ssd_np.nn.pool import max_pool2d_forward",
            "_, cache = max_pool2d_forward(np.array([1.0, 2, 1]).reshape(1, 1, 3, 1), 3, 1, 1)",
            "max_pool2d_backward(np.array([10.0, 20, 40]).reshape(1, 1, 3, 1), cache).ravel()",
        ),
        hint="The cache is (shape of x, size, stride, pad, tap). tap (N, Ho, Wo, C) says where in\n"
        "its window a value came from, as i * size + j: row i, column j of the window, whose\n"
        "corner lies at row oy * stride - pad and column ox * stride - pad of x. You need not use\n"
        "`dx`.",
    ),
    Exercise(
        "l2norm_backward",
        6,
        "ssd_np.nn.l2norm",
        ("l2norm_backward",),
        "test_l2norm.py",
        (
            "_, cache = l2norm_forward(np.array([[3.0, 4.0]]), np.array([10.0, 20.0]))",
            "l2norm_backward(np.array([[1.0, 0.0]]), cache)",
        ),
        given=("FORMS", "l2norm_forward"),
        hint="The cache is (x / norm, norm, scale, eps, form).",
    ),
    Exercise(
        "layer_output_size",
        7,
        "ssd_np.config",
        ("layer_output_size",),
        "test_layer_sizes.py",
        (
            "layer_output_size(ConvLayer('conv8_2', 512, kernel=3, stride=2, pad=1), 19)",
            "layer_output_size(ConvLayer('fc6', 1024, kernel=3, pad=6, dilation=6), 19)",
            "layer_output_size(PoolLayer('pool3', size=2, stride=2), 75)",
            "layer_output_size(PoolLayer('pool3', size=2, stride=2, ceil=True), 75)",
        ),
        hint="A window must fit into the map and its border of `pad` cells on each side. Only a\n"
        "pooling with `ceil` keeps a last window that does not, if one is needed to reach the end\n"
        "and it begins inside the map or its left border.",
    ),
    Exercise(
        "receptive_fields",
        7,
        "ssd_np.model.receptive_field",
        ("receptive_fields",),
        "test_receptive_field.py",
        (
            "from ssd_np.config import load_config",
            "fields = receptive_fields(load_config('tiny'))",
            "fields['conv1_1']  # 3 x 3 with stride 2 and a border of 1",
            "fields['conv2_1']  # 3 x 3: one cell of conv1_1 more on each side",
            "fields['pool2']  # 2 x 2 with stride 2",
            "fields['head_conv6_2']",
        ),
        given=("ConvLayer", "ReceptiveField"),
        hint="ReceptiveField(size, stride, center) holds size, stride and the centre of the first\n"
        "cell's field, which is start' of the formula; for the image itself it is (1, 1, 0.5).\n"
        "A head is a convolution with kernels of `config.head_kernel` taps, an odd number, that\n"
        "keeps the size of its map.",
    ),
    Exercise(
        "build_stages",
        7,
        "ssd_np.model.base",
        ("build_stages",),
        "test_base.py",
        (
            "from ssd_np.config import load_config",
            "stages, channels = build_stages(load_config('tiny'), np.random.default_rng(0))",
            "[[layer.name for layer in stage] for stage in stages[1:]]",
            "channels",
        ),
        given=("ConvLayer", "Sequential", "_build_layer"),
        hint="`_build_layer(description, channels that come in, config.convolution, rng, dtype)`\n"
        "makes a layer and draws its weights: call it from the image on. An image has 3 channels.",
    ),
    Exercise(
        "prediction_rows",
        8,
        "ssd_np.model.heads",
        ("grid_to_rows", "rows_to_grid"),
        "test_heads.py",
        (
            "grid = np.array([1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 20, 21, 22, 23])",
            "logits, offsets = grid_to_rows(grid.reshape(1, 1, 1, 14), boxes=2)  # 3 classes",
            "logits",
            "offsets",
            "rows_to_grid(logits, offsets, (1, 1, 1, 14))",
        ),
        hint="You need not use `out`.",
    ),
    Exercise(
        "shape_trace",
        8,
        "ssd_np.model.trace",
        ("trace",),
        "test_trace.py",
        (
            "from ssd_np.config import load_config",
            "rows = trace(load_config('tiny'))",
            "[row.name for row in rows[:3]]",
            "rows[0].output, rows[0].kind",
            "rows[0].parameters  # 3 * 3 * 3 * 24 weights, 24 biases",
            "rows[0].multiply_adds  # 64 * 64 cells of 24 channels, 3 * 3 * 3 products each",
            "rows[2].output, rows[2].kind",
        ),
        given=("ConvLayer", "Row", "layer_output_size", "receptive_fields"),
        hint="The rows of a map `m` are m, m_norm (if it has an `l2norm_scale`), conf_m, loc_m.\n"
        "Kinds are 'conv 3x3', 'conv 3x3 dil 6', 'max 2x2', 'max 2x2 ceil' and 'L2Norm', which\n"
        "has one parameter a channel. `layer_output_size(layer, size)` is the side of an output,\n"
        "`receptive_fields(config)` has the fields of layers and, as 'head_m', of the heads.\n"
        "These have kernels of `config.head_kernel` taps on a side.",
    ),
    Exercise(
        "softmax",
        9,
        "ssd_np.nn.softmax",
        ("softmax", "log_softmax_forward", "log_softmax_backward"),
        "test_softmax.py",
        (
            "softmax(np.log(np.array([1.0, 2.0, 5.0])))",
            "log_softmax_forward(np.array([1000.0, 0.0]))[0]",
            "_, cache = log_softmax_forward(np.zeros(2))",
            "log_softmax_backward(np.array([1.0, 0.0]), cache)",
        ),
        hint="The cache may be whatever your backward needs.",
    ),
    Exercise(
        "cross_entropy_backward",
        9,
        "ssd_np.loss.cross_entropy",
        ("cross_entropy_backward",),
        "test_cross_entropy.py",
        (
            "from ssd_np.loss.cross_entropy import cross_entropy_forward",
            "_, cache = cross_entropy_forward(np.log(np.array([[1.0, 3.0]])), np.array([1]))",
            "cross_entropy_backward(np.array([2.0]), cache)",
        ),
        hint="The cache is (log-softmax of the logits, labels).",
    ),
    Exercise(
        "smooth_l1",
        9,
        "ssd_np.loss.smooth_l1",
        ("smooth_l1_forward", "smooth_l1_backward"),
        "test_smooth_l1.py",
        (
            "out, cache = smooth_l1_forward(np.array([0.0, 0.5, 1.0, -2.0]), np.zeros(4))",
            "out",
            "smooth_l1_backward(np.ones(4), cache)",
        ),
        hint="The cache may be whatever your backward needs.",
    ),
    Exercise(
        "mine_hard_negatives",
        9,
        "ssd_np.loss.mining",
        ("mine_hard_negatives",),
        "test_mining.py",
        (
            "loss = np.array([[9.0, 1, 5, 2, 4, 3, 8]])  # as background",
            "positive = np.array([[True] + 6 * [False]])",
            "mine_hard_negatives(loss, positive, ~positive)",
        ),
        hint="NaN counts as the largest loss of all, so that it is not hidden.",
    ),
    Exercise(
        "multibox_loss",
        9,
        "ssd_np.loss.multibox",
        ("multibox_loss",),
        "test_multibox.py",
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
        "total.",
    ),
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
        hint="Draw with `rng.permutation(3)`. The history, if there is one, gets the pair\n"
        "('lighting_noise', {'order': order}), a list: new channel k is old channel order[k].",
    ),
    Exercise(
        "flips",
        11,
        "ssd_np.data.geometric",
        ("horizontal_flip", "vertical_flip"),
        "test_geometric.py",
        (
            "image = np.array([[0, 1], [2, 3]])[..., None].repeat(3, axis=2)",
            "boxes, labels = np.array([[0.1, 0.2, 0.4, 0.6]]), np.array([1])",
            "rng = np.random.default_rng(0)",
            "flipped, moved, _ = horizontal_flip(image, boxes, labels, rng)",
            "flipped[..., 0]",
            "moved",
            "vertical_flip(image, boxes, labels, rng)[1]",
        ),
        hint="The history, if there is one, gets the pair ('horizontal_flip', {}) or\n"
        "('vertical_flip', {}).",
    ),
    Exercise(
        "expand",
        11,
        "ssd_np.data.geometric",
        ("expand",),
        "test_geometric.py",
        (
            "image, history = np.full((2, 2, 3), 255, np.uint8), []",
            "boxes, labels = np.array([[0, 0, 1, 0.5]]), np.array([1])",
            "rng = np.random.default_rng(0)",
            "canvas, moved, _ = expand(image, boxes, labels, rng, 4.0, (9, 9, 9), history)",
            "canvas[..., 0]",
            "moved",
            "history[0][1]['window']",
        ),
        hint="Draw, in this order, ratio = rng.uniform(1, max_ratio), for a canvas of\n"
        "int(height * ratio) rows and int(width * ratio) columns, then top and left with\n"
        "rng.integers(places that there are). The history, if there is one, gets the pair\n"
        "('expand', {'ratio': ratio, 'window': window}): the canvas in fractions of the image, a\n"
        "(4,) array. In an image of whole numbers the colour is rounded.",
    ),
    Exercise(
        "crop_rule",
        11,
        "ssd_np.data.geometric",
        ("patches_pass", "centres_inside"),
        "test_geometric.py",
        (
            "patches = np.array([[0, 0, 0.5, 1], [0, 0, 1, 0.5], [0, 0, 1, 1]])",
            "boxes = np.array([[0.125, 0, 0.5, 1], [0.25, 0.5, 0.5, 1]])",
            "iou_matrix(patches, boxes)",
            "centres_inside(patches, boxes)",
            "patches_pass(patches, boxes, 0.5)",
        ),
        given=("iou_matrix",),
    ),
    Exercise(
        "crop",
        11,
        "ssd_np.data.geometric",
        ("crop",),
        "test_geometric.py",
        (
            "image, history = np.arange(48).reshape(4, 4, 3), []",
            "boxes, labels = np.array([[0, 0, 0.75, 0.75], [0.75, 0.75, 1, 1]]), np.array([1, 2])",
            "rng, rule = np.random.default_rng(4), ((0.5,), (0.5, 1.0), (0.5, 2.0), 50)",
            "patch, moved, kept = crop(image, boxes, labels, rng, *rule, history)",
            "history[0][1]['window'] * 4  # in pixels",
            "patch.shape",
            "moved",
            "kept",
        ),
        given=("draw_patches", "into_window", "iou_matrix"),
        hint="Draw, in this order, `min_ious[int(rng.integers(len(min_ious)))]` and, unless it is\n"
        "1, `draw_patches((height, width), rng, scale, ratio, tries)`: (P, 4) fractions, whole\n"
        "pixels but for rounding, those of the `tries` patches whose shape is allowed. The first\n"
        "that passes is taken. A centre on the edge of a patch is outside. The history, if there\n"
        "is one, gets the pair ('crop', {'min_iou': ..., 'window': the patch or [0, 0, 1, 1]}).",
    ),
    Exercise(
        "learning_rate",
        12,
        "ssd_np.train.schedule",
        ("learning_rate",),
        "test_schedule.py",
        (
            "rule = TrainConfig(steps=100, learning_rate=1.0, warmup_steps=4, milestones=(0.5,))",
            "[learning_rate(step, rule) for step in (0, 1, 3, 49, 50)]",
        ),
        given=("math",),
        hint="`config` is a TrainConfig: its fields schedule, steps, learning_rate, warmup_steps,\n"
        "milestones (shares of all steps) and gamma count here. The warm-up reaches the full rate\n"
        "at step warmup_steps - 1. Rounding: a milestone is at step round(share * steps).",
    ),
    Exercise(
        "nms",
        13,
        "ssd_np.boxes.nms",
        ("nms",),
        "test_nms.py",
        (
            "boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1.8], [5, 5, 7, 7]])",
            "nms(boxes, np.array([0.6, 0.9, 0.5]))",
        ),
        given=("iou_matrix_plain",),
        hint="Indices are returned as int64.",
    ),
    Exercise(
        "average_precision",
        14,
        "ssd_np.evaluate.average_precision",
        ("all_point_ap", "eleven_point_ap"),
        "test_average_precision.py",
        (
            "recall, precision = np.array([1 / 3, 1 / 3, 2 / 3]), np.array([1, 1 / 2, 2 / 3])",
            "all_point_ap(recall, precision)  # right, wrong, right; the third is never found",
            "eleven_point_ap(recall, precision)",
        ),
        hint="Both arrays run down the list of detections, best score first; both may be empty.",
    ),
    Exercise(
        "precision_recall",
        14,
        "ssd_np.evaluate.average_precision",
        ("_curve",),
        "test_average_precision.py",
        (
            "rows = np.array([(1, 0.7, 0.9, 0), (1, 0.9, 0.8, 0), (1, 0.8, 0.1, 1)], _ASSIGNED)",
            "ignored = np.array([False, False])  # two objects, none of them difficult",
            "_curve(rows, ignored, truths=2, iou_threshold=0.5)",
        ),
        given=("_ASSIGNED",),
        hint="`rows` are the detections of one class over all images: label, score, best IoU with\n"
        "an object of their class, and which object that is. ignored[truth] is True for a\n"
        "difficult one; `truths` counts those that are not. Equal scores keep their order.",
    ),
)


def find(name: str) -> Exercise:
    """The exercise of that name; ConfigError lists those there are."""
    for exercise in EXERCISES:
        if exercise.name == name:
            return exercise
    raise ConfigError(
        f"no exercise {name!r}", hint=f"there are {', '.join(e.name for e in EXERCISES)}"
    )
