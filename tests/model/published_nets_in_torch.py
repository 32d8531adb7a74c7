"""Two published detectors in plain PyTorch, an oracle for the configs that describe them.

`slim(path)` is the 1 MB face detector of Linzaer (batch normalisation kept, so that gradients and
running statistics can be compared), `mobilenet_coco(path)` Google's quantised SSD MobileNet v1 in
float. Both take RGB images (N, H, W, 3) on the 0..255 scale, and give logits (N, T, K) and offsets
(N, T, 4) in (dx, dy, dw, dh). Written from the files' tensors and from what is known of the makers'
code, not from this package: nothing of it is imported here.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def _rows(maps, width):
    """Maps (N, A*width, h, w) -> (N, sum of h*w*A, width), in the order map, row, column, box."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(len(m), -1, width) for m in maps], dim=1)


# --- the face detector ----------------------------------------------------------------------------

SLIM_BLOCKS = [  # channels out, stride of the depthwise convolution
    (32, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1),
    (128, 2), (128, 1), (128, 1), (256, 2), (256, 1),
]  # fmt: skip
SLIM_SIDES = [(10, 16, 24), (32, 48), (64, 96), (128, 192, 256)]  # pixels of the input


def _separable_with_norm(c_in, c_out, stride):
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False),
        nn.BatchNorm2d(c_in),
        nn.ReLU(),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(),
    )


def _separable(c_in, c_out, stride=1):
    """With biases and no normalisation: the heads, and the middle of the extra block."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in), nn.ReLU(), nn.Conv2d(c_in, c_out, 1)
    )


class Slim(nn.Module):
    """Attributes are named so that the state dict has the published names."""

    def __init__(self):
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks, c_in = [stem], 16
        for c_out, stride in SLIM_BLOCKS:
            blocks.append(_separable_with_norm(c_in, c_out, stride))
            c_in = c_out
        self.base_net = nn.Sequential(*blocks)
        extra = nn.Sequential(
            nn.Conv2d(256, 64, 1), nn.ReLU(), _separable(64, 256, stride=2), nn.ReLU()
        )
        self.extras = nn.ModuleList([extra])
        sides = list(zip((64, 128, 256), (3, 2, 2), strict=True))
        for name, width in (("classification_headers", 2), ("regression_headers", 4)):
            heads = [_separable(channels, boxes * width) for channels, boxes in sides]
            heads.append(nn.Conv2d(256, 3 * width, 3, padding=1))
            setattr(self, name, nn.ModuleList(heads))

    def forward(self, images):
        x = (images.permute(0, 3, 1, 2) - 127) / 128
        maps = []
        for i, block in enumerate(self.base_net):
            x = block(x)
            if i in (7, 10, 12):
                maps.append(x)
        maps.append(self.extras[0](x))
        classes = [h(m) for h, m in zip(self.classification_headers, maps, strict=True)]
        offsets = [h(m) for h, m in zip(self.regression_headers, maps, strict=True)]
        return _rows(classes, 2), _rows(offsets, 4)


def slim(path, dtype=torch.float32):
    """The network with the file's weights, in evaluation mode."""
    network = Slim()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(dtype).eval()


def slim_default_boxes(height, width):
    """(T, 4) float64, (cx, cy, w, h): squares by pixel sides, the four numbers limited to 0..1."""
    rows = []
    h, w = height // 8, width // 8
    for sides in SLIM_SIDES:
        for row in range(h):
            for column in range(w):
                for side in sides:
                    rows.append(((column + 0.5) / w, (row + 0.5) / h, side / width, side / height))
        h, w = -(-h // 2), -(-w // 2)
    return np.clip(np.array(rows), 0, 1)


def slim_decode(offsets, boxes):
    """(T, 4), (T, 4) -> corners (T, 4), not clipped."""
    x = boxes[:, 0] + 0.1 * offsets[:, 0] * boxes[:, 2]
    y = boxes[:, 1] + 0.1 * offsets[:, 1] * boxes[:, 3]
    w, h = boxes[:, 2] * np.exp(0.2 * offsets[:, 2]), boxes[:, 3] * np.exp(0.2 * offsets[:, 3])
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)


def slim_suppress(corners, scores, threshold=0.7, overlap=0.3, candidates=200):
    """The author's greedy suppression: indices of the kept faces, best first."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold][:candidates]
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(corners[best, :2], corners[order, :2])
        high = np.minimum(corners[best, 2:], corners[order, 2:])
        both = np.prod(np.maximum(high - low, 0), axis=1)
        areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
        order = order[both / (areas[best] + areas[order] - both + 1e-5) <= overlap]
    return kept


# --- the COCO detector ----------------------------------------------------------------------------

TRUNK = "FeatureExtractor/MobilenetV1/MobilenetV1/Conv2d_{}"
EXTRA = "FeatureExtractor/MobilenetV1/Conv2d_13_pointwise_{}_Conv2d_{}"
TRUNK_STRIDES = {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: 2, 7: 1, 8: 1, 9: 1, 10: 1, 11: 1, 12: 2, 13: 1}
EXTRAS = [("1x1_192", "3x3_s2_384"), ("1x1_96", "3x3_s2_192"), ("1x1_96", "3x3_s2_192"),
          ("1x1_48", "3x3_s2_96")]  # fmt: skip


def tflite_tensors(path):
    """All weights, biases and anchors of the file as float64 by name, read with `tflite`."""
    import tflite

    model = tflite.Model.GetRootAsModel(Path(path).read_bytes(), 0)
    graph = model.Subgraphs(0)
    found = {}
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(data, int) or not len(data) or tensor.Quantization() is None:
            continue
        kind = {tflite.TensorType.UINT8: np.uint8, tflite.TensorType.INT32: np.int32}
        whole = data.view(kind[tensor.Type()]).reshape(tensor.ShapeAsNumpy()).astype(np.float64)
        scale, zero = tensor.Quantization().Scale(0), tensor.Quantization().ZeroPoint(0)
        found[tensor.Name().decode()] = (whole - zero) * scale
    return found


class MobilenetCoco(nn.Module):
    """Parameters are kept under the file's names (dots replaced), in PyTorch's layout."""

    def __init__(self, path, dtype):
        super().__init__()
        self.names = {}
        for name, array in tflite_tensors(path).items():
            if name == "anchors":
                continue
            if array.ndim == 4:
                depthwise = "depthwise" in name
                array = array.transpose(3, 0, 1, 2) if depthwise else array.transpose(0, 3, 1, 2)
            self.names[name] = name.replace(".", "_").replace("/", "__")
            tensor = torch.from_numpy(np.ascontiguousarray(array)).to(dtype)
            self.register_parameter(self.names[name], nn.Parameter(tensor))

    def tensor(self, name):
        return getattr(self, self.names[name])

    def _layer(self, x, name, stride, bias, relu6=True, depthwise=False):
        w = self.tensor(name + "/weights_quant/FakeQuantWithMinMaxVars")
        b = self.tensor(name + bias)
        size, kernel = x.shape[2], w.shape[2]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)  # TensorFlow's SAME
        before, after = total // 2, total - total // 2
        x = functional.pad(x, (before, after, before, after))
        x = functional.conv2d(x, w, b, stride, groups=len(w) if depthwise else 1)
        return torch.clamp(x, 0, 6) if relu6 else x

    def forward(self, images):
        x = (images.permute(0, 3, 1, 2) - 128) / 128
        maps = []
        x = self._layer(x, TRUNK.format(0), 2, "/Conv2D_Fold_bias")
        for i, stride in TRUNK_STRIDES.items():
            name = TRUNK.format(f"{i}_depthwise")
            x = self._layer(x, name, stride, "/depthwise_Fold_bias", depthwise=True)
            x = self._layer(x, TRUNK.format(f"{i}_pointwise"), 1, "/Conv2D_Fold_bias")
            if i in (11, 13):
                maps.append(x)
        for i, (narrow, wide) in enumerate(EXTRAS, start=2):
            x = self._layer(x, EXTRA.format(1, f"{i}_{narrow}"), 1, "/Conv2D_Fold_bias")
            x = self._layer(x, EXTRA.format(2, f"{i}_{wide}"), 2, "/Conv2D_Fold_bias")
            maps.append(x)
        heads = {"ClassPredictor": [], "BoxEncodingPredictor": []}
        for i, m in enumerate(maps):
            for kind, outputs in heads.items():
                outputs.append(
                    self._layer(m, f"BoxPredictor_{i}/{kind}", 1, "/Conv2D_bias", relu6=False)
                )
        logits = _rows(heads["ClassPredictor"], 91)
        offsets = _rows(heads["BoxEncodingPredictor"], 4)  # (dy, dx, dh, dw)
        return logits, offsets[..., [1, 0, 3, 2]]


def mobilenet_coco(path, dtype=torch.float32):
    """The network with the file's weights as floats; 91 columns of logits, for a sigmoid."""
    return MobilenetCoco(path, dtype).eval()


def coco_default_boxes():
    """(1917, 4) float64, (cx, cy, w, h), by TensorFlow's scales; nothing clipped."""
    scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0]
    rows = []
    for k, n in enumerate((19, 10, 5, 3, 2, 1)):
        if k == 0:
            shapes = [(0.1, 1), (0.2, 2), (0.2, 1 / 2)]
        else:
            shapes = [(scales[k], ratio) for ratio in (1, 2, 1 / 2, 3, 1 / 3)]
            shapes.append(((scales[k] * scales[k + 1]) ** 0.5, 1))
        for row in range(n):
            for column in range(n):
                for s, ratio in shapes:
                    centre = ((column + 0.5) / n, (row + 0.5) / n)
                    rows.append((*centre, s * ratio**0.5, s / ratio**0.5))
    return np.array(rows)
