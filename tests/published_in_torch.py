"""The published SSD built from plain torch layers, as torchvision does: an oracle for tests.

Written from the published descriptions, not from the configs of the package. Layers are nested as
in torchvision, so that a state dict has torchvision's names. `divisor` makes narrow copies.
"""

import dataclasses
import re

import numpy as np
import pytest

from ssd_np.config import Config, ConvLayer
from ssd_np.model.published import from_published, torchvision_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import set_parameters

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

BOXES = {300: (4, 6, 6, 6, 4, 4), 512: (4, 6, 6, 6, 6, 4, 4)}  # in a cell of each map


class TorchSSD(nn.Module):
    """(N, 3, S, S) -> logits (N, T, K), offsets (N, T, 4)."""

    def __init__(self, classes: int, divisor: int = 1, side: int = 300) -> None:
        super().__init__()
        self.classes = classes
        self.backbone, widths = backbone(divisor, side), [512, 1024, 512, 256, 256, 256, 256]
        self.head = nn.Module()
        for name, outputs in (("classification_head", classes), ("regression_head", 4)):
            head = nn.Module()
            head.module_list = nn.ModuleList(
                nn.Conv2d(width // divisor, boxes * outputs, 3, padding=1)
                for width, boxes in zip(widths, BOXES[side], strict=False)
            )
            setattr(self.head, name, head)

    def forward(self, images):
        x = self.backbone.features(images)
        length = x.square().sum(1, keepdim=True).add(1e-10).sqrt()  # Caffe: eps in the root
        maps = [self.backbone.scale_weight.view(1, -1, 1, 1) * x / length]
        for block in self.backbone.extra:
            x = block(x)
            maps.append(x)
        return (self._rows(maps, self.head.classification_head, self.classes),
                self._rows(maps, self.head.regression_head, 4))  # fmt: skip

    def _rows(self, maps, head, outputs):
        rows = []
        for x, conv in zip(maps, head.module_list, strict=True):
            y = conv(x)  # (N, A*outputs, H, W)
            n, _, h, w = y.shape
            y = y.view(n, -1, outputs, h, w).permute(0, 3, 4, 1, 2)  # (N, H, W, A, outputs)
            rows.append(y.reshape(n, -1, outputs))
        return torch.cat(rows, 1)


def backbone(divisor: int, side: int) -> nn.Module:
    """VGG-16 to conv4_3, then a block for each further map."""

    def conv(c_in, c_out, kernel, **how):
        return [nn.Conv2d(c_in // divisor, c_out // divisor, kernel, **how), nn.ReLU()]

    def same(c_in, c_out):
        return conv(c_in, c_out, 3, padding=1)

    features = nn.Sequential(
        nn.Conv2d(3, 64 // divisor, 3, padding=1), nn.ReLU(), *same(64, 64), nn.MaxPool2d(2, 2),
        *same(64, 128), *same(128, 128), nn.MaxPool2d(2, 2),
        *same(128, 256), *same(256, 256), *same(256, 256), nn.MaxPool2d(2, 2, ceil_mode=True),
        *same(256, 512), *same(512, 512), *same(512, 512),
    )  # fmt: skip
    fc = nn.Sequential(
        nn.MaxPool2d(3, 1, 1), *conv(512, 1024, 3, padding=6, dilation=6), *conv(1024, 1024, 1)
    )
    five = nn.Sequential(nn.MaxPool2d(2, 2), *same(512, 512), *same(512, 512), *same(512, 512), fc)
    last = dict(stride=2, padding=1) if side == 512 else {}
    extra = [
        five,
        nn.Sequential(*conv(1024, 256, 1), *conv(256, 512, 3, stride=2, padding=1)),
        nn.Sequential(*conv(512, 128, 1), *conv(128, 256, 3, stride=2, padding=1)),
        nn.Sequential(*conv(256, 128, 1), *conv(128, 256, 3, **last)),
        nn.Sequential(*conv(256, 128, 1), *conv(128, 256, 3, **last)),
    ]
    if side == 512:
        extra.append(nn.Sequential(*conv(256, 128, 1), *conv(128, 256, 4, padding=1)))
    whole = nn.Module()
    whole.features, whole.extra = features, nn.ModuleList(extra)
    whole.scale_weight = nn.Parameter(torch.full((512 // divisor,), 20.0))
    return whole


def random_torch_ssd(classes: int, divisor: int = 1, side: int = 300, seed: int = 0) -> TorchSSD:
    """Weights that keep activations alive in all layers; biases too are random."""
    torch.manual_seed(seed)
    net = TorchSSD(classes, divisor, side)
    for name, parameter in net.named_parameters():
        if parameter.ndim == 4:
            fan_in = parameter[0].numel()
            spread = 1.0 if "head" in name else 2.0
            nn.init.normal_(parameter, std=(spread / fan_in) ** 0.5)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
        else:
            nn.init.uniform_(parameter, 10, 30)
    return net.eval()


def narrow(config: Config, divisor: int) -> Config:
    """The same network with fewer channels."""
    layers = tuple(
        dataclasses.replace(layer, channels=layer.channels // divisor)
        if isinstance(layer, ConvLayer)
        else layer
        for layer in config.layers
    )
    return dataclasses.replace(config, layers=layers)


def numpy_twin(net: TorchSSD, config: Config, dtype=np.float64) -> SSD:
    """Our SSD of `config` with the weights of `net` (SSD300 only)."""
    model = SSD(config, dtype=dtype)
    arrays = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    arrays = from_published(arrays, torchvision_names(), model, "torch")
    set_parameters(model, arrays, "torch")
    return model


def amdegroot_name(name: str) -> str:
    """torchvision's name of a tensor -> amdegroot's, by the positions in his lists."""
    if name == "backbone.scale_weight":
        return "L2Norm.weight"
    part = name.rsplit(".", 1)[1]
    numbers = [int(n) for n in re.findall(r"\.(\d+)(?=\.)", name)]
    if name.startswith("backbone.features"):
        return f"vgg.{numbers[0]}.{part}"
    if name.startswith("backbone.extra.0.7"):
        return f"vgg.{30 + numbers[2]}.{part}"
    if name.startswith("backbone.extra.0"):
        return f"vgg.{23 + numbers[1]}.{part}"
    if name.startswith("backbone.extra"):
        return f"extras.{2 * (numbers[0] - 1) + numbers[1] // 2}.{part}"
    return f"{'conf' if 'classification' in name else 'loc'}.{numbers[0]}.{part}"


# --- torchvision's rules around the network ------------------------------------------------------

SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)  # SSD300 on COCO
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
STEPS = (8, 16, 32, 64, 100, 300)
GRIDS = (38, 19, 10, 5, 3, 1)
COCO_MEAN = (0.48235, 0.45882, 0.40784)  # of images in [0, 1], which are then multiplied by 255


def torchvision_boxes() -> torch.Tensor:
    """(8732, 4) center boxes in fractions of the image, with width and height limited to 1."""
    maps = []
    for k, (grid, step) in enumerate(zip(GRIDS, STEPS, strict=True)):
        s, larger = SCALES[k], (SCALES[k] * SCALES[k + 1]) ** 0.5
        pairs = [(s, s), (larger, larger)]
        for ratio in RATIOS[k]:
            pairs += [(s * ratio**0.5, s / ratio**0.5), (s / ratio**0.5, s * ratio**0.5)]
        sizes = torch.tensor(pairs, dtype=torch.float64).clamp(0, 1)  # (A, 2)
        shifts = (torch.arange(grid, dtype=torch.float64) + 0.5) / (300 / step)
        y, x = torch.meshgrid(shifts, shifts, indexing="ij")
        centers = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, len(pairs), 2)
        cells = sizes.expand(grid * grid, -1, 2)
        maps.append(torch.cat([centers, cells], -1).reshape(-1, 4))
    return torch.cat(maps)


def corners(center: torch.Tensor) -> torch.Tensor:
    return torch.cat([center[..., :2] - center[..., 2:] / 2, center[..., :2] + center[..., 2:] / 2],
                     -1)  # fmt: skip


def torchvision_decode(offsets: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Offsets (T, 4) with weights 10, 10, 5, 5 and the limit on exp -> center boxes (T, 4)."""
    center = offsets[:, :2] / 10 * boxes[:, 2:] + boxes[:, :2]
    exponent = (offsets[:, 2:] / 5).clamp(max=float(np.log(1000 / 16)))
    return torch.cat([center, exponent.exp() * boxes[:, 2:]], -1)


def torch_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b)]
    return shared / (area[0][:, None] + area[1] - shared)


def torchvision_match(gt_corner: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """(T,): the best object from IoU 0.5 on, else -1; and for each object its best box."""
    iou = torch_iou(gt_corner, corners(boxes))  # (G, T)
    best, matched = iou.max(0)
    matched[best < 0.5] = -1
    matched[iou.max(1)[1]] = torch.arange(len(gt_corner))
    return matched


def torch_nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    order, kept = scores.argsort(descending=True, stable=True), []
    while len(order):
        kept.append(order[0])
        order = order[1:][~(torch_iou(boxes[order[:1]], boxes[order[1:]])[0] > threshold)]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)


def torchvision_preprocess(image: np.ndarray, mean=COCO_MEAN) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, 300, 300): normalised, then resized without antialiasing.

    In float64: torch's float32 puts the neighbours' shares 0.005 grey levels off.
    """
    x = torch.tensor(image, dtype=torch.float64).permute(2, 0, 1)[None] / 255
    x = (x - torch.tensor(mean, dtype=torch.float64).view(3, 1, 1)) * 255
    return functional.interpolate(x, (300, 300), mode="bilinear", align_corners=False)


def torchvision_detections(logits: torch.Tensor, offsets: torch.Tensor) -> tuple:
    """One image's outputs -> corner boxes (D, 4) in fractions, scores (D,), labels (D,)."""
    boxes = corners(torchvision_decode(offsets, torchvision_boxes().to(offsets))).clamp(0, 1)
    scores, found = logits.softmax(-1), []
    for label in range(1, logits.shape[1]):
        above = (scores[:, label] > 0.01).nonzero()[:, 0]
        best = above[scores[above, label].argsort(descending=True, stable=True)[:400]]
        kept = best[torch_nms(boxes[best], scores[best, label], 0.45)]
        found.append((boxes[kept], scores[kept, label], torch.full((len(kept),), label)))
    boxes, scores, labels = (torch.cat(column) for column in zip(*found, strict=True))
    order = scores.argsort(descending=True, stable=True)[:200]
    return boxes[order], scores[order], labels[order]
