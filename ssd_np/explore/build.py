"""Puts the page together: one HTML file that holds its scripts, style, pictures and weights.

The page fetches nothing. What it shows of a picture it computes by itself, with its own version of
the library (core/*.js); Python gives it the network's outputs, so that they are there at once, and
the weights of a network that is small enough to run in a browser.
"""

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ssd_np.data.image import preprocess, resize
from ssd_np.errors import ConfigError, DataError
from ssd_np.explore.described import described, fields, rows
from ssd_np.explore.maps import stored_maps
from ssd_np.model.fold import for_inference
from ssd_np.model.own_layers import check_described, kinds_of
from ssd_np.model.ssd import SSD
from ssd_np.records import Truth

HERE = Path(__file__).parent
CORE = ("boxes", "loss", "evaluate", "report", "matmul", "nn", "network", "picture")
UI = (
    *("dom", "state", "stage", "objects", "pointer", "grids", "carried", "running"),
    *("match", "loss", "detect", "network", "product", "train", "files", "tour", "always", "main"),
)
KINDS = {"conv", "depthwise", "pool"}  # of layers, that core/network.js knows
MOST_PARAMETERS = 2_000_000  # of a network that is put into the page
LONGEST_SIDE = 1200  # pixels of a picture in the page; larger ones are made smaller


@dataclass(frozen=True)
class Shown:
    """A picture of the page: RGB (H, W, 3) uint8 of any size, its objects if they are known."""

    name: str
    image: np.ndarray
    truth: Truth | None = None


def core_sources() -> list[str]:
    """The page's own version of the library, file by file; a worker runs the same text."""
    return [_source(f"core/{name}.js") for name in CORE]


def page(model: SSD, weights: str, pictures: Sequence[Shown], home: bool = False) -> str:
    """The whole page as text. `weights` names the model's for people; `home`: it is in the site."""
    if not pictures:
        raise DataError("no picture to show", hint="name at least one image")
    check_described(model)
    if model.config.decoding.scores != "softmax":
        what = f"the page takes scores by softmax, config {model.config.name!r} by a sigmoid"
        hint = "ssd-np explain says of an image why each detection is what it is"
        raise ConfigError(what, hint=hint)
    model = for_inference(model)
    runs = runs_in_page(model)
    data = {
        "config": described(model.config),
        "weights": weights,
        "home": home,
        "count": sum(p.value.size for p in model.parameters.values()),
        "parameters": _parameters(model) if runs else None,
        "input_kind": "uint8" if model.config.input.resize == "antialias" else "float32",
        "layers": rows(model.config),
        "fields": fields(model.config),
        "pictures": [_picture(model, shown, runs) for shown in pictures],
    }
    parts = {
        "title": html.escape(f"{model.config.name} under glass"),
        "style": _source("page.css"),
        # "</" would end the element that the text stands in
        "data": json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
        "core": "\n".join(core_sources()),
        "worker": _source("worker.js"),
        "ui": "\n".join(_source(f"ui/{name}.js") for name in UI),
    }
    text = _source("page.html")
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part, 1)
    return text


def runs_in_page(model: SSD) -> bool:
    """Whether the page gets the weights: the network is small, and it knows all its layers."""
    model = for_inference(model)
    count = sum(p.value.size for p in model.parameters.values())
    loss = model.config.loss  # of which the page knows mining without weights
    known = {layer.kind for layer in model.config.layers} <= KINDS and not kinds_of(model.config)
    known = known and not loss.class_weights and loss.focal_gamma is None
    known = known and model.config.input.channels == 3
    full = all(feature_map.head == "full" for feature_map in model.config.feature_maps)
    return count <= MOST_PARAMETERS and known and full


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _parameters(model: SSD) -> dict:
    return {
        name: {"shape": p.value.shape, "count": p.value.size, "data": _base64(p.value, np.float32)}
        for name, p in model.parameters.items()
    }


def _picture(model: SSD, shown: Shown, runs: bool) -> dict:
    """A picture, its objects, the network's outputs, and what the page needs to run the network."""
    height, width = shown.image.shape[:2]
    seen = preprocess(shown.image, model.config)
    logits, offsets = model.forward(seen[None].astype(model.dtype))
    entry = {
        "name": shown.name,
        "width": width,
        "height": height,
        "src": _data_url(shown.image),
        "truth": _objects(shown.truth),
        "logits": _base64(logits[0], np.float32),
        "offsets": _base64(offsets[0], np.float32),
    }
    if not runs:
        return entry | {"maps": stored_maps(model, seen)}
    if model.config.input.resize == "antialias":
        return entry | {"input": _base64(resize(shown.image, *model.config.input.shape), np.uint8)}
    return entry | {"input": _base64(seen, np.float32)}


def _objects(truth: Truth | None) -> list | None:
    if truth is None:
        return None
    pairs = zip(truth.boxes_corner.tolist(), truth.labels.tolist(), strict=True)
    return [{"corner": corner, "label": label} for corner, label in pairs]


def _data_url(image: np.ndarray) -> str:
    """PNG where pixels are to be seen, JPEG for photographs."""
    picture, buffer = Image.fromarray(image), io.BytesIO()
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    kind = "png" if max(image.shape[:2]) <= 160 else "jpeg"
    picture.save(buffer, kind, quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _base64(array: np.ndarray, dtype: type) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()
