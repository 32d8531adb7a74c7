"""Google's SSD MobileNet v1, read from its 8-bit file: PyTorch, and the 8-bit interpreter."""

import os
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from ssd_np.boxes.codec import decode
from ssd_np.boxes.coords import center_to_corner
from ssd_np.data.image import read_image, resize
from ssd_np.infer.decode import decode_outputs
from ssd_np.infer.detect import Detector
from ssd_np.model.fold import fold_batchnorm
from ssd_np.model.ssd import SSD
from ssd_np.model.tflite_detector import load_tflite
from ssd_np.model.tflite_file import read_tflite

pytest.importorskip("tflite")
GRACE = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
STEP = 0.006453060545  # of the default boxes in the file
GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # numbers that COCO never used
COLUMNS = [0, *(k for k in range(1, 91) if k not in GAPS)]


@pytest.fixture
def file(published):
    return published / "detect.tflite"


@pytest.fixture
def model(published, file):
    return load_tflite(file, published / "labelmap.txt")


@pytest.fixture
def photographs():
    """Paths of photographs: a folder of raccoons and one of chess boards, and her portrait."""
    root = os.environ.get("SSD_PHOTOGRAPHS")
    if not root:
        pytest.skip("SSD_PHOTOGRAPHS is not set")
    raccoons = sorted((Path(root) / "raccoon").rglob("*.jpg"))[:120]
    boards = sorted((Path(root) / "chess").rglob("*.jpg"))[:6]
    cells = sorted((Path(root) / "BCCD").rglob("*.jpg"))[:4]
    assert raccoons and boards and cells
    return [GRACE, *raccoons, *boards, *cells]


def pixels(path):
    return resize(read_image(path), 300, 300)  # uint8, antialiased


def normalised(image, dtype=np.float32):
    return ((image.astype(np.float64) - 128) / 128).astype(dtype)[None]


def random_pixels(count):
    shape = (count, 300, 300, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_all_weights_of_the_file(file):
    found = read_tflite(file)
    assert (found.input_name, found.input_shape) == (
        "normalized_input_image_tensor", (1, 300, 300, 3),
    )  # fmt: skip
    assert len(found.arrays) == 95
    total = sum(a.sum(dtype=np.float64) for n, a in found.arrays.items() if n != "anchors")
    assert total == pytest.approx(-17_470.689, abs=2e-3)
    first = "FeatureExtractor/MobilenetV1/MobilenetV1/Conv2d_0/"
    kernel = found.arrays[first + "weights_quant/FakeQuantWithMinMaxVars"]
    np.testing.assert_allclose(
        kernel.reshape(-1)[:3], (0.01079654, 0.02159308, -0.05398270), rtol=1e-6
    )
    bias = found.arrays[first + "Conv2D_Fold_bias"]
    np.testing.assert_allclose(bias[:2], (-0.4125459, 1.2108152), rtol=1e-6)


def test_scores_and_boxes_are_pytorchs(file, model, photographs):
    """Of a float network, in float32 and in float64; as trained, and folded for inference."""
    torch = pytest.importorskip("torch")
    from published_nets_in_torch import coco_default_boxes, mobilenet_coco

    images = [
        *random_pixels(2),
        *(pixels(path) for path in (*photographs[:3], *photographs[-6::3])),
    ]
    net, boxes = mobilenet_coco(file, torch.float64), coco_default_boxes()
    np.testing.assert_allclose(model.default_boxes[:, :4], boxes, atol=1e-9)
    exact = SSD(model.config, dtype=np.float64)
    for name, parameter in exact.parameters.items():
        parameter.assign(model.parameters[name].value)
    worst = {}
    for i, image in enumerate(images):
        with torch.no_grad():
            logits, offsets = net(torch.from_numpy(image[None].astype(np.float64)))
        scores = torch.sigmoid(logits)[0].numpy()[:, COLUMNS]
        corners = center_to_corner(decode(offsets[0].numpy(), boxes_with_variances(boxes)))
        for kind, ours in (("float32", model), ("folded", fold_batchnorm(model)), ("64", exact)):
            if kind == "64" and i > 2:
                continue
            found = ours.predict(normalised(image, ours.dtype))[0]
            mine = center_to_corner(decode(found[:, 81:85], ours.default_boxes))
            off = max(np.abs(found[:, :81] - scores).max(), np.abs(mine - corners).max())
            worst[kind] = max(worst.get(kind, 0.0), off)
    print(worst)
    assert worst["float32"] <= 1e-5 and worst["folded"] <= 1e-5
    # float32 has no 0.999, the variance that changes nothing, to the last digit
    assert worst["64"] <= 1e-6


def boxes_with_variances(boxes):
    return np.concatenate([boxes, np.tile([0.1, 0.1, 0.2, 0.2], (len(boxes), 1))], axis=1)


@pytest.mark.parametrize(
    ("image", "known"),
    [  # mean of column 0, absolute offsets, corners, largest score; of her portrait also the sum
        ("random", (0.00388411, 11786.25, 3781.3429, 0.320860)),
        ("grace", (0.00411784, 8125.46, 3807.8816, 0.713457)),
    ],
)
def test_known_answers(model, image, known):
    image = pixels(GRACE) if image == "grace" else random_pixels(1)[0]
    found = model.predict(normalised(image))[0]
    corners = center_to_corner(decode(found[:, 81:85], model.default_boxes))
    assert found[:, 0].mean() == pytest.approx(known[0], abs=1e-7)
    assert np.abs(found[:, 81:85]).sum() == pytest.approx(known[1], rel=2e-6)
    assert corners.sum() == pytest.approx(known[2], rel=2e-6)
    assert found[:, 1:81].max() == pytest.approx(known[3], abs=2e-6)


def test_person_and_tie(model):
    found = Detector(model, 0.5).detect(read_image(GRACE))
    assert [found.class_names[label - 1] for label in found.labels] == ["person", "tie"]
    np.testing.assert_allclose(found.scores, (0.713457, 0.642499), atol=2e-6)
    tie = found.boxes_corner[1] * (512, 600, 512, 600)
    np.testing.assert_allclose(tie, (226.26, 426.06, 290.65, 540.89), atol=0.02)


def test_detections_of_the_8_bit_interpreter_are_found_again(file, model, photographs):
    """97 % of those with a score of at least 0.5, at IoU 0.8: with the file's default boxes, which
    are rounded, class by class, our scores from 0.3."""
    lite = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = lite.Interpreter(
        str(file),
        num_threads=1,
        experimental_op_resolver_type=lite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exits = [detail["index"] for detail in interpreter.get_output_details()]
    rounded = model.default_boxes.copy()
    rounded[:, :4] = np.round(rounded[:, :4] / STEP) * STEP
    folded, detector = fold_batchnorm(model), Detector(model, 0.3)
    wanted = again = 0
    for path in photographs:
        image = pixels(path)
        interpreter.set_tensor(entry, image[None])
        interpreter.invoke()
        boxes, classes, scores, count = (interpreter.get_tensor(i)[0] for i in exits)
        sure = [i for i in range(int(count)) if scores[i] >= 0.5]
        logits, offsets = folded.forward(normalised(image))
        decoded = decode_outputs(logits[0], offsets[0], rounded, detector.rule, detector.ops)
        corners, labels = decoded.boxes_corner[decoded.rows], decoded.labels
        for i in sure:
            label = COLUMNS.index(int(classes[i]) + 1)
            theirs = boxes[i][[1, 0, 3, 2]][None].astype(np.float64)  # from (y0, x0, y1, x1)
            same = corners[labels == label].astype(np.float64)
            iou = detector.ops.iou_matrix(theirs, same)
            again += bool(len(same)) and iou.max() >= 0.8
        wanted += len(sure)
    print(f"{again} of {wanted}, {again / wanted:.4f}")
    assert wanted >= 150 and again >= 0.97 * wanted
