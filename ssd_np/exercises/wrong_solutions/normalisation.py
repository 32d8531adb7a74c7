"""Batch normalisation as a student may write it, and the usual slips: (right text, wrong text)."""

SOLUTIONS = {
    "batchnorm": (
        """
def batchnorm_forward(x, scale, shift, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axes)
    variance = (centred**2).mean(axes)
    unit = centred / np.sqrt(variance + eps)
    return scale * unit + shift, (unit, scale, np.sqrt(variance + eps))

def batchnorm_backward(dout, cache):
    unit, scale, std = cache
    axes = tuple(range(dout.ndim - 1))
    g = dout * scale
    dx = (g - g.mean(axes) - unit * (g * unit).mean(axes)) / std
    return dx, (dout * unit).sum(axes), dout.sum(axes)
""",
        {
            "unbiased variance in the forward": ("(centred**2).mean(axes)", "x.var(axes, ddof=1)"),
            "statistics treated as constants": (
                "(g - g.mean(axes) - unit * (g * unit).mean(axes)) / std",
                "g / std",
            ),
            "the way through the variance forgotten": (
                " - unit * (g * unit).mean(axes)) / std",
                ") / std",
            ),
            "the way through the mean forgotten": ("(g - g.mean(axes) - unit", "(g - unit"),
            "scale forgotten in dx": ("g = dout * scale", "g = dout"),
            "eps outside of the root": (
                "unit = centred / np.sqrt(variance + eps)",
                "unit = centred / (np.sqrt(variance) + eps)",
            ),
            "each image for itself": (
                "    axes = tuple(range(x.ndim - 1))\n    centred = x - x.mean(axes)\n"
                "    variance = (centred**2).mean(axes)\n",
                "    axes = tuple(range(1, x.ndim - 1))\n"
                "    centred = x - x.mean(axes, keepdims=True)\n"
                "    variance = (centred**2).mean(axes, keepdims=True)\n",
            ),
            "averages instead of sums": ("(dout * unit).sum(axes)", "(dout * unit).mean(axes)"),
        },
    ),
    "running_statistics": (
        """
def running_statistics(mean, variance, cache, momentum=0.1):
    x, _, batch_mean, batch_variance, _ = cache
    count = x.size // x.shape[-1]
    unbiased = batch_variance * count / (count - 1)
    mean = (1 - momentum) * mean + momentum * batch_mean
    variance = (1 - momentum) * variance + momentum * unbiased
    return mean, variance
""",
        {
            "running statistics never moved": (
                "    mean = (1 - momentum) * mean + momentum * batch_mean\n"
                "    variance = (1 - momentum) * variance + momentum * unbiased\n",
                "",
            ),
            "only the mean moved": (
                "    variance = (1 - momentum) * variance + momentum * unbiased\n",
                "",
            ),
            "biased variance": ("count / (count - 1)", "count / count"),
            "momentum the other way round": (
                "(1 - momentum) * mean + momentum * batch_mean",
                "momentum * mean + (1 - momentum) * batch_mean",
            ),
            "images counted instead of values": ("x.size // x.shape[-1]", "len(x)"),
        },
    ),
}
