"""SSD, step 0: a grid of cells, each with one box, that says "something" or "nothing".

    python examples/one_file/ssd0.py    trains for a quarter of a minute, then finds shapes

A small network looks at the whole picture once and says for every cell of a grid whether the middle
of an object lies in it, and where its box is. It learns by trying: each of its 198 numbers is moved
a little to see whether the loss falls. It does not see colours, only how far each patch of the
picture is from the usual colour. It finds half of the objects, among many wrong boxes.

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
CELLS = 8  # on a side of the grid
BATCH, STEPS, RATE, MOMENTUM = 8, 120, 0.1, 0.9
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


# --- targets: what the network should have said --------------------------------------------------
def decode(offsets):
    """(T, 4) -> center boxes (T, 4): the middle of the cell moved, width and height as they are."""
    row, column = np.divmod(np.arange(CELLS * CELLS), CELLS)  # (T,) each
    center = np.stack([column + 0.5, row + 0.5], axis=-1) / CELLS  # (T, 2)
    return np.concatenate([center + offsets[:, :2] / CELLS, offsets[:, 2:]], axis=-1)


def make_targets(gt_corner, gt_labels):
    """(G, 4), (G,) -> labels (T,), 0 for background, and offsets (T, 4)."""
    labels, offsets = np.zeros(CELLS * CELLS, int), np.zeros((CELLS * CELLS, 4))
    for (cx, cy, w, h), label in zip(corner_to_center(gt_corner), gt_labels, strict=True):
        column, row = int(cx * CELLS), int(cy * CELLS)  # the cell that the middle lies in
        labels[row * CELLS + column] = label
        offsets[row * CELLS + column] = cx * CELLS - column - 0.5, cy * CELLS - row - 0.5, w, h
    return labels, offsets


def preprocess(image):
    """(128, 128, 3) uint8 -> (16, 16, 1): how far the colours are from the usual one."""
    distance = np.abs(image - np.median(image, axis=(0, 1))).mean(axis=-1) / 64  # (128, 128)
    return distance.reshape(16, 8, 16, 8).mean(axis=(1, 3))[..., None]  # 8 x 8 pixels become one


def load_batch(samples):
    """N samples -> images (N, 16, 16, 1), labels (N, T), offsets (N, T, 4)."""
    truths = [(s.truth.boxes_corner, np.ones(len(s.truth), int)) for s in samples]
    labels, offsets = zip(*(make_targets(*truth) for truth in truths), strict=True)
    return np.stack([preprocess(s.image) for s in samples]), np.stack(labels), np.stack(offsets)


# --- layers ------------------------------------------------------------------------------------
def im2col(x, kernel, stride, pad):
    """(N, H, W, C) -> (N, Ho, Wo, kernel, kernel, C): what the kernel sees, pixel by pixel."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))  # (N, H + 2 pad, W + 2 pad, C)
    windows = sliding_window_view(x, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    return np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3))  # C comes last, as in w


def conv2d_forward(x, w, b, stride, pad):
    """x (N, H, W, C), w (kernel, kernel, C, Co), b (Co,) -> (N, Ho, Wo, Co)"""
    cols = im2col(x, len(w), stride, pad)
    out = cols.reshape(-1, w[..., 0].size) @ w.reshape(-1, len(b)) + b  # (N*Ho*Wo, Co)
    return out.reshape(*cols.shape[:3], -1)


# --- the network ---------------------------------------------------------------------------------
def init_parameters(seed=0, dtype=np.float64):
    """Weights and biases by name: He's spread in the trunk, next to nothing in the heads."""
    rng, parameters = np.random.default_rng(seed), {}

    def add(name, shape, spread):
        weight = rng.standard_normal(shape) * spread
        parameters[f"{name}.weight"] = weight.astype(dtype)
        parameters[f"{name}.bias"] = np.zeros(shape[-1], dtype)

    add("conv1", (5, 5, 1, 6), np.sqrt(2 / (5 * 5)))
    add("conf", (1, 1, 6, K), 0.01)
    add("loc", (1, 1, 6, 4), 0.01)
    return parameters


def forward(parameters, images):
    """(N, 16, 16, 1) -> logits (N, T, K), offsets (N, T, 4)."""

    def convolve(x, name, stride, pad):
        w, b = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        return conv2d_forward(x, w, b, stride, pad)

    x = convolve(images, "conv1", 2, 2)  # (N, 8, 8, 6)
    x = np.maximum(x, 0)  # ReLU
    conf = convolve(x, "conf", 1, 0)  # two more convolutions say what the box of a
    loc = convolve(x, "loc", 1, 0)  # cell is, and where
    return conf.reshape(len(x), -1, K), loc.reshape(len(x), -1, 4)  # (N, H*W, ...)


# --- the loss ------------------------------------------------------------------------------------
def log_softmax(logits):
    """(..., K) -> (..., K): logarithms of the classes' probabilities."""
    z = logits - logits.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def multibox_loss(logits, offsets, labels, target_offsets):
    """(N, T, K), (N, T, 4), (N, T), (N, T, 4) -> loss."""
    log_probability, positive = log_softmax(logits), labels > 0
    # classes: cross-entropy, the positive boxes together as heavy as all the background
    one_hot = np.eye(K, dtype=logits.dtype)[labels]  # (N, T) -> (N, T, K)
    confidence = -(log_probability * one_hot).sum(axis=-1)  # (N, T)
    # places: smooth L1, over the positive boxes
    d = offsets - target_offsets.astype(offsets.dtype)
    location = np.where(np.abs(d) < 1, d * d / 2, np.abs(d) - 0.5).sum(axis=-1)  # (N, T)
    return (confidence + location)[positive].mean() + confidence[~positive].mean()


# --- learning ------------------------------------------------------------------------------------
def sgd(parameters, grads, velocity, rate):
    """One step down with momentum."""
    for name, p in parameters.items():
        velocity[name] = MOMENTUM * velocity.get(name, 0) + grads[name]
        p -= rate * velocity[name]


def gradients(parameters, images, labels, target_offsets):
    """The loss of a batch, and its gradient for every parameter, by trying."""

    def loss():
        return multibox_loss(*forward(parameters, images), labels, target_offsets)

    grads = {
        name: np.reshape([numeric_gradient(loss, p, i) for i in np.ndindex(p.shape)], p.shape)
        for name, p in parameters.items()
    }
    return loss(), grads


def train(steps):
    """Parameters after `steps` batches of pictures, none of them seen twice."""
    parameters, velocity = init_parameters(), {}
    pictures = ShapesDataset(seed=0, count=steps * BATCH)
    for step in range(steps):
        samples = [pictures[step * BATCH + i] for i in range(BATCH)]
        loss, grads = gradients(parameters, *load_batch(samples))
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


# --- finding -------------------------------------------------------------------------------------
def detect(logits, offsets, score_threshold=0.5):
    """A picture's (T, K), (T, 4) -> boxes_corner (D, 4), labels (D,), scores (D,), best first."""
    scores = np.exp(log_softmax(logits))  # (T, K)
    boxes, found = center_to_corner(decode(offsets)), []
    for label in range(1, K):
        rows = np.flatnonzero(scores[:, label] > score_threshold)  # indices of cells
        found += [(row, label) for row in rows]
    rows, labels = np.array(found, int).reshape(-1, 2).T  # (D,) each
    best = np.argsort(-scores[rows, labels], kind="stable")
    rows, labels = rows[best], labels[best]
    return np.clip(boxes[rows], 0, 1), labels, scores[rows, labels]


def detect_all(parameters, samples, score_threshold=0.5):
    """What `detect` says of each sample."""
    found = []
    for sample in samples:
        logits, offsets = forward(parameters, preprocess(sample.image)[None])
        found.append(detect(logits[0], offsets[0], score_threshold))
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
    options = parser.parse_args()
    parameters = train(options.steps)
    print("In 100 new pictures:")
    samples = [ShapesDataset(seed=3, count=100)[i] for i in range(100)]  # they chose no number
    truths = [sample.truth for sample in samples]
    report(detect_all(parameters, samples), truths)


if __name__ == "__main__":
    main()
