"""SSD in one file is the library's `tiny`: the same matches, mined boxes, gradients and detections.

And the five files of examples/one_file run, stay short, and import NumPy alone.
"""

import ast
import dataclasses
import difflib
import html
import importlib.util
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd_np import SSD, Detector, ShapesDataset, evaluate_voc, load, load_config
from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.matching import match
from ssd_np.boxes.nms import nms
from ssd_np.boxes.targets import make_targets
from ssd_np.loss.multibox import multibox_loss
from ssd_np.train.schedule import learning_rate
from ssd_np.train.sgd import SGD

FOLDER = Path(__file__).parents[2] / "examples" / "one_file"
FILES = ("ssd0", "ssd1", "ssd2", "ssd3", "ssd")
MOST_LINES = {"ssd0": 250, "ssd1": 300, "ssd2": 360, "ssd3": 370, "ssd": 450}
STANDARD = {"argparse", "struct"}  # of the standard library


def load_file(name):
    spec = importlib.util.spec_from_file_location(f"one_file_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


one_file = load_file("ssd")
CONFIG = load_config("tiny")


def batch_of(step, dtype=np.float32):
    """The one file's batch `step`: images, labels, offsets."""
    pictures = ShapesDataset(seed=0, count=400)
    samples = [pictures[step * 4 + i] for i in range(4)]
    images, labels, offsets = one_file.load_batch(samples, one_file.default_boxes())
    return images.astype(dtype), labels, offsets


def distance(a, b):
    """Length of the difference over the length of b."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# --- the numbers ---------------------------------------------------------------------------------


def test_numbers_are_the_preset_tiny():
    layers = tuple(
        (at.name,) if at.kind == "pool" else (at.name, at.channels, at.kernel, at.stride, at.pad)
        for at in CONFIG.layers
    )
    assert layers == one_file.LAYERS
    assert one_file.default_boxes().shape == (1344, 4)
    assert np.array_equal(one_file.default_boxes(), SSD(CONFIG).default_boxes[:, :4])
    assert tuple(one_file.VARIANCES) == CONFIG.boxes.variances
    training = CONFIG.training
    assert (
        training.learning_rate,
        training.momentum,
        training.warmup_steps,
        training.weight_decay,
    ) == (one_file.RATE, one_file.MOMENTUM, one_file.WARMUP, one_file.WEIGHT_DECAY)
    assert (training.clip_norm, CONFIG.loss.ratio) == (one_file.CLIP_NORM, one_file.RATIO)
    for step in (0, 20, 49, 50, 500, 999):
        settings = dataclasses.replace(training, steps=1000)
        assert one_file.learning_rate(step, 1000) == learning_rate(step, settings)


def test_both_start_from_the_same_weights():
    parameters, model = one_file.init_parameters(seed=3), SSD(CONFIG, seed=3)
    assert parameters.keys() == model.parameters.keys()
    for name, p in parameters.items():
        assert np.array_equal(p, model.parameters[name].value), name


# --- boxes ---------------------------------------------------------------------------------------


def truths(count=60):
    pictures = ShapesDataset(seed=5, count=count)
    return [pictures.truth(i) for i in range(count)]


def test_matches_are_identical():
    centers = one_file.default_boxes()
    corners = center_to_corner(centers)
    columns = np.hstack([centers, np.broadcast_to(CONFIG.boxes.variances, centers.shape)])
    for truth in truths():
        boxes, labels = truth.boxes_corner, truth.labels
        found = one_file.match(one_file.iou_matrix(boxes, corners))
        assert np.array_equal(found, match(boxes, corners))
        mine, theirs = (
            one_file.make_targets(boxes, labels, centers),
            make_targets(boxes, labels, columns),
        )
        assert np.array_equal(mine[0], theirs[0])
        np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-12, atol=1e-12)


def test_conflicting_objects_each_keep_a_box():
    # both objects like box 0 best, the second one more: the first gets its next best
    iou = np.array([[0.6, 0.3, 0.0], [0.7, 0.2, 0.0]])
    assert one_file.match(iou).tolist() == [1, 0, -1]


def test_kept_boxes_are_identical():
    rng = np.random.default_rng(0)
    corner = center_to_corner(rng.uniform(0.1, 0.9, (300, 4)) * (1, 1, 0.3, 0.3))
    scores = rng.integers(0, 50, 300) / 50  # many equal ones
    assert np.array_equal(one_file.nms(corner, scores), nms(corner, scores))


# --- the network ---------------------------------------------------------------------------------


def library(dtype):
    """The preset; in float32 with the one file's sums, for Winograd's are rounded elsewhere."""
    im2col = dataclasses.replace(CONFIG, convolution="im2col")
    return SSD(CONFIG if dtype == np.float64 else im2col, dtype=dtype)


@pytest.fixture(scope="module", params=[np.float64, np.float32])
def both(request):
    """Outputs, loss and gradients of the same batch in the same dtype, (one file's, library's)."""
    dtype = request.param
    images, labels, target_offsets = batch_of(0, dtype)
    parameters, model = one_file.init_parameters(dtype=dtype), library(dtype)
    logits, offsets, caches = one_file.forward(parameters, images)
    loss, dlogits, doffsets, mined = one_file.multibox_loss(logits, offsets, labels, target_offsets)
    grads = one_file.backward(dlogits, doffsets, caches)
    outputs = model.forward(images, training=True)
    theirs = multibox_loss(*outputs, labels, target_offsets)
    model.backward(theirs.dlogits, theirs.doffsets)
    return (logits, offsets, loss, mined, grads), (outputs, theirs, model)


def test_outputs_are_equal(both):
    (logits, offsets, *_), (outputs, _, model) = both
    assert logits.dtype == outputs[0].dtype == model.dtype
    assert distance(logits, outputs[0]) < 1e-5 and distance(offsets, outputs[1]) < 1e-5


def test_loss_is_equal_and_mined_boxes_are_identical(both):
    (_, _, loss, mined, _), (_, theirs, _) = both
    assert mined.any() and np.array_equal(mined, theirs.mined)
    rel = 1e-9 if theirs.dlogits.dtype == np.float64 else 1e-5
    assert loss == pytest.approx(theirs.total, rel=rel)


def test_every_gradient_is_equal(both):
    (*_, grads), (_, _, model) = both
    assert grads.keys() == model.parameters.keys()
    for name, parameter in model.parameters.items():
        assert distance(grads[name], parameter.grad) < 1e-5, name


def test_mined_boxes_are_identical_where_losses_are_equal():
    rng = np.random.default_rng(1)
    logits = rng.integers(-2, 3, (3, 200, one_file.K)).astype(np.float64)  # many equal losses
    offsets, labels = rng.standard_normal((3, 200, 4)), np.zeros((3, 200), int)
    labels[0, :70], labels[1, 5] = 2, 1  # more wanted than there are; three; none
    mine = one_file.multibox_loss(logits, offsets, labels, np.zeros_like(offsets))
    theirs = multibox_loss(logits, offsets, labels, np.zeros_like(offsets))
    assert mine[3].sum(axis=1).tolist() == [130, 3, 0]
    assert np.array_equal(mine[3], theirs.mined)
    assert mine[0] == pytest.approx(theirs.total, rel=1e-12)
    np.testing.assert_allclose(mine[1], theirs.dlogits, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(mine[2], theirs.doffsets, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("dtype", "rel"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_ten_losses_are_equal(dtype, rel):
    parameters, velocity = one_file.init_parameters(dtype=dtype), {}
    model = library(dtype)
    optimiser = SGD(model.parameters, one_file.MOMENTUM, one_file.WEIGHT_DECAY)
    for step in range(10):
        images, labels, target_offsets = batch_of(step, dtype)
        loss, grads = one_file.gradients(parameters, images, labels, target_offsets)
        outputs = model.forward(images, training=True)
        theirs = multibox_loss(*outputs, labels, target_offsets)
        model.backward(theirs.dlogits, theirs.doffsets)
        rate = one_file.learning_rate(step, 1000)
        one_file.sgd(parameters, grads, velocity, rate)
        optimiser.step(rate, one_file.CLIP_NORM)
        assert loss == pytest.approx(theirs.total, rel=rel), step


# --- detections ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """The shipped weights in float64: (parameters by name, the library's model)."""
    shipped = load("shapes")
    model = SSD(shipped.config, dtype=np.float64)
    for name, parameter in model.parameters.items():
        parameter.assign(shipped.parameters[name].value)
    return {name: p.value for name, p in model.parameters.items()}, model


def test_detections_and_average_precision_are_the_librarys(trained):
    parameters, model = trained
    samples = [ShapesDataset(seed=9, count=12)[i] for i in range(12)]
    found = one_file.detect_all(parameters, samples, score_threshold=0.001)
    theirs = [Detector(model, score_threshold=0.001).detect(sample.image) for sample in samples]
    for (boxes, labels, scores), detections in zip(found, theirs, strict=True):
        assert np.array_equal(labels, detections.labels) and len(labels) > 1
        np.testing.assert_allclose(boxes, detections.boxes_corner, atol=1e-5)
        np.testing.assert_allclose(scores, detections.scores, atol=1e-5)
    seen = [sample.truth for sample in samples]
    result = evaluate_voc(theirs, seen)
    for k, name in enumerate(one_file.NAMES, start=1):
        assert one_file.average_precision(found, seen, k) == pytest.approx(result.ap[name])


def test_picture_opens_and_shows_its_boxes(tmp_path):
    image = ShapesDataset(seed=0, count=1)[0].image
    one_file.draw(tmp_path / "ssd.bmp", image, np.array([[0.25, 0.5, 0.5, 1.0]]))
    with Image.open(tmp_path / "ssd.bmp") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (384, 384, 3)
    assert (pixels[193, 97:192] == 255).all() and (pixels[200:380, 97] == 255).all()
    assert np.array_equal(pixels[:192:3, ::3], image[:64])


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_file_is_short(name):
    assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= MOST_LINES[name]


@pytest.mark.parametrize("name", FILES)
def test_file_imports_numpy_alone(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
               for alias in node.names}  # fmt: skip
    taken = {(node.module, alias.name) for node in ast.walk(tree)
             if isinstance(node, ast.ImportFrom) for alias in node.names}  # fmt: skip
    assert imports - STANDARD == {"numpy"}
    assert taken == {
        ("numpy.lib.stride_tricks", "sliding_window_view"),
        ("ssd_np", "ShapesDataset"),
    }
    assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(tree))


@pytest.mark.parametrize(("before", "after"), list(pairwise(FILES)))
def test_difference_is_read_in_one_sitting(before, after):
    texts = [(FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in (before, after)]
    new = sum(line.startswith("+ ") for line in difflib.ndiff(*(t.splitlines() for t in texts)))
    assert 10 < new <= 135


def run(name, folder, *options):
    path = os.pathsep.join([str(FOLDER.parent.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), *options],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    ).stdout


@pytest.mark.parametrize("name", FILES)
def test_file_runs_and_says_what_it_finds(name, tmp_path):
    told = run(name, tmp_path, "--steps", "2")
    assert re.search(r"step +1  loss +\d", told)
    assert re.search(r"objects below 32 pixels: +\d+ of 202 found", told)
    assert re.search(r"\d+ boxes: \d+ right, \d+ repeated, \d+ wrong", told)
    assert (tmp_path / "ssd.bmp").is_file() == (name == "ssd")


@pytest.mark.reliability
def test_the_whole_training_reaches_half(request, tmp_path):
    """0.639 on pictures that chose nothing; it is run whole by `pytest -m reliability`."""
    text = (FOLDER.parent.parent / "docs" / "one_file.md").read_text(encoding="utf-8")
    said = re.search(r"mean average precision on these pictures is\s+(\d\.\d+)", text)
    assert float(said[1]) >= 0.5
    if request.config.getoption("-m") == "reliability":
        told = run("ssd", tmp_path)
        assert float(re.search(r"at IoU 0.5: (\d\.\d+)", told)[1]) >= 0.5


@pytest.mark.parametrize("name", FILES[2:])
def test_gradients_agree_with_numbers(name, tmp_path):
    assert run(name, tmp_path, "--check").count("by hand") == len(load_file(name).init_parameters())


# --- their pages ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages():
    path = FOLDER.parent.parent / "docs" / "one_file_pages.py"
    pytest.importorskip("pygments")
    spec = importlib.util.spec_from_file_location("one_file_pages", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def test_every_note_stands_at_one_line(pages):
    notes = pages.read_notes()
    lines = {name: [line.strip() for line in pages.read_source(name)] for name in FILES}
    wrong = [n.line for n in notes if lines[n.file].count(n.line) != 1]
    assert not wrong, "the line has changed, or there are two"
    assert all(len([n for n in notes if n.file == name]) >= 4 for name in FILES)
    assert len(pages.places("ssd")) >= 30
    assert tuple(pages.TITLES) == FILES


@pytest.mark.parametrize("name", FILES)
def test_page_shows_the_file_and_nothing_else(pages, name):
    lines = re.findall(r'<span class="line .*?(?=<span class="line|</div>)', pages.page(name), re.S)
    pattern = r'<span class="line (\w+)(?: rule)?" id="l(\d+)".*?>(.*)</span>'
    shown = [re.match(pattern, line).groups() for line in lines]
    text = [html.unescape(re.sub(r"<[^>]+>", "", code)) for _, _, code in shown]
    source = pages.read_source(name)
    assert [line.rstrip() for line in text] == [line.rstrip() for line in source]
    new = {int(number) - 1 for kind, number, _ in shown if kind == "new"}
    before = dict(zip(FILES[1:], FILES, strict=False)).get(name)
    if before:  # what is not new stands in the file before, in this order
        kept = [line for n, line in enumerate(source) if n not in new]
        rest = iter(pages.read_source(before))
        assert all(line in rest for line in kept)
    assert bool(new) == bool(before)
