"""Linzaer's face detector, read from its file, against ONNX Runtime and against PyTorch.

PyTorch's network is built from what is known of the file (published_nets_in_torch.py), so that
nothing of this package stands on both sides.
"""

import dataclasses
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from ssd_np.boxes.codec import decode
from ssd_np.boxes.coords import center_to_corner
from ssd_np.data.image import preprocess, read_image, resize
from ssd_np.gradcheck import relative_error
from ssd_np.infer.detect import Detector
from ssd_np.model.fold import for_inference
from ssd_np.model.published import from_torch_layout, linzaer_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load_torch
from ssd_np.train.sgd import SGD

pytest.importorskip("torch")
import torch
from published_nets_in_torch import slim, slim_decode, slim_default_boxes, slim_suppress

NAMES = linzaer_names()
GRACE = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture
def file(published):
    return published / "version-slim-320.pth"


@pytest.fixture
def model(file):
    return load_torch(file, size=(240, 320))


def mosaic(rows, columns):
    """Her face again and again, in many sizes, upright and mirrored."""
    rng, grace = np.random.default_rng(5), read_image(GRACE)
    picture = np.full((240 * rows, 320 * columns, 3), 90, np.uint8)
    for i in range(rows):
        for j in range(columns):
            height = int(rng.integers(120, 240))
            tile = resize(grace, height, height * 320 // 300).astype(np.uint8)[:, :: (-1) ** j]
            picture[240 * i : 240 * i + height, 320 * j : 320 * j + tile.shape[1]] = tile
    return picture


def photographs(bccd_root):
    found = sorted((bccd_root / "JPEGImages").glob("*.jpg"))[:3]
    return [read_image(path) for path in (GRACE, *found)] + [mosaic(2, 3), mosaic(4, 4)]


def pixels(image, model):
    """As both sides get them: resized, from 0 to 255."""
    config = model.config.input
    return preprocess(image, model.config) * config.std[0] + config.mean[0]


def random_pixels(count, height=240, width=320):
    shape = (count, height, width, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float64)


def in_float64(model):
    again = SSD(model.config, dtype=np.float64)
    for name, parameter in again.parameters.items():
        parameter.assign(model.parameters[name].value)
    return again


def corners(model, offsets):
    return center_to_corner(decode(offsets, model.default_boxes))


# --- forward -------------------------------------------------------------------------------------


@pytest.mark.parametrize("folded", [False, True])
def test_scores_and_boxes_are_onnx_runtimes(published, bccd_root, model, folded):
    """All 4,420 of random and of real pictures, in float32."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    path = str(published / "version-slim-320.onnx")
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    model = for_inference(model) if folded else model
    real = np.stack([pixels(image, model) for image in photographs(bccd_root)])
    of_scores = of_boxes = 0.0
    for image in (*random_pixels(4), *real):
        x = ((image - 127) / 128).astype(np.float32)
        scores, boxes = session.run(None, {"input": x.transpose(2, 0, 1)[None]})
        ours = model.predict(x[None])[0]
        of_scores = max(of_scores, np.abs(ours[:, :2] - scores[0]).max())
        of_boxes = max(of_boxes, np.abs(corners(model, ours[:, 2:6]) - boxes[0]).max())
    print(f"scores {of_scores:.2g}, boxes {of_boxes:.2g}")
    assert of_scores <= 2e-5 and of_boxes <= 1e-5


@pytest.mark.parametrize(
    ("name", "size"), [("version-slim-320.pth", (240, 320)), ("version-slim-640.pth", (480, 640))]
)
def test_in_float64_it_is_pytorchs_network(published, bccd_root, name, size):
    model = in_float64(load_torch(published / name, size=size))
    images = np.stack([*random_pixels(1, *size), pixels(photographs(bccd_root)[-1], model)])
    net = slim(published / name, torch.float64)
    with torch.no_grad():
        expected = [out.numpy() for out in net(torch.from_numpy(images))]
    for ours, theirs in zip(model.forward((images - 127) / 128), expected, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-9
    boxes = slim_default_boxes(*size)
    np.testing.assert_allclose(model.default_boxes[:, :4], boxes, atol=1e-15)
    ours = corners(model, expected[1][1])
    np.testing.assert_allclose(ours, slim_decode(expected[1][1], boxes), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "size", "known"),
    [  # mean score of face, boxes above 0.5 and 0.7, the face that is kept and its score, in pixels
        ("version-slim-320.pth", (240, 320), (0.0999772, 8, 7, 4271, 0.999906)),
        ("version-slim-640.pth", (480, 640), (0.0789707, 10, 10, 17506, 0.999996)),
    ],
)
def test_known_answers(published, name, size, known):
    """On a portrait of Grace Hopper; those of the 640 file after Pillow's resizing."""
    model = load_torch(published / name, size=size)
    if size[0] == 480:
        given = dataclasses.replace(model.config.input, resize="antialias")
        model.config = dataclasses.replace(model.config, input=given)
    image = read_image(GRACE)
    prediction = model.predict(preprocess(image, model.config)[None])[0]
    mean, half, seven, row, score = known
    assert prediction[:, 1].mean() == pytest.approx(mean, abs=2e-6)
    assert (int((prediction[:, 1] > 0.5).sum()), int((prediction[:, 1] > 0.7).sum())) == (
        half, seven,
    )  # fmt: skip
    found = Detector(model, 0.7).detect(image)
    assert found.scores == pytest.approx([score], abs=2e-6)
    assert int(prediction[:, 1].argmax()) == row
    if size[0] == 240:
        corner = found.boxes_corner[0] * (512, 600, 512, 600)
        np.testing.assert_allclose(corner, (174.72, 114.11, 355.24, 337.52), atol=0.01)


def test_the_same_faces_are_kept(file, bccd_root, model):
    """Those that the author's own suppression keeps, best first, with her face many times."""
    net, boxes = slim(file), slim_default_boxes(240, 320)
    faces = 0
    for image in photographs(bccd_root):
        seen = pixels(image, model)
        with torch.no_grad():
            logits, offsets = net(torch.from_numpy(seen[None].astype(np.float32)))
        scores = torch.softmax(logits, -1)[0, :, 1].numpy()
        kept = slim_suppress(slim_decode(offsets[0].numpy(), boxes), scores)
        detector = Detector(model, model.config.decoding.show_threshold)
        ours = model.forward(preprocess(image, model.config)[None])
        decoded = detector.decode_with_reasons(ours[0][0], ours[1][0])
        assert decoded.rows.tolist() == kept
        faces += len(kept)
    assert faces >= 15


# --- gradients and steps -------------------------------------------------------------------------


def test_every_gradient_is_autograds(file):
    """Of random upstream gradients, in float64, with the statistics of the batch."""
    model, net = in_float64(load_torch(file, size=(96, 128))), slim(file, torch.float64).train()
    images = random_pixels(3, 96, 128)
    inputs = torch.from_numpy(images).requires_grad_()
    expected = net(inputs)
    ours = model.forward((images - 127) / 128, training=True)
    rng = np.random.default_rng(1)
    upstream = [rng.standard_normal(out.shape) for out in ours]
    for out, theirs in zip(ours, expected, strict=True):
        assert np.abs(out - theirs.detach().numpy()).max() <= 1e-9
    torch.autograd.backward(expected, [torch.from_numpy(d) for d in upstream])
    dimages = model.backward(*upstream, input_gradient=True)
    assert relative_error(dimages / 128, inputs.grad.numpy()) <= 1e-8
    theirs = dict(net.named_parameters())
    compared = 0
    for name, parameter in model.parameters.items():
        if parameter.trainable:
            gradient = from_torch_layout(theirs[NAMES[name]].grad.numpy())
            assert relative_error(parameter.grad, gradient) <= 1e-7, name
            compared += parameter.value.size
    assert compared == 260_188


@pytest.mark.parametrize("frozen", [None, "block12"])
def test_three_steps_of_sgd_with_running_statistics(file, frozen):
    model, net = in_float64(load_torch(file, size=(96, 128))), slim(file, torch.float64).train()
    if frozen:
        model.freeze(frozen)
        net.base_net.eval()
        net.base_net.requires_grad_(False)
    start = {name: p.value.copy() for name, p in model.parameters.items()}
    optimiser = SGD(model.parameters, momentum=0.9, weight_decay=5e-4)
    learn = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    kernels = [p for _, p in learn if p.ndim == 4]
    rest = [p for _, p in learn if p.ndim != 4]  # neither biases nor normalisation decay
    groups = [{"params": kernels, "weight_decay": 5e-4}, {"params": rest, "weight_decay": 0.0}]
    reference = torch.optim.SGD(groups, 0.01, momentum=0.9)
    images = random_pixels(6, 96, 128)
    for i in range(3):
        batch = images[2 * i : 2 * i + 2]
        outputs = model.forward((batch - 127) / 128, training=True)
        model.backward(*(out / out.size for out in outputs))
        optimiser.step(0.01)
        reference.zero_grad()
        loss = sum((out**2).sum() / (2 * out.numel()) for out in net(torch.from_numpy(batch)))
        loss.backward()
        reference.step()
    theirs = net.state_dict()
    for name, parameter in model.parameters.items():
        value = from_torch_layout(theirs[NAMES[name]].numpy())
        assert np.abs(parameter.value - value).max() <= 1e-9, name
        trunk = name.startswith("block")
        same = np.array_equal(parameter.value, start[name])
        assert same == bool(frozen and trunk), name
