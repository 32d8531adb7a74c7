"""Maps of a network that is too large to run in the page: a few channels of each layer, small."""

import base64

import numpy as np

from ssd_np.model.ssd import SSD

CHANNELS = 12  # of a layer, those with the largest sums
SIDE = 40  # cells of a map in the page; larger maps are averaged over blocks


def stored_maps(model: SSD, seen: np.ndarray) -> dict:
    """{layer: map} of one preprocessed image (S, S, 3).

    A map is {block, height, width, shown, most, data}: a value is the mean of `block` x `block`
    cells, `shown` are the channels that are there, `data`
    their values as int8 in base64, 127 for the largest size `most`.
    """
    return {name: _stored(out) for name, out in layer_outputs(model, seen).items()}


def layer_outputs(model: SSD, seen: np.ndarray) -> dict[str, np.ndarray]:
    """What every layer puts out for one image: {name: (H, W, C)}, with norms and heads."""
    outputs, branches = {}, zip(model.norms, model.heads, strict=True)
    maps = {m.name: branch for m, branch in zip(model.config.feature_maps, branches, strict=True)}
    for name, x in model.outputs(seen[None].astype(model.dtype)):
        outputs[name] = x[0].copy()
        if name not in maps:
            continue
        norm, head = maps[name]
        if norm is not None:
            x = norm.forward(x)
            outputs[f"{name}_norm"] = x[0].copy()
        for kind, rows in zip(("conf", "loc"), head.forward(x), strict=True):
            outputs[f"{kind}_{name}"] = rows[0].reshape(*x.shape[1:3], -1).copy()
    return outputs


def _stored(out: np.ndarray) -> dict:
    block = -(-max(out.shape[:2]) // SIDE)  # cells on a side that become one
    height, width = (size // block for size in out.shape[:2])
    shown = np.sort(np.argsort(-np.abs(out).sum(axis=(0, 1)), kind="stable")[:CHANNELS])
    blocks = out[: height * block, : width * block, shown].reshape(height, block, width, block, -1)
    small = blocks.mean(axis=(1, 3))  # (height, width, shown)
    most = float(np.abs(small).max()) or 1.0
    data = np.rint(small / most * 127).astype(np.int8)
    return {
        "block": block,
        "height": height,
        "width": width,
        "shown": shown.tolist(),
        "most": most,
        "data": base64.b64encode(data.tobytes()).decode(),
    }
