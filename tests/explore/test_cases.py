"""The page's own functions, in a browser, against what the library answers."""

import base64
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from cases import all_cases

from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.explore.build import core_sources
from ssd_np.explore.described import described
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.weights import load

TOLERANCE = 1e-4
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")


@pytest.fixture(scope="module")
def core():
    """A browser that knows the page's functions and how to run cases on them."""
    browser = Browser()
    tiny = json.dumps(described(load_config("tiny")))
    parts = [*core_sources(), (HERE / "run_cases.js").read_text("utf-8"), f"const TINY = {tiny};"]
    browser.run("\n".join(parts) + "; 0")
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def cases():
    return list(all_cases())


def differences(expected, got, where=""):
    """Where two answers differ: whole numbers at all, other numbers by more than the tolerance."""
    if isinstance(expected, dict):
        if not isinstance(got, dict) or set(expected) != set(got):
            return [f"{where}: {got!r}"]
        return [d for k in expected for d in differences(expected[k], got[k], f"{where}.{k}")]
    if isinstance(expected, list):
        if not isinstance(got, list) or len(expected) != len(got):
            return [f"{where}: expected {len(expected)} items, got {got!r}"[:200]]
        pairs = zip(expected, got, strict=True)
        return [d for i, (e, g) in enumerate(pairs) for d in differences(e, g, f"{where}[{i}]")]
    if isinstance(expected, float) and isinstance(got, int | float):
        close = math.isclose(expected, got, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return [] if close else [f"{where}: expected {expected}, got {got}"]
    return [] if expected == got else [f"{where}: expected {expected!r}, got {got!r}"]


def test_every_case(core, cases):
    wrong = []
    for start in range(0, len(cases), 50):
        part = cases[start : start + 50]
        given = json.dumps([[c["function"], c["given"]] for c in part])
        answers = core.run(f"{given}.map(([name, given]) => RUN[name](given))")
        for case, answer in zip(part, answers, strict=True):
            found = differences(case["expected"], answer)
            if found:
                wrong.append(f"{case['function']} ({case['catches']}): {found[:3]}")
    assert wrong == [], f"{len(wrong)} of {len(cases)}\n" + "\n".join(wrong[:10])


def test_cases_are_many_and_say_what_they_catch(cases):
    counts = Counter(case["function"] for case in cases)
    assert len(counts) >= 20 and len(cases) > 300
    assert all(len(case["catches"]) > 10 for case in cases)
    json.dumps(cases, allow_nan=False)  # plain numbers: no NaN, no infinity


def test_cases_tell_a_wrong_function_from_a_right_one(core, cases):
    """The mistake that the page itself offers, one object written after the other, shows."""
    (first, *_) = [c for c in cases if c["catches"].startswith("one object written after")]
    iou = first["given"]["iou"]
    wrong = core.run(
        f"(() => {{ const keep = iouMatrix, iou = {json.dumps(iou)};"
        " iouMatrix = () => flat(iou);"
        " const out = list(matchLastWins(new Float64Array(12), new Float64Array(16)));"
        " iouMatrix = keep; return out; })()"
    )
    assert differences(first["expected"], wrong)


def test_forward_and_gradients_of_tiny(core):
    """The shipped network on a picture with its truth: outputs, loss and every gradient."""
    model = load("shapes")
    sample = ShapesDataset(seed=1_000_003, count=500)[4]
    labels, targets = make_targets(
        sample.truth.boxes_corner, sample.truth.labels, model.default_boxes
    )
    images = preprocess(sample.image, model.config)[None]
    logits, offsets = model.forward(images, training=True)
    loss = multibox_loss(logits, offsets, labels[None], targets[None].astype(np.float32))
    model.backward(loss.dlogits, loss.doffsets)
    send(core, "input", images)
    core.run("globalThis.parameters = {}; 0")
    for name, parameter in model.parameters.items():
        send(core, "value", parameter.value)
        shape = list(parameter.value.shape)
        core.run(f"parameters[{json.dumps(name)}] = {{ shape: {shape}, value: values.value }}; 0")
    truth = f"[{sample.truth.boxes_corner.ravel().tolist()}, {sample.truth.labels.tolist()}]"
    core.run(
        f"globalThis.net = new Network(TINY, parameters); const [corner, label] = {truth};"
        "globalThis.out = net.forward(values.input);"
        "const goal = makeTargets(Float64Array.from(corner), label, net.defaults);"
        "globalThis.loss = multiboxLoss(out.logits, out.offsets, goal.labels, goal.offsets,"
        "                               net.classes);"
        "globalThis.grads = net.backward(loss.dlogits, loss.doffsets); 0"
    )
    near(receive(core, "out.logits"), logits)
    near(receive(core, "out.offsets"), offsets)
    assert core.run("loss.total") == pytest.approx(loss.total, rel=TOLERANCE)
    assert core.run("list(loss.mined)") == loss.mined[0].astype(int).tolist()
    for name, parameter in model.parameters.items():
        near(receive(core, f"grads[{json.dumps(name)}]"), parameter.grad)


def near(got, expected):
    """Within 1e-4 of the largest number of the array."""
    error = np.abs(got - np.ravel(expected)).max()
    assert error <= TOLERANCE * max(1e-3, np.abs(expected).max()), error


def send(browser, name, array):
    text = base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()
    browser.run(
        "globalThis.values = globalThis.values || {};"
        f"values.{name} = new Float32Array(Uint8Array.from(atob('{text}'), c => c.charCodeAt(0))"
        ".buffer); 0"
    )


def receive(browser, expression):
    return np.array(browser.run(f"Array.from({expression})"))
