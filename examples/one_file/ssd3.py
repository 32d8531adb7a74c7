"""SSD, step 3: several maps, a fine one for small objects and a coarse one for large ones.

    python examples/one_file/ssd3.py            trains for half a minute, then finds shapes
    python examples/one_file/ssd3.py --check    holds the gradients against numbers

New since ssd2.py: heads read three maps of the network instead of its last one, each with default
boxes of its own size. On the way back a map gets gradients from its heads and from the next layer,
and they add up. Now objects of all sizes are found, and many of them several times.

Letters of the shapes: N pictures, H W C of a map, A boxes a cell, T boxes in all, G objects,
K classes with the background, D detections. Boxes are fractions of the picture; a name says
`corner` for (xmin, ymin, xmax, ymax), `center` for (cx, cy, w, h). Class 0 is the background.
"""

import argparse

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ssd_np import ShapesDataset  # pictures with their truth; nothing else is the library's

K = 2  # nothing, something
SIZE = 128  # pixels on a side of a picture
LAYERS = (  # name, channels, kernel, stride, pad; each ends in a map half as large
    ("conv1_1", 16, 3, 2, 1),
    ("conv2_1", 32, 3, 2, 1),
    ("conv4_2", 64, 3, 2, 1),
    ("conv5_2", 96, 3, 2, 1),
    ("conv6_2", 128, 3, 2, 1),
)
MAPS = {  # layers that are read: cells on a side, min_size and max_size of their boxes in pixels
    "conv4_2": (16, 20, 36),
    "conv5_2": (8, 40, 64),
    "conv6_2": (4, 68, 96),
}
A = 4  # default boxes in a cell
VARIANCES = np.array([0.1, 0.1, 0.2, 0.2])  # of the offsets: cx cy w h
RATIO = 3  # background boxes in the loss for each positive box
BATCH, STEPS, RATE, MOMENTUM = 4, 800, 0.005, 0.9
REPEATED, WRONG = -2, -1  # what a detection can be if it is not right


# --- boxes ---------------------------------------------------------------------------------------
def corner_to_center(boxes):
    """(..., 4) -> (..., 4)"""
    low, high = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def center_to_corner(boxes):
    """(..., 4) -> (..., 4)"""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([center - half, center + half], axis=-1)


def iou_matrix(a_corner, b_corner):
    """(A, 4), (B, 4) -> (A, B): shared area over joint area, of every pair."""
    low = np.maximum(a_corner[:, None, :2], b_corner[None, :, :2])  # (A, B, 2)
    high = np.minimum(a_corner[:, None, 2:], b_corner[None, :, 2:])  # (A, B, 2)
    intersection = np.prod(np.maximum(high - low, 0), axis=-1)  # (A, B)
    area_a, area_b = (np.prod(box[:, 2:] - box[:, :2], axis=-1) for box in (a_corner, b_corner))
    return intersection / (area_a[:, None] + area_b - intersection)


def default_boxes():
    """(T, 4) center boxes: the fixed guesses that the network corrects."""
    boxes = []
    for cells, small, large in MAPS.values():
        grid = np.empty((cells, cells, A, 4))
        centers = (np.arange(cells) + 0.5) * (SIZE / cells)  # (cells,) in pixels
        grid[..., 0], grid[..., 1] = centers[None, :, None], centers[:, None, None]
        middle, long, short = np.sqrt(small * large), small * np.sqrt(2), small / np.sqrt(2)
        grid[..., 2:] = (small, small), (middle, middle), (long, short), (short, long)
        boxes.append(grid.reshape(-1, 4) / SIZE)  # (H, W, A, 4) -> (H*W*A, 4)
    return np.concatenate(boxes)  # the maps one after the other: (T, 4)


# --- targets: what the network should have said --------------------------------------------------
def match(iou, threshold=0.5):
    """(G, T) -> (T,): the object that each default box stands for, or -1."""
    matched = np.where(iou.max(axis=0) >= threshold, iou.argmax(axis=0), -1)  # (T,)
    free = iou.copy()
    for _ in range(len(iou)):  # the best pair of all, the best of the rest, ...: no object is lost
        truth, box = np.unravel_index(free.argmax(), free.shape)
        if free[truth, box] > 0:
            matched[box] = truth
        free[truth, :] = free[:, box] = -1
    return matched


def encode(gt_center, default_center):
    """(T, 4), (T, 4) -> offsets (T, 4): the way from each default box to its object."""
    shift = (gt_center[:, :2] - default_center[:, :2]) / default_center[:, 2:]
    growth = np.log(gt_center[:, 2:] / default_center[:, 2:])
    return np.concatenate([shift, growth], axis=-1) / VARIANCES


def decode(offsets, default_center):
    """The inverse of encode: (T, 4), (T, 4) -> center boxes (T, 4)."""
    shift, growth = np.split(offsets * VARIANCES, 2, axis=-1)  # (T, 2) each
    center = default_center[:, :2] + shift * default_center[:, 2:]
    return np.concatenate([center, default_center[:, 2:] * np.exp(growth)], axis=-1)


def make_targets(gt_corner, gt_labels, default_center):
    """(G, 4), (G,), (T, 4) -> labels (T,), 0 for background, and offsets (T, 4)."""
    matched = match(iou_matrix(gt_corner, center_to_corner(default_center)))
    positive = matched >= 0
    labels, offsets = np.zeros(len(matched), int), np.zeros((len(matched), 4))
    labels[positive] = gt_labels[matched[positive]]
    gt_center = corner_to_center(gt_corner[matched[positive]])  # (positives, 4)
    offsets[positive] = encode(gt_center, default_center[positive])
    return labels, offsets


def preprocess(image):
    """(128, 128, 3) uint8 -> (128, 128, 1): how far the colours are from the usual one."""
    distance = np.abs(image - np.median(image, axis=(0, 1))).mean(axis=-1) / 64  # (128, 128)
    return distance[..., None].astype(np.float32)


def load_batch(samples, default_center):
    """N samples -> images (N, 128, 128, 3), labels (N, T), offsets (N, T, 4)."""
    truths = [(s.truth.boxes_corner, np.ones(len(s.truth), int)) for s in samples]
    labels, offsets = zip(*(make_targets(*truth, default_center) for truth in truths), strict=True)
    return np.stack([preprocess(s.image) for s in samples]), np.stack(labels), np.stack(offsets)


# --- layers, each with its gradient --------------------------------------------------------------
def im2col(x, kernel, stride, pad):
    """(N, H, W, C) -> (N, Ho, Wo, kernel, kernel, C): what the kernel sees, pixel by pixel."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))  # (N, H + 2 pad, W + 2 pad, C)
    windows = sliding_window_view(x, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    return np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3))  # C comes last, as in w


def col2im(cols, shape, stride, pad):
    """(N, Ho, Wo, kernel, kernel, C) -> (N, H, W, C): adds each value where im2col read it."""
    n, h, w, c = shape
    _, ho, wo, kernel, _, _ = cols.shape
    x = np.zeros((n, h + 2 * pad, w + 2 * pad, c), cols.dtype)
    for i, j in np.ndindex(kernel, kernel):
        x[:, i : i + stride * ho : stride, j : j + stride * wo : stride] += cols[:, :, :, i, j]
    return x[:, pad : pad + h, pad : pad + w]  # (N, H, W, C)


def conv2d_forward(x, w, b, stride, pad):
    """x (N, H, W, C), w (kernel, kernel, C, Co), b (Co,) -> (N, Ho, Wo, Co), and the cache."""
    cols = im2col(x, len(w), stride, pad)
    out = cols.reshape(-1, w[..., 0].size) @ w.reshape(-1, len(b)) + b  # (N*Ho*Wo, Co)
    return out.reshape(*cols.shape[:3], -1), (cols, x.shape, w, stride, pad)


def conv2d_backward(dout, cache):
    """dout (N, Ho, Wo, Co) -> dx (N, H, W, C), dw (kernel, kernel, C, Co), db (Co,)."""
    cols, shape, w, stride, pad = cache
    rows = dout.reshape(-1, w.shape[3])  # (N*Ho*Wo, Co)
    dw = cols.reshape(len(rows), -1).T @ rows  # (kernel*kernel*C, Co)
    dcols = rows @ w.reshape(-1, w.shape[3]).T  # (N*Ho*Wo, kernel*kernel*C)
    dx = col2im(dcols.reshape(cols.shape), shape, stride, pad)
    return dx, dw.reshape(w.shape), rows.sum(axis=0)


# --- the network ---------------------------------------------------------------------------------
def init_parameters(seed=0, dtype=np.float32):
    """Weights and biases by name: He's spread in the trunk, next to nothing in the heads."""
    rng, parameters, widths, channels = np.random.default_rng(seed), {}, {}, 1

    def add(name, shape, spread):
        weight = rng.standard_normal(shape) * spread
        parameters[f"{name}.weight"] = weight.astype(dtype)
        parameters[f"{name}.bias"] = np.zeros(shape[-1], dtype)

    for name, width, kernel, _, _ in LAYERS:
        spread = np.sqrt(2 / (kernel * kernel * channels))
        add(name, (kernel, kernel, channels, width), spread)
        channels = widths[name] = width
    for name in MAPS:
        add(f"conf_{name}", (3, 3, widths[name], A * K), 0.01)
        add(f"loc_{name}", (3, 3, widths[name], A * 4), 0.01)
    return parameters


def forward(parameters, images):
    """(N, 128, 128, 3) -> logits (N, T, K), offsets (N, T, 4), and the caches."""
    x, trunk, heads, logits, offsets = images, [], {}, [], []

    def convolve(x, name, stride, pad):
        w, b = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        return conv2d_forward(x, w, b, stride, pad)

    for name, _, _, stride, pad in LAYERS:
        x, cache = convolve(x, name, stride, pad)  # (N, Ho, Wo, channels)
        x = np.maximum(x, 0)  # ReLU
        trunk.append((name, cache, x))
        if name in MAPS:  # two more convolutions say what each box of a cell is, and where
            for kind, width, rows in (("conf", K, logits), ("loc", 4, offsets)):
                out, heads[kind, name] = convolve(x, f"{kind}_{name}", 1, 1)
                rows.append(out.reshape(len(x), -1, width))  # (N, H, W, A*K) -> (N, H*W*A, K)
    return np.concatenate(logits, axis=1), np.concatenate(offsets, axis=1), (trunk, heads)


def backward(dlogits, doffsets, caches):
    """The outputs' gradients -> the gradient of every parameter, by name. Forward, from its end."""
    (trunk, heads), grads, dx, last = caches, {}, 0, dlogits.shape[1]
    for name, cache, x in reversed(trunk):
        if name in MAPS:  # the map serves two masters, heads and next layer: gradients add up
            n, h, w, _ = x.shape
            first = last - h * w * A
            for kind, rows in (("conf", dlogits), ("loc", doffsets)):
                dout = rows[:, first:last].reshape(n, h, w, -1)  # (N, H*W*A, K) -> (N, H, W, A*K)
                dmap, dw, db = conv2d_backward(dout, heads[kind, name])
                grads[f"{kind}_{name}.weight"], grads[f"{kind}_{name}.bias"] = dw, db
                dx = dx + dmap
            last = first
        dx = dx * (x > 0)  # ReLU: what was cut off has no gradient
        dx, grads[f"{name}.weight"], grads[f"{name}.bias"] = conv2d_backward(dx, cache)
    return grads


# --- the loss ------------------------------------------------------------------------------------
def log_softmax(logits):
    """(..., K) -> (..., K): logarithms of the classes' probabilities."""
    z = logits - logits.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def mine_hard_negatives(confidence_loss, positive):
    """(N, T), (N, T) bool -> (N, T) bool: the costliest background boxes, RATIO a positive one."""
    mined = np.zeros(positive.shape, bool)
    for i in range(len(mined)):
        negative = np.flatnonzero(~positive[i])  # indices of default boxes
        costliest = np.argsort(-confidence_loss[i, negative], kind="stable")
        mined[i, negative[costliest[: RATIO * positive[i].sum()]]] = True
    return mined


def multibox_loss(logits, offsets, labels, target_offsets):
    """(N, T, K), (N, T, 4), (N, T), (N, T, 4) -> loss, dlogits, doffsets, mined (N, T)."""
    log_probability, positive = log_softmax(logits), labels > 0
    mined = mine_hard_negatives(-log_probability[..., 0], positive)
    chosen = positive | mined
    scale = 1 / max(1, int(positive.sum()), int(mined.sum()) / max(1, RATIO))
    # classes: cross-entropy, over the chosen boxes
    one_hot = np.eye(K, dtype=logits.dtype)[labels]  # (N, T) -> (N, T, K)
    confidence = -(log_probability * one_hot).sum(axis=-1)  # (N, T)
    dlogits = (np.exp(log_probability) - one_hot) * chosen[..., None] * scale
    # places: smooth L1, over the positive boxes
    d = offsets - target_offsets.astype(offsets.dtype)
    location = np.where(np.abs(d) < 1, d * d / 2, np.abs(d) - 0.5).sum(axis=-1)  # (N, T)
    doffsets = np.clip(d, -1, 1) * positive[..., None] * scale
    loss = (confidence[chosen].sum() + location[positive].sum()) * scale
    return float(loss), dlogits, doffsets, mined


# --- learning ------------------------------------------------------------------------------------
def sgd(parameters, grads, velocity, rate):
    """One step down with momentum."""
    for name, p in parameters.items():
        velocity[name] = MOMENTUM * velocity.get(name, 0) + grads[name]
        p -= rate * velocity[name]


def gradients(parameters, images, labels, target_offsets):
    """The loss of a batch, and its gradient for every parameter, by hand."""
    logits, offsets, caches = forward(parameters, images)
    loss, dlogits, doffsets, _ = multibox_loss(logits, offsets, labels, target_offsets)
    return loss, backward(dlogits, doffsets, caches)


def train(steps):
    """Parameters after `steps` batches of pictures, none of them seen twice."""
    parameters, velocity, default_center = init_parameters(), {}, default_boxes()
    pictures = ShapesDataset(seed=0, count=steps * BATCH)
    for step in range(steps):
        samples = [pictures[step * BATCH + i] for i in range(BATCH)]
        loss, grads = gradients(parameters, *load_batch(samples, default_center))
        sgd(parameters, grads, velocity, RATE)
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:4}  loss {loss:6.3f}", flush=True)
    return parameters


def numeric_gradient(loss, p, i, h=1e-6):
    """d loss / d p[i] by trying: a little more, a little less, all else as it is."""
    kept = p[i]
    p[i] = kept + h
    above = loss()
    p[i] = kept - h
    below = loss()
    p[i] = kept
    return (above - below) / (2 * h)


def check():
    """Holds the gradients against numbers: one of each array, in float64."""
    parameters, rng = init_parameters(dtype=np.float64), np.random.default_rng(0)
    batch = load_batch([ShapesDataset(seed=0, count=1)[0]], default_boxes())
    for name, g in gradients(parameters, *batch)[1].items():
        i, p = tuple(rng.integers(g.shape)), parameters[name]
        by_number = numeric_gradient(lambda: gradients(parameters, *batch)[0], p, i)
        print(f"{name:15} {by_number:12.8f} by numbers, {g[i]:12.8f} by hand")
        if not abs(by_number - g[i]) < 1e-5 * abs(g).max():
            raise SystemExit(f"the gradient of {name} is wrong")


# --- finding -------------------------------------------------------------------------------------
def detect(logits, offsets, default_center, score_threshold=0.5):
    """A picture's (T, K), (T, 4) -> boxes_corner (D, 4), labels (D,), scores (D,), best first."""
    scores = np.exp(log_softmax(logits))  # (T, K)
    boxes, found = center_to_corner(decode(offsets, default_center)), []
    for label in range(1, K):
        rows = np.flatnonzero(scores[:, label] > score_threshold)  # indices of default boxes
        found += [(row, label) for row in rows]
    rows, labels = np.array(found, int).reshape(-1, 2).T  # (D,) each
    best = np.argsort(-scores[rows, labels], kind="stable")
    rows, labels = rows[best], labels[best]
    return np.clip(boxes[rows], 0, 1), labels, scores[rows, labels]


def detect_all(parameters, samples, score_threshold=0.5):
    """What `detect` says of each sample."""
    found, default_center = [], default_boxes()
    for sample in samples:
        logits, offsets, _ = forward(parameters, preprocess(sample.image)[None])
        found.append(detect(logits[0], offsets[0], default_center, score_threshold))
    return found


def judge(found, truth):
    """For each detection, best first, the object 0..G-1 that it found, or REPEATED, or WRONG."""
    verdicts = []
    for row in iou_matrix(found[0], truth.boxes_corner):  # (D, G)
        g = int(row.argmax())
        verdicts.append(WRONG if row[g] < 0.5 else REPEATED if g in verdicts else g)
    return verdicts


def report(found, truths):
    """Prints how many objects were found, by size in pixels, and what the boxes are worth."""
    hits, v = ([], [], []), []
    for detections, truth in zip(found, truths, strict=True):
        verdicts = judge(detections, truth)
        v += verdicts
        for g, (w, h) in enumerate(corner_to_center(truth.boxes_corner)[:, 2:] * SIZE):
            hits[int(w * h > 32**2) + int(w * h > 56**2)].append(g in verdicts)
    for size, hit in zip(("below 32", "32 to 56", "above 56"), hits, strict=True):
        print(f"objects {size} pixels: {sum(hit):3} of {len(hit):3} found")
    repeated, wrong = v.count(REPEATED), v.count(WRONG)
    print(f"{len(v)} boxes: {len(v) - repeated - wrong} right, {repeated} repeated, {wrong} wrong")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of the training, {STEPS}")
    parser.add_argument("--check", action="store_true", help="hold the gradients against numbers")
    options = parser.parse_args()
    if options.check:
        return check()
    parameters = train(options.steps)
    print("In 100 new pictures:")
    samples = [ShapesDataset(seed=3, count=100)[i] for i in range(100)]  # they chose no number
    truths = [sample.truth for sample in samples]
    report(detect_all(parameters, samples), truths)


if __name__ == "__main__":
    main()
