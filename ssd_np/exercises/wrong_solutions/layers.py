"""Exercises on layers as a student may solve them, and the usual slips: (right, wrong text)."""

SOLUTIONS = {
    "im2col": (
        """
def im2col(x, kernel, stride=1, pad=0, dilation=1):
    kh, kw = np.broadcast_to(kernel, 2)
    n, h, w, c = x.shape
    ho = output_size(h, kh, stride, pad, dilation)
    wo = output_size(w, kw, stride, pad, dilation)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    cols = np.zeros((n, ho, wo, kh, kw, c), x.dtype)
    for y in range(ho):
        for z in range(wo):
            for i in range(kh):
                for j in range(kw):
                    tap = padded[:, y * stride + i * dilation, z * stride + j * dilation]
                    cols[:, y, z, i, j] = tap
    return cols.reshape(n * ho * wo, kh * kw * c)
""",
        {
            "rows and columns of the kernel swapped": (
                "y * stride + i * dilation, z * stride + j * dilation",
                "y * stride + (j % kh) * dilation, z * stride + (i % kw) * dilation",
            ),
            "the stride forgotten": ("y * stride +", "y +"),
            "the dilation forgotten": ("i * dilation", "i"),
            "the border is the edge's value": ("(0, 0)))", "(0, 0)), mode='edge')"),
            "channels before taps": (
                "cols.reshape(n * ho * wo, kh * kw * c)",
                "cols.transpose(0, 1, 2, 5, 3, 4).reshape(n * ho * wo, kh * kw * c)",
            ),
            "the kernel flipped": ("i * dilation", "(kh - 1 - i) * dilation"),
            "all as float64": ("x.dtype", "np.float64"),
        },
    ),
    "col2im": (
        """
def col2im(cols, x_shape, kernel, stride=1, pad=0, dilation=1):
    kh, kw = np.broadcast_to(kernel, 2)
    n, h, w, c = x_shape
    ho = output_size(h, kh, stride, pad, dilation)
    wo = output_size(w, kw, stride, pad, dilation)
    cols = cols.reshape(n, ho, wo, kh, kw, c)
    padded = np.zeros((n, h + 2 * pad, w + 2 * pad, c), cols.dtype)
    for y in range(ho):
        for z in range(wo):
            for i in range(kh):
                for j in range(kw):
                    row, column = y * stride + i * dilation, z * stride + j * dilation
                    padded[:, row, column] += cols[:, y, z, i, j]
    return padded[:, pad : pad + h, pad : pad + w]
""",
        {
            "overwritten, not added": ("column] += cols", "column] = cols"),
            "the border not cut off": (
                "padded[:, pad : pad + h, pad : pad + w]",
                "padded[:, :h, :w]",
            ),
            "the stride forgotten": ("z * stride +", "z +"),
            "the dilation forgotten": ("i * dilation, ", "i, "),
            "averaged over the windows": (
                "return padded[:, pad : pad + h, pad : pad + w]",
                "return padded[:, pad : pad + h, pad : pad + w] / (kh * kw)",
            ),
        },
    ),
    "conv2d_forward": (
        """
def conv2d_forward(x, w, b, stride=1, pad=0, dilation=1):
    n, h, width, _ = x.shape
    ho = output_size(h, w.shape[0], stride, pad, dilation)
    wo = output_size(width, w.shape[1], stride, pad, dilation)
    shape = (n, ho, wo, w.shape[3])
    cols = im2col(x, w.shape[:2], stride, pad, dilation)
    out = (cols @ w.reshape(-1, w.shape[3]) + b).reshape(shape)
    return out, (x, w, stride, pad, dilation, shape)
""",
        {
            "the kernel flipped, a true convolution": (
                "cols @ w.reshape",
                "cols @ w[::-1, ::-1].reshape",
            ),
            "the bias forgotten": (" + b)", ")"),
            "channels first": (
                "w.reshape(-1, w.shape[3])",
                "w.transpose(2, 0, 1, 3).reshape(-1, w.shape[3])",
            ),
            "the dilation forgotten": (
                "im2col(x, w.shape[:2], stride, pad, dilation)",
                "im2col(x, w.shape[:2], stride, pad)[: np.prod(shape[:3])]",
            ),
            "reshaped channels first": (
                "+ b).reshape(shape)",
                "+ b).reshape(shape[0], shape[3], *shape[1:3]).transpose(0, 2, 3, 1)",
            ),
            "always a ReLU": (" + b).reshape", " + b).clip(0).reshape"),
        },
    ),
    "conv2d_backward": (
        """
def conv2d_backward(dout, cache):
    x, w, stride, pad, dilation, _ = cache
    cols = im2col(x, w.shape[:2], stride, pad, dilation)
    rows = dout.reshape(-1, w.shape[3])
    dw = (cols.T @ rows).reshape(w.shape)
    dcols = rows @ w.reshape(-1, w.shape[3]).T
    dx = col2im(dcols, x.shape, w.shape[:2], stride, pad, dilation)
    return dx, dw, rows.sum(axis=0)
""",
        {
            "dw transposed": ("(cols.T @ rows)", "(rows.T @ cols)"),
            "dw of the transposed kernel": (
                ".reshape(w.shape)\n",
                ".reshape(w.shape).swapaxes(0, 1).reshape(w.shape)\n",
            ),
            "the kernel flipped in dx": (
                "rows @ w.reshape(-1, w.shape[3]).T",
                "rows @ w[::-1, ::-1].reshape(-1, w.shape[3]).T",
            ),
            "db averaged": ("rows.sum(axis=0)", "rows.mean(axis=0)"),
            "dw averaged over the batch": (
                "dw = (cols.T @ rows).reshape(w.shape)",
                "dw = (cols.T @ rows).reshape(w.shape) / len(x)",
            ),
            "the stride forgotten in dx": (
                "w.shape[:2], stride, pad, dilation)\n    return",
                "w.shape[:2], 1, pad, dilation)\n    return",
            ),
            "gradients in another order": ("return dx, dw,", "return dw, dx,"),
        },
    ),
    "max_pool2d_backward": (
        """
def max_pool2d_backward(dout, cache):
    shape, size, stride, pad, tap = cache
    dx = np.zeros(shape, dout.dtype)
    for n, y, z, c in np.ndindex(dout.shape):
        i, j = divmod(int(tap[n, y, z, c]), size)
        dx[n, y * stride - pad + i, z * stride - pad + j, c] += dout[n, y, z, c]
    return dx
""",
        {
            "overlapping windows overwrite": ("c] += dout", "c] = dout"),
            "the border forgotten": ("y * stride - pad + i", "y * stride + i"),
            "row and column swapped": ("i, j = divmod", "j, i = divmod"),
            "the stride taken for the size": ("y * stride -", "y * size -"),
            "the gradient shared by the window": (
                "    for n, y, z, c in np.ndindex(dout.shape):\n"
                "        i, j = divmod(int(tap[n, y, z, c]), size)\n"
                "        dx[n, y * stride - pad + i, z * stride - pad + j, c] += "
                "dout[n, y, z, c]\n",
                "    for n, y, z, c in np.ndindex(dout.shape):\n"
                "        for k in range(size * size):\n"
                "            i, j = y * stride - pad + k // size, z * stride - pad + k % size\n"
                "            if 0 <= i < shape[1] and 0 <= j < shape[2]:\n"
                "                dx[n, i, j, c] += dout[n, y, z, c] / size**2\n",
            ),
            "to the first of each window": ("int(tap[n, y, z, c])", "0"),
        },
    ),
    "l2norm_backward": (
        """
def l2norm_backward(dout, cache):
    unit, norm, scale, eps, form = cache
    dscale = (dout * unit).reshape(-1, len(scale)).sum(axis=0)
    g = dout * scale
    along = (g * unit).sum(axis=-1, keepdims=True)
    if form == "max":
        along = np.where(norm > eps, along, 0)
    if form == "outside":
        length = norm - eps
        along = along * np.where(length > 0, norm / np.where(length > 0, length, 1), 0)
    return ((g - unit * along) / norm).astype(dout.dtype), dscale
""",
        {
            "the norm taken for a constant": ("g - unit * along", "g"),
            "the scale forgotten": ("g = dout * scale", "g = dout"),
            "divided by the square of the norm": ("along) / norm)", "along) / norm**2)"),
            "dscale for each cell": (".reshape(-1, len(scale)).sum(axis=0)", ""),
            "the mean over the cells": (
                ".reshape(-1, len(scale)).sum(axis=0)",
                ".reshape(-1, len(scale)).mean(axis=0)",
            ),
            "a plus for a minus": ("g - unit", "g + unit"),
            "one norm for the whole image": ("sum(axis=-1, keepdims=True)", "sum()"),
        },
    ),
    "softmax": (
        """
def softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)

def log_softmax_forward(logits):
    z = logits - logits.max(axis=-1, keepdims=True)
    out = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return out, out

def log_softmax_backward(dout, cache):
    return dout - np.exp(cache) * dout.sum(axis=-1, keepdims=True)
""",
        {
            "the largest logit not taken away": (
                "shifted = logits - logits.max(axis=-1, keepdims=True)",
                "shifted = logits",
            ),
            "the logarithm of softmax": (
                "out = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))",
                "out = np.log(softmax(logits))",
            ),
            "over all rows": (
                "np.exp(shifted).sum(axis=-1, keepdims=True)",
                "np.exp(shifted).sum()",
            ),
            "over the first axis": (
                "np.exp(shifted).sum(axis=-1, keepdims=True)",
                "np.exp(shifted).sum(axis=0, keepdims=True)",
            ),
            "the gradient of one class only": (
                "np.exp(cache) * dout.sum(axis=-1, keepdims=True)",
                "np.exp(cache) * dout",
            ),
            "the logarithm taken for the probability": ("np.exp(cache) * dout", "cache * dout"),
        },
    ),
}
