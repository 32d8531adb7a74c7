"""A network of three channels made one of a single channel, for grey images.

A grey image is a colour image whose channels are equal, x. What the first kernel w adds up,

    sum over taps and colours of  w_c (x - m_c) / s_c,    m_c, s_c: mean and std of a colour,

is a kernel of one channel on (x - m) / s, and a constant for the bias:

    w' = s * sum over c of w_c / s_c        b' = b + sum over taps and c of w_c (m - m_c) / s_c

The answers are the same, but for the constant at a padded border: there taps are missing, and the
colours' means differ by a few grey levels. With one mean for all three it is 0.
"""

import dataclasses

import numpy as np

from ssd_np.config import Config, InputConfig
from ssd_np.errors import ConfigError
from ssd_np.model.own_layers import check_described
from ssd_np.model.ssd import SSD
from ssd_np.model.weights_file import Arrays
from ssd_np.signatures import checked


def grey_model(model: SSD) -> SSD:
    """A model for images of one channel that answers as `model` does to a grey image."""
    check_described(model)
    colour = model.config.input
    config = dataclasses.replace(model.config, input=dataclasses.replace(colour, channels=1))
    arrays = {name: parameter.value for name, parameter in model.parameters.items()}
    arrays = sum_colours(arrays, config, colour)
    grey = SSD(config, dtype=model.dtype, ops=model.ops)
    for name, parameter in grey.parameters.items():
        parameter.assign(arrays[name])
    grey.provenance = model.provenance
    return grey


@checked
def sum_colours(arrays: Arrays, config: Config, colour: InputConfig) -> Arrays:
    """Tensors by our names for a `config` of one channel, out of those made for `colour`.

    Raises ConfigError if the network does not begin with a convolution. A kernel that is none of
    three channels stays as it is, to be refused with all other shapes.
    """
    first, grey = config.layers[0], config.input
    if first.kind != "conv":
        what = f"is {first.label}, which mixes no colours"
        hint = "a network that begins with a convolution can be made one of grey images"
        raise ConfigError(what, f"layer {first.name!r}", hint)
    names, sign = [f"{first.name}.weight", f"{first.name}.bias"], 1
    if not getattr(first, "bias", True):  # then it is what the normalisation behind takes away
        names[1], sign = f"{config.layers[:2][-1].name}.mean", -1
    weight, bias = (arrays.get(name, np.zeros(0)) for name in names)  # (kh, kw, 3, Co), (Co,)
    if weight.ndim != 4 or weight.shape[2] != 3 or bias.shape != weight.shape[3:]:
        return arrays
    means, stds = (np.array(v)[:, None] for v in (colour.mean, colour.std))  # (3, 1)
    scaled = weight.astype(np.float64) / stds
    shift = (scaled * (grey.mean[0] - means)).sum(axis=(0, 1, 2))  # (Co,)
    kernel = scaled.sum(axis=2, keepdims=True) * grey.std[0]  # (kh, kw, 1, Co)
    summed = kernel.astype(weight.dtype), (bias + sign * shift).astype(bias.dtype)
    return arrays | dict(zip(names, summed, strict=True))
