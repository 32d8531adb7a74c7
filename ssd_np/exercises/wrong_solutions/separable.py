"""Depthwise convolution as a student may write it, and the usual slips (right text, wrong)."""

SOLUTIONS = {
    "depthwise": (
        """
def depthwise_forward(x, w, b, stride=1, pad=0, dilation=1):
    kh, kw, c = w.shape
    cols = im2col(x, (kh, kw), stride, pad, dilation).reshape(-1, kh * kw, c)
    vertical, horizontal = np.broadcast_to(pad, (2, 2)).tolist()
    ho = output_size(x.shape[1], kh, stride, vertical, dilation)
    wo = output_size(x.shape[2], kw, stride, horizontal, dilation)
    out = (cols * w.reshape(kh * kw, c)).sum(axis=1) + b
    return out.reshape(len(x), ho, wo, c), (x.shape, cols, w, stride, pad, dilation)

def depthwise_backward(dout, cache):
    shape, cols, w, stride, pad, dilation = cache
    kh, kw, c = w.shape
    rows = dout.reshape(-1, 1, c)
    dw = (cols * rows).sum(axis=0).reshape(kh, kw, c)
    dcols = rows * w.reshape(kh * kw, c)
    dx = col2im(dcols.reshape(len(rows), -1), shape, (kh, kw), stride, pad, dilation)
    return dx, dw, rows.sum(axis=(0, 1))
""",
        {
            "bias forgotten": (".sum(axis=1) + b", ".sum(axis=1)"),
            "channels mixed": (
                "(cols * w.reshape(kh * kw, c)).sum(axis=1) + b",
                "(cols * w.reshape(kh * kw, c)).sum(axis=(1, 2))[:, None] + b",
            ),
            "channels before taps in im2col's rows": (
                "dilation).reshape(-1, kh * kw, c)",
                "dilation).reshape(-1, c, kh * kw).transpose(0, 2, 1)",
            ),
            "stride forgotten in the size": (
                "x.shape[1], kh, stride, vertical",
                "x.shape[1], kh, 1, vertical",
            ),
            "the kernel turned, as signal processing does": (
                "(cols * w.reshape(kh * kw, c)).sum",
                "(cols * w[::-1, ::-1].reshape(kh * kw, c)).sum",
            ),
            "averages instead of sums in dw": (
                "dw = (cols * rows).sum(axis=0)",
                "dw = (cols * rows).mean(axis=0)",
            ),
            "all channels learn the same kernel": (
                "dw = (cols * rows).sum(axis=0)",
                "dw = (cols * rows).sum(axis=(0, 2))[:, None].repeat(c, 1)",
            ),
            "windows not added up in dx": (
                "(kh, kw), stride, pad, dilation)\n    return dx",
                "(kh, kw), stride, pad, dilation) / (kh * kw)\n    return dx",
            ),
            "dilation forgotten in dx": (
                "stride, pad, dilation)\n    return dx",
                "stride, pad)\n    return dx",
            ),
            "db of the first image only": ("rows.sum(axis=(0, 1))", "dout[0].sum(axis=(0, 1))"),
        },
    )
}
