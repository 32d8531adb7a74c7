"""The exercises of lesson 07: the base network and its feature maps."""

from ssd_np.exercises.exercise import Exercise

# fmt: off
EXERCISES = (
    Exercise(
        "output_size", 7, "ssd_np.geometry", ("output_size",), "test_layer_sizes.py",
        (
            "output_size(19, kernel=3, stride=2, border=(1, 1))  # conv8_2",
            "output_size(19, kernel=3, border=(6, 6), dilation=6)  # fc6",
            "output_size(75, kernel=2, stride=2)  # a pooling",
            "output_size(75, kernel=2, stride=2, ceil=True)  # pool3 of VGG-16 in Caffe",
            "output_size(300, kernel=3, stride=2, border=(0, 1))  # TensorFlow's SAME",
        ),
        hint="A window must fit into the map and its border, cells before and cells after. Only\n"
        "`ceil` keeps a last window that does not, if one is needed to reach the end and it\n"
        "begins inside the map or the border before it.",
    ),
    Exercise(
        "receptive_fields", 7, "ssd_np.model.receptive_field", ("receptive_fields",),
        "test_receptive_field.py",
        (
            "from ssd_np.config import load_config",
            "fields = receptive_fields(load_config('tiny'))",
            "fields['conv1_1']  # 3 x 3 with stride 2 and a border of 1",
            "fields['conv2_1']  # 3 x 3: one cell of conv1_1 more on each side",
            "fields['pool2']  # 2 x 2 with stride 2",
            "fields['head_conv6_2']",
        ),
        given=("ReceptiveField", "Window", "borders"),
        hint="ReceptiveField(size, stride, center) holds size, stride and the centre of the first\n"
        "cell's field (y, x), which is start' of the formula on each axis; for the image itself\n"
        "it is (1, 1, (0.5, 0.5)). `layer.window` has kernel, stride, dilation and pad, and\n"
        "`borders(pad)` is ((top, bottom), (left, right)): p of the formula is the first of each.\n"
        "A head is a convolution with kernels of `config.head_kernel` taps, an odd number, that\n"
        "keeps the size of its map.",
    ),
    Exercise(
        "build_stages", 7, "ssd_np.model.base", ("build_stages",), "test_base.py",
        (
            "from ssd_np.config import load_config",
            "stages, channels = build_stages(load_config('tiny'), np.random.default_rng(0))",
            "[[layer.name for layer in stage] for stage in stages[1:]]",
            "channels",
        ),
        given=("Sequential", "select"),
        results=("stages", "channels"),
        hint="`description.build(channels that come in, rng, dtype, ops)` makes a layer and draws\n"
        "its weights: call it from the image on, which has 3 channels.\n"
        "`description.output_channels(channels that come in)` is what comes out. `ops` is the\n"
        "engine that layers compute with; if none is given, it is `select()`.",
    ),
)
