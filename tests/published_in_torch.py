"""The published SSD built from plain torch layers, as torchvision does: an oracle for tests.

Written from the published descriptions, not from the configs of the package. Layers are nested as
in torchvision, so that a state dict has torchvision's names. `divisor` makes narrow copies.
"""

import dataclasses
import re

import pytest

from ssd_np.config import Config, ConvLayer

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
