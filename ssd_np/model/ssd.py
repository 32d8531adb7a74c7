"""SSD: one network that looks once and says, for every default box, what it is and where.

    image -> stage 1 -> map 1 -> stage 2 -> map 2 -> ...        the trunk (model/base.py)
                         |                   |
                       head 1              head 2               the predictors (model/heads.py)
                         |                   |
                        rows of all maps, one after the other:  logits (N, T, K), offsets (N, T, 4)

Backward walks the stages in reverse. A feature map serves two masters, its head and the next stage:
the two gradients are added (SSD paper, section 2.1, figure 2).
"""

import html
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.checks import as_array, float_type, generator
from ssd_np.config import Config, load_config
from ssd_np.engine import Engine, select
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.kinds.feature_map import FeatureMap
from ssd_np.model.at_once import maps_at_once, steps_of
from ssd_np.model.base import build_stages
from ssd_np.model.heads import Head
from ssd_np.model.own_layers import as_they_are, changed
from ssd_np.model.provenance import Provenance
from ssd_np.model.separable_head import SeparableHead
from ssd_np.model.trace import trace_table
from ssd_np.nn.checks import check_outputs, check_turn
from ssd_np.nn.layers import L2Normalization, Layer, Merge
from ssd_np.nn.parameter import Parameter
from ssd_np.nn.sequential import Laterals, Sequential


class SSD:
    """The network of a config, with random weights drawn from `seed`.

    `config` may be what `load_config` reads: "tiny" and other presets, or a file. Several threads
    may call `forward` or `predict` at once; they take turns. In one of them alone it may learn.
    """

    def __init__(
        self,
        config: Config | str | Path,
        seed: int | np.random.Generator = 0,
        dtype: DTypeLike = np.float32,
        ops: Engine | None = None,
    ) -> None:
        config = config if isinstance(config, Config) else load_config(config)
        self.config, self.dtype = config, float_type(dtype)
        self.ops = (ops or select()).for_model(config.convolution)
        rng = generator(seed)
        self.stages, widths = build_stages(config, rng, self.dtype, self.ops)
        self.norms: list[L2Normalization | None] = []
        self.heads: list[Head | SeparableHead] = []
        for feature_map, c_in in zip(config.feature_maps, widths, strict=True):
            norm = None
            if feature_map.l2norm_scale is not None:
                eps, form = config.l2norm.eps, config.l2norm.form
                name = f"{feature_map.name}_norm"
                norm = L2Normalization(name, c_in, feature_map.l2norm_scale, eps, form, self.dtype)
            self.norms.append(norm)
            self.heads.append(self._head(feature_map, c_in, rng))
        self.default_boxes = default_boxes(config)  # (T, 8) float64
        self._learner: int | None = None  # the thread whose backward may follow
        self._built = as_they_are(config, self.layers)
        # names of undescribed layers that you will put in again, to `load(path, into=model)`
        self.own_layers: tuple[str, ...] = ()
        self.provenance: Provenance = ()  # where the weights come from; of random ones nothing

    def _head(
        self, feature_map: FeatureMap, c_in: int, rng: np.random.Generator
    ) -> Head | SeparableHead:
        config, boxes = self.config, feature_map.boxes_per_cell
        made = config.head_init, rng, self.dtype, self.ops
        classes, kernel = config.num_classes + 1, config.head_kernel
        if feature_map.head == "full":
            return Head(feature_map.name, c_in, boxes, classes, kernel, *made)
        numbers = {"conf": classes, "loc": 4}
        conf, loc = (feature_map.head_layers(*item, kernel) for item in numbers.items())
        return SeparableHead(feature_map.name, c_in, boxes, (conf, loc), *made)

    def __repr__(self) -> str:
        return f"SSD {self.config.name!r}, classes {', '.join(self.config.class_names)}\n" + (
            trace_table(self.config)
        )

    def _repr_html_(self) -> str:
        """For notebooks: a table is not to be read with its lines broken."""
        style = "white-space: pre; overflow-x: auto; margin: 0; font-size: 85%"
        return f'<pre style="{style}">{html.escape(repr(self))}</pre>'

    @property
    def layers(self) -> tuple[Layer | Merge | Head | SeparableHead, ...]:
        """All layers: the trunk from the image on, then norms and heads, map by map. One is put in
        or exchanged in `stages[i].layers`, `norms` and `heads`, the lists that are run."""
        branches = zip(self.norms, self.heads, strict=True)
        return (*self._trunk, *(layer for pair in branches for layer in pair if layer))

    @property
    def _trunk(self) -> list[Layer | Merge]:
        return [layer for stage in self.stages for layer in stage]

    @property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters by name, such as "conv1_1.weight" or "conf_conv4_3.bias"."""
        parameters: dict[str, Parameter] = {}
        for layer in self.layers:
            if twice := parameters.keys() & layer.parameters.keys():
                hint = "a layer's parameters begin with its name: f'{name}.scale'"
                what = f"two parameters are called {sorted(twice)[0]!r}"
                raise ConfigError(what, f"layer {layer.name!r}", hint)
            parameters |= layer.parameters
        return parameters

    def undescribed(self) -> dict[str, str]:
        """Name and class of the layers that the config would not build as they are now."""
        return changed(self._built, as_they_are(self.config, self.layers))

    def freeze(self, up_to: str) -> None:
        """The layers from the image to `up_to` no longer learn; backward ends above them."""
        names = [layer.name for layer in self._trunk]
        if up_to not in names:
            raise ConfigError(f"no layer {up_to!r} to freeze up to", hint=f"layers: {names}")
        for layer in self.layers[: names.index(up_to) + 1]:
            for parameter in layer.parameters.values():
                parameter.trainable = False

    def unfreeze(self) -> None:
        """All layers learn again, from the next step on."""
        for parameter in self.parameters.values():
            parameter.trainable = True

    def forward(self, images: np.ndarray, training: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W, 3 or 1), resized and normalised -> logits (N, T, K), offsets (N, T, 4).

        training=True keeps what `backward` needs.
        """
        images = self._check(images)
        n, t = len(images), len(self.default_boxes)
        logits = np.empty((n, t, self.config.num_classes + 1), self.dtype)
        offsets = np.empty((n, t, 4), self.dtype)
        first = 0
        plain = self.ops.name == "plain"  # where a debugger is to meet the layers
        steps = None if training or plain else steps_of(self)
        with self.ops.turn, self.ops.at_work(layers=not steps):
            for layer in self.layers if self.heads[0].cache is not None else ():
                layer.forget()  # the last training step
            self._learner = threading.get_ident()
            maps = maps_at_once(self, images, steps) if steps else self._maps(images, training)
            for map_logits, map_offsets in maps:
                rows = slice(first, first + map_logits.shape[1])
                logits[:, rows], offsets[:, rows] = map_logits, map_offsets
                first = rows.stop
        return logits, offsets

    def _maps(self, images: np.ndarray, training: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Logits (N, H*W*A, K) and offsets (N, H*W*A, 4) of each map, layer by layer."""
        merges = [x for stage in self.stages for x in stage.layers if isinstance(x, Merge)]
        x, laterals = images, dict.fromkeys(merge.lateral for merge in merges)
        for stage, norm, head in zip(self.stages, self.norms, self.heads, strict=True):
            x = stage.forward(x, training, laterals)
            yield head.forward(norm.forward(x, training) if norm else x, training)

    def outputs(self, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Name and output (N, H, W, C) of every layer of the trunk, from the image on."""
        return Sequential(self._trunk).outputs(images)

    def backward(
        self, dlogits: np.ndarray, doffsets: np.ndarray, input_gradient: bool = False
    ) -> np.ndarray | None:
        """Gradients of the outputs -> `Parameter.grad` of all that learns; dimages if asked for.

        Derivation: docs/derivations.md#the-network, (17).
        """
        with self.ops.turn, self.ops.at_work():
            check_turn(self.heads[0].cache is not None, self._learner)
            n, t = self.heads[0].map_shape[0], len(self.default_boxes)
            shapes = (n, t, self.config.num_classes + 1), (n, t, 4)
            check_outputs(shapes, dlogits=dlogits, doffsets=doffsets)
            last = dlogits.shape[1]
            laterals: Laterals = {}  # gradients of maps from the merges that read them
            dx: np.ndarray | None = None  # gradient of a map from the stage behind it
            for i in reversed(range(len(self.stages))):
                stage, norm, head = self.stages[i], self.norms[i], self.heads[i]
                # is anything left to train at or below this map?
                below = input_gradient or any(stage.trainable for stage in self.stages[: i + 1])
                rows = slice(last - self.config.feature_maps[i].boxes, last)
                last = rows.start
                branch = below or (norm is not None and norm.trainable)
                dmap = head.backward(dlogits[:, rows], doffsets[:, rows], branch)
                if norm and dmap is not None:
                    dmap = norm.backward(dmap, below)
                if dmap is None or not below:
                    dx = None
                    continue
                if dx is not None:
                    dmap += dx
                deeper = input_gradient or any(stage.trainable for stage in self.stages[:i])
                dx = stage.backward(dmap, deeper, laterals)
            return dx.copy() if input_gradient and dx is not None else None

    def predict(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) -> (N, T, num_classes + 1 + 4 + 8)

        A row holds the scores (softmax, or sigmoid where the config says so), four offsets, the
        default box and its variances.
        """
        logits, offsets = self.forward(images)
        boxes = np.broadcast_to(self.default_boxes, (*logits.shape[:2], 8))
        with self.ops.turn, self.ops.at_work():
            scores = getattr(self.ops, self.config.decoding.scores)(logits)
            return np.concatenate([scores, offsets, boxes], axis=-1, dtype=self.dtype)

    def _check(self, images: np.ndarray) -> np.ndarray:
        (height, width), channels = self.config.input.shape, self.config.input.channels
        images = as_array(images, "images")
        if images.ndim != 4 or images.shape[1:] != (height, width, channels):
            channels_first = images.ndim == 4 and images.shape[1] == channels
            hint = f"images look like (N, {channels}, H, W); use images.transpose(0, 2, 3, 1)"
            raise ShapeError(
                f"images have shape {images.shape}, config {self.config.name!r} expects "
                f"(N, {height}, {width}, {channels})",
                hint=hint if channels_first else "data.image.preprocess(image, config) resizes",
            )
        if images.dtype != self.dtype:
            hint = "data.image.preprocess(image, config) normalises; or use images.astype"
            raise ShapeError(f"images are {images.dtype}, the model is {self.dtype}", hint=hint)
        return images
