"""torchvision itself, as an oracle, where its compiled operators can not be loaded.

`pip install --no-deps torchvision` beside a CPU-only PyTorch gives its Python code: the models, the
default boxes, the loss, the decoding. The one operator which these need, non-maximum suppression,
is given to PyTorch here, written with `box_iou` of torchvision. The others are left out: their
"fake" forms, for tracing, have nothing to stand for and are not registered.

    real = pytest.importorskip("real_torchvision")
    real.ssd300(classes=21)(images)

Without PyTorch or torchvision a test that asks for it so is skipped, by a line that names what is
wanting.
"""

import torch


def _nms(boxes, scores, iou_threshold):
    """Greedy: the best box is kept, those that overlap it by more are not looked at again."""
    order, kept = scores.argsort(descending=True, stable=True), []
    while len(order):
        kept.append(order[0])
        iou = torchvision.ops.box_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][~(iou > iou_threshold)]
    return torch.stack(kept) if kept else order


def _define_operator():
    """PyTorch's `torchvision::nms`; the operator is gone with the library that is returned."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    return library


def _register_what_exists(name, *arguments, **options):
    room, _, operator = name.partition("::")
    if hasattr(getattr(torch.ops, room), operator):
        return _register(name, *arguments, **options)
    return lambda function: function


_register = torch.library.register_fake
try:
    import torchvision
except RuntimeError:  # "operator torchvision::nms does not exist"
    _library = _define_operator()
    torch.library.register_fake = _register_what_exists
    try:
        import torchvision
    finally:
        torch.library.register_fake = _register
    torchvision.ops.boxes._assert_has_ops = lambda: None


def ssd300(classes: int, seed: int = 0, dtype: torch.dtype = torch.float32, **options):
    """torchvision's `ssd300_vgg16` for `classes` scores a box, not trained; images in [0, 1].

    Kernels keep activations alive in all layers, so that every tensor matters; biases too are
    random. In float64 the shapes of the default boxes are so, too: made in float32 by themselves.
    """
    torch.manual_seed(seed)
    model = torchvision.models.detection.ssd300_vgg16(
        weights=None, weights_backbone=None, num_classes=classes, **options
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 4:
                spread = 1.0 if "head" in name else 2.0
                # all maps but the first are not normalised: their values are about 60
                size = 60 if "head" in name and ".0." not in name else 1
                parameter.normal_(std=(spread / parameter[0].numel()) ** 0.5 / size)
            elif name.endswith("bias"):
                parameter.normal_(std=0.1)
            else:
                parameter.uniform_(10, 30)  # of the normalisation
    boxes = model.anchor_generator
    boxes._wh_pairs = boxes._generate_wh_pairs(len(boxes.aspect_ratios), dtype)
    return model.to(dtype).eval()
