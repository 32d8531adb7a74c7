"""SSD, the whole of it, in NumPy: boxes, network, loss, every gradient, training, suppression.

    python examples/one_file/ssd.py            trains for about a minute, then finds shapes
    python examples/one_file/ssd.py --check    holds the gradients against numbers

To be read from top to bottom, which is the way of the data. It is the library's preset `tiny`,
number for number, and a test holds it to that. New since ssd3.py: suppression of repeated boxes,
pooling and the whole network, more of SGD, and average precision.

Letters of the shapes: N pictures, H W C of a map, A boxes a cell, T boxes in all, G objects,
K classes with the background, D detections. Boxes are fractions of the picture; a name says
`corner` for (xmin, ymin, xmax, ymax), `center` for (cx, cy, w, h). Class 0 is the background.
"""

import argparse
import struct

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ssd_np import ShapesDataset  # pictures with their truth; nothing else is the library's

NAMES = ShapesDataset.class_names
K = 1 + len(NAMES)
SIZE = 128  # pixels on a side of a picture
LAYERS = (  # name, channels, kernel, stride, pad; a row of layers ends in a smaller map
    ("conv1_1", 24, 3, 2, 1),
    ("conv2_1", 32, 3, 1, 1), ("pool2",),
    ("conv3_1", 48, 3, 1, 1), ("conv3_2", 64, 3, 1, 1), ("pool3",),
    ("conv4_1", 96, 3, 1, 1), ("conv4_2", 96, 3, 1, 1), ("pool4",),
    ("conv5_1", 128, 3, 1, 1), ("conv5_2", 128, 3, 1, 1),
    ("conv6_1", 64, 1, 1, 0), ("conv6_2", 128, 3, 2, 1),
)  # fmt: skip
MAPS = {  # layers that are read: cells on a side, min_size and max_size of their boxes in pixels
    "conv4_2": (16, 20, 36),
    "conv5_2": (8, 40, 64),
    "conv6_2": (4, 68, 96),
}
A = 4  # default boxes in a cell
VARIANCES = np.array([0.1, 0.1, 0.2, 0.2])  # of the offsets: cx cy w h
RATIO = 3  # background boxes in the loss for each positive box
BATCH, STEPS, RATE, MOMENTUM = 4, 1000, 0.03, 0.9
WARMUP, WEIGHT_DECAY, CLIP_NORM = 50, 0.0005, 10
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
    """(128, 128, 3) uint8 -> (128, 128, 3) float32 around 0"""
    return (image.astype(np.float32) - 127.5) / 64


def load_batch(samples, default_center):
    """N samples -> images (N, 128, 128, 3), labels (N, T), offsets (N, T, 4)."""
    truths = [(s.truth.boxes_corner, s.truth.labels) for s in samples]
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


def max_pool2d_forward(x):
    """(N, H, W, C) -> (N, H/2, W/2, C): the largest of each 2 x 2, and the cache."""
    out = np.maximum.reduce([x[:, i::2, j::2] for i, j in np.ndindex(2, 2)])
    return out, (x, out)


def max_pool2d_backward(dout, cache):
    """(N, H/2, W/2, C) -> (N, H, W, C): all of it goes to the largest; of equal ones, the first."""
    x, out = cache
    dx, waiting = np.zeros_like(x), np.ones(out.shape, bool)
    for i, j in np.ndindex(2, 2):
        largest = waiting & (x[:, i::2, j::2] == out)
        dx[:, i::2, j::2] = dout * largest
        waiting &= ~largest
    return dx


# --- the network ---------------------------------------------------------------------------------
def init_parameters(seed=0, dtype=np.float32):
    """Weights and biases by name: He's spread in the trunk, next to nothing in the heads."""
    rng, parameters, widths, channels = np.random.default_rng(seed), {}, {}, 3

    def add(name, shape, spread):
        weight = rng.standard_normal(shape) * spread
        parameters[f"{name}.weight"] = weight.astype(dtype)
        parameters[f"{name}.bias"] = np.zeros(shape[-1], dtype)

    for name, *rule in LAYERS:
        if rule:
            width, kernel, _, _ = rule
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

    for name, *rule in LAYERS:
        if rule:
            x, cache = convolve(x, name, *rule[2:])  # (N, Ho, Wo, channels)
            x = np.maximum(x, 0)  # ReLU
        else:
            x, cache = max_pool2d_forward(x)  # (N, H/2, W/2, C)
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
        if name.startswith("pool"):
            dx = max_pool2d_backward(dx, cache)  # (N, H/2, W/2, C) -> (N, H, W, C)
        else:
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
def learning_rate(step, steps):
    """Up along a line, for the first gradients point anywhere; then down along half a cosine."""
    return RATE * (1 + np.cos(np.pi * step / steps)) / 2 * min(1, (step + 1) / WARMUP)


def sgd(parameters, grads, velocity, rate):
    """One step down with momentum. Weights decay, biases do not; a wild batch is shortened."""
    norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in grads.values()))
    shorter = min(1.0, CLIP_NORM / max(norm, CLIP_NORM))
    for name, p in parameters.items():
        decay = WEIGHT_DECAY if name.endswith(".weight") else 0
        velocity[name] = MOMENTUM * velocity.get(name, 0) + float(shorter) * grads[name] + decay * p
        p -= float(rate) * velocity[name]


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
        sgd(parameters, grads, velocity, learning_rate(step, steps))
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
def nms(boxes_corner, scores, iou_threshold=0.45):
    """(D, 4), (D,) -> kept indices: the best box of all, without those over it, the next, ..."""
    order = np.argsort(-scores, kind="stable")
    overlap, keep = iou_matrix(boxes_corner[order], boxes_corner[order]), np.ones(len(order), bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= overlap[i, i + 1 :] <= iou_threshold
    return order[keep]


def detect(logits, offsets, default_center, score_threshold=0.5):
    """A picture's (T, K), (T, 4) -> boxes_corner (D, 4), labels (D,), scores (D,), best first."""
    scores = np.exp(log_softmax(logits))  # (T, K)
    boxes, found = center_to_corner(decode(offsets, default_center)), []
    for label in range(1, K):
        rows = np.argsort(-scores[:, label], kind="stable")[:400]  # indices of default boxes
        rows = rows[scores[rows, label] > score_threshold]
        found += [(row, label) for row in rows[nms(boxes[rows], scores[rows, label])]]
    rows, labels = np.array(found, int).reshape(-1, 2).T  # (D,) each
    best = np.argsort(-scores[rows, labels], kind="stable")[:200]
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
    verdicts, same_class = [], found[1][:, None] == truth.labels  # (D, G)
    for row in iou_matrix(found[0], truth.boxes_corner) * same_class:
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


def average_precision(found, truths, label):
    """Area under precision over recall for one class, over all pictures."""
    hits, scores = [], []
    for detections, truth in zip(found, truths, strict=True):
        of_class = detections[1] == label
        hits.append(np.array(judge(detections, truth), int)[of_class] >= 0)
        scores.append(detections[2][of_class])
    right = np.cumsum(np.concatenate(hits)[np.argsort(-np.concatenate(scores), kind="stable")])
    recall = right / sum((truth.labels == label).sum() for truth in truths)
    precision = right / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # the best at this recall or higher
    return float((np.diff(recall, prepend=0) * precision).sum())


def draw(path, image, boxes_corner):
    """Writes a picture (128, 128, 3) three times as large, a frame around each box, as BMP."""
    pixels = image.repeat(3, axis=0).repeat(3, axis=1)  # (384, 384, 3)
    for left, top, right, bottom in (boxes_corner * len(pixels)).astype(int):
        inside = pixels[top + 3 : bottom - 3, left + 3 : right - 3].copy()
        pixels[top:bottom, left:right] = 255
        pixels[top + 3 : bottom - 3, left + 3 : right - 3] = inside
    h, w, _ = pixels.shape
    head = struct.pack("<2s4I2i2H24x", b"BM", 54 + pixels.size, 0, 54, 40, w, -h, 1, 24)
    with open(path, "wb") as file:
        file.write(head + pixels[..., ::-1].tobytes())


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
    found = detect_all(parameters, samples, score_threshold=0.01)  # the curve needs its tail
    precision = {NAMES[k - 1]: average_precision(found, truths, k) for k in range(1, K)}
    print("average precision:", ", ".join(f"{name} {p:.3f}" for name, p in precision.items()))
    print(f"mean average precision at IoU 0.5: {np.mean(list(precision.values())):.3f}")
    ((boxes, labels, scores),) = detect_all(parameters, samples[:1])
    for box, label, score in zip(boxes, labels, scores, strict=True):
        print(f"{NAMES[label - 1]:8} {score:.2f}  {box.round(2)}")
    draw("ssd.bmp", samples[0].image, boxes)  # these boxes


if __name__ == "__main__":
    main()
