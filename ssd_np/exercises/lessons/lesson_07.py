"""The exercises of lesson 07: the base network and its feature maps."""

from ssd_np.exercises.exercise import Exercise

EXERCISES = (
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
        results=("stages", "channels"),
        hint="`_build_layer(description, channels that come in, config.convolution, rng, dtype)`\n"
        "makes a layer and draws its weights: call it from the image on. An image has 3 channels.",
    ),
)
