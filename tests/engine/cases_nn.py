"""Cases of the rooms nn and train for test_equals_concepts.py."""

import numpy as np
from drawing import array

from ssd_np.engine import select
from ssd_np.nn.blocks import Block, Pool


def geometry(rng, size):
    """Image (N, H, W, C) and kernel (kh, kw), stride, padding and dilation that fit each other."""
    shape = tuple(
        int(n) for n in (rng.integers(1, 4), *rng.integers(3, size, 2), rng.integers(1, 9))
    )
    kh, kw = (int(k) for k in rng.choice([1, 2, 3, 5], 2, p=[0.2, 0.1, 0.6, 0.1]))
    stride, dilation = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))
    reach = [dilation * (k - 1) + 1 for k in (kh, kw)]
    least = [max(0, r - s) for r, s in zip(reach, shape[1:3], strict=True)]  # so that it fits
    if rng.integers(2):
        pad = max(int(rng.integers(0, 3)), *least)
    else:  # each side its own, some wider than the kernel reaches
        pad = tuple(tuple(int(p) for p in least[i] + rng.integers(0, 4, 2)) for i in range(2))
    return shape, (kh, kw), (stride, pad, dilation)


def conv2d(ops, rng, dtype):
    shape, kernel, rest = geometry(rng, 12)
    c_out = int(rng.integers(1, 8))
    x, w = array(rng, shape, dtype), array(rng, (*kernel, shape[3], c_out), dtype)
    out, cache = ops.conv2d_forward(x, w, array(rng, (c_out,), dtype), *rest)
    results = [out.copy()]
    dout = array(rng, out.shape, dtype)
    return [*results, *ops.conv2d_backward(dout, cache)]


def conv_block(ops, rng, dtype):
    shape, kernel, rest = geometry(rng, 12)
    c_out = int(rng.integers(1, 8))
    x, w = 3 * array(rng, shape, dtype), array(rng, (*kernel, shape[3], c_out), dtype)
    activation = str(rng.choice(["none", "relu", "relu6"]))
    out, cache = ops.conv_block_forward(x, w, array(rng, (c_out,), dtype), *rest, activation)
    return [out, *ops.conv_block_backward(array(rng, out.shape, dtype), cache)]


def conv_block_for_winograd(ops, rng, dtype):
    """3x3, stride 1, wide enough: what Winograd's algorithm takes over where it is asked for."""
    n, h, w, c, c_out = (int(k) for k in (*rng.integers(2, 4, 1), *rng.integers(16, 26, 4)))
    pad = tuple(tuple(int(p) for p in pair) for pair in rng.integers(0, 4, (2, 2)))
    x, kernel = array(rng, (n, h, w, c), dtype), array(rng, (3, 3, c, c_out), dtype)
    out, cache = ops.conv_block_forward(x, kernel, array(rng, (c_out,), dtype), 1, pad)
    return [out, *ops.conv_block_backward(array(rng, out.shape, dtype), cache)]


def depthwise(ops, rng, dtype):
    shape, kernel, rest = geometry(rng, 12)
    x, w, b = (array(rng, s, dtype) for s in (shape, (*kernel, shape[3]), shape[3:]))
    out, cache = ops.depthwise_forward(x, w, b, *rest)
    return [out, *ops.depthwise_backward(array(rng, out.shape, dtype), cache)]


def depthwise_block(ops, rng, dtype):
    shape, kernel, rest = geometry(rng, 12)
    x, w, b = (array(rng, s, dtype) for s in (shape, (*kernel, shape[3]), shape[3:]))
    activation = str(rng.choice(["none", "relu", "relu6"]))
    out, cache = ops.depthwise_block_forward(4 * x, w, b, *rest, activation)
    return [out, *ops.depthwise_block_backward(array(rng, out.shape, dtype), cache)]


def network(ops, rng, dtype):
    """Steps of all kinds that read each other and the image, with borders of all widths."""
    n, *size, c = (
        int(k) for k in (rng.integers(1, 4), *rng.integers(3, 40, 2), rng.integers(1, 40))
    )
    shapes, steps = [(n, *size, c)], []
    for _ in range(int(rng.integers(1, 9))):
        source = int(rng.integers(max(0, len(steps) - 2), len(steps) + 1))
        c, kind = shapes[source][3], int(rng.integers(4))
        pad = tuple(tuple(int(p) for p in pair) for pair in rng.integers(1, 4, (2, 2)))
        rest = int(rng.integers(1, 3)), pad, int(rng.integers(1, 3)) if kind == 2 else 1
        c_out, act = int(rng.integers(5, 40)), str(rng.choice(["none", "relu", "relu6"]))
        if kind == 0:
            steps.append((source, Pool(3, 2, 1, bool(rng.integers(2)))))
        elif kind == 1:
            kernel = array(rng, (1, 1, c, c_out), dtype)
            steps.append((source, Block(kernel / 4, array(rng, (c_out,), dtype), 1, 0, 1, act)))
        elif kind == 2:
            kernel = array(rng, (3, 3, c), dtype)
            steps.append((source, Block(kernel / 4, array(rng, (c,), dtype), *rest, act)))
        else:
            kernel = array(rng, (3, 2, c, c_out), dtype)
            steps.append((source, Block(kernel / 4, array(rng, (c_out,), dtype), *rest, act)))
        shapes.append(shape_behind(shapes[source], steps[-1][1], dtype))
    x = array(rng, shapes[0], dtype)
    return ops.network_forward(x, steps)


def shape_behind(shape, block, dtype):
    """What the step makes of the shape of its input."""
    (out,) = select("plain").network_forward(np.zeros(shape, dtype), [(0, block)])
    return out.shape


def max_pool2d(ops, rng, dtype):
    size, stride = (int(k) for k in rng.integers(1, 4, 2))
    shape = (int(rng.integers(1, 4)), *(int(k) for k in rng.integers(3, 12, 3)))
    pad = int(rng.integers(0, size // 2 + 1))
    if rng.integers(2):
        pad = tuple(tuple(int(p) for p in pair) for pair in rng.integers(0, pad + 1, (2, 2)))
    x = array(rng, shape, dtype).round(1)  # with ties
    out, cache = ops.max_pool2d_forward(x, size, stride, pad, bool(rng.integers(2)))
    return [out, ops.max_pool2d_backward(array(rng, out.shape, dtype), cache)]


def activation(ops, rng, dtype):
    shape = tuple(int(k) for k in rng.integers(1, 7, rng.integers(1, 5)))
    x, name = 4 * array(rng, shape, dtype), str(rng.choice(["none", "relu", "relu6"]))
    out, cache = ops.activation_forward(x, name)
    return [out, ops.activation_backward(array(rng, shape, dtype), cache)]


def batchnorm(ops, rng, dtype):
    shape = (int(rng.integers(5, 9)), *(int(k) for k in rng.integers(1, 7, rng.integers(1, 4))))
    scale, shift, mean = (array(rng, shape[-1:], dtype) for _ in range(3))
    x, variance = 3 * array(rng, shape, dtype) + 2, array(rng, shape[-1:], dtype) ** 2 + dtype(0.1)
    out, cache = ops.batchnorm_forward(x, scale, shift, 1e-3)
    results = [out.copy(), *ops.batchnorm_backward(array(rng, shape, dtype), cache)]
    results = [result.copy() for result in results]
    out, cache = ops.batchnorm_block_forward(x, scale, shift, 1e-3, "relu6")
    results += [out.copy(), *ops.batchnorm_block_backward(array(rng, shape, dtype), cache)]
    results = [result.copy() for result in results]
    out, cache = ops.batchnorm_inference_forward(x, scale, shift, mean, variance, 1e-3)
    results += [out, *ops.batchnorm_inference_backward(array(rng, shape, dtype), cache)]
    return results


def softmax(ops, rng, dtype):
    shape = (*rng.integers(1, 9, rng.integers(0, 3)), rng.integers(1, 30))
    logits = 20 * array(rng, shape, dtype)
    return [ops.softmax(logits), *ops.log_softmax_forward(logits), ops.sigmoid(logits)]


def sgd(ops, rng, dtype):
    shape = tuple(rng.integers(1, 6, rng.integers(1, 5)))
    w, v = (rng.standard_normal(shape).astype(dtype) for _ in range(2))  # an optimiser's own
    results = []
    for _ in range(3):
        g = array(rng, shape, dtype)
        results.append(ops.square_sum(g))
        w, v = ops.sgd_update(w, v, g, 0.1, 0.9, float(rng.choice([0, 5e-4])), 0.3)
    return [*results, w, v]


CASES = [
    conv2d,
    conv_block,
    conv_block_for_winograd,
    depthwise,
    depthwise_block,
    network,
    max_pool2d,
    activation,
    batchnorm,
    softmax,
    sgd,
]
