"""L2 normalisation across channels with a learned scale for each channel.

    out[c] = scale[c] * x[c] / |x|,    |x| = sqrt(sum over c of x[c]^2 + eps)

conv4_3 has much larger activations than the deeper maps; SSD normalises each of its cells to
length 1 and starts the scale at 20 (paper, section 3.1; ParseNet, arXiv 1506.04579).

eps stands inside the root, so that a cell of zeros stays finite forward and backward; the gradient
there is scale / sqrt(eps). Other published forms are offered by name: "max" divides by
max(norm, eps), "outside" by norm + eps (whose gradient is undefined at zero; 0 / 0 is taken as 0).
"""

import numpy as np

from ssd_np.errors import ConfigError
from ssd_np.nn.checks import check_gradient, check_scaled

FORMS = ("inside", "max", "outside")


def l2norm_forward(
    x: np.ndarray, scale: np.ndarray, eps: float = 1e-10, form: str = "inside"
) -> tuple[np.ndarray, tuple]:
    """x (..., C), scale (C,) -> (..., C) and the cache."""
    check_scaled(x, scale, eps)
    square = np.einsum("...c,...c->...", x, x)[..., None]  # (..., 1)
    eps = x.dtype.type(eps)
    if form == "inside":
        norm = np.sqrt(square + eps)
    elif form == "max":
        norm = np.maximum(np.sqrt(square), eps)
    elif form == "outside":
        norm = np.sqrt(square) + eps
    else:
        raise ConfigError(f"unknown form {form!r}", hint=f"known: {', '.join(FORMS)}")
    unit = x / norm  # (..., C)
    return unit * scale, (unit, norm, scale, eps, form)


def l2norm_backward(dout: np.ndarray, cache: tuple) -> tuple[np.ndarray, np.ndarray]:
    """dout (..., C) -> dx (..., C), dscale (C,).

    With g = dout * scale and u = x / norm:  dx = (g - s u (u . g)) / norm. The factor s is 1 with
    eps inside the root, 0 where "max" holds eps (the norm is constant there), norm / |x| for
    "outside".
    Derivation: docs/derivations.md#l2-normalisation, (8) to (10).
    """
    unit, norm, scale, eps, form = cache
    check_gradient(dout, unit.shape, "l2norm_forward")
    dscale = (dout * unit).reshape(-1, len(scale)).sum(axis=0)  # (C,)
    g = dout * scale
    along = np.einsum("...c,...c->...", unit, g)[..., None]  # (..., 1): u . g
    if form == "max":
        along = np.where(norm > eps, along, 0)
    elif form == "outside":
        length = norm - eps  # |x|
        along = along * np.divide(norm, length, out=np.zeros_like(norm), where=length > 0)
    return (g - unit * along) / norm, dscale
