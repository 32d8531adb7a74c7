"""Published files on the command line: each way in and out, one clear line for each bad file."""

import json
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from ssd_np.cli import main
from ssd_np.errors import WeightsError
from ssd_np.model.tflite_file import read_tflite
from ssd_np.model.weights import load

GRACE = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
FACE = (174.72, 114.11, 180.5, 223.4)  # x, y, width, height in pixels
PERSON = (0.0, 34.3, 512.0, 557.5)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(GRACE, tmp_path / "photo.jpg")
    return tmp_path


def ways(published):
    """The command that reads each file, by the name of what it becomes."""
    slim, labels = ["import", str(published / "version-slim-320.pth")], published / "labelmap.txt"
    coco = ["import", str(published / "detect.tflite"), "coco.npz", "--labels", str(labels)]
    return {"faces.npz": [*slim, "faces.npz", "--classes", "face", "--size", "320x240"],
            "coco.npz": coco}  # fmt: skip


def instances(folder, name, box):
    """One photograph and one object as a data set in COCO's layout; the argument that names it."""
    values = {
        "images": [{"id": 1, "file_name": "photo.jpg", "width": 512, "height": 600}],
        "categories": [{"id": 1, "name": name}],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "bbox": list(box),
                "area": box[2] * box[3], "iscrowd": 0,
            }
        ],
    }  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(values))
    return f"coco:{folder / 'truth.json'}:{folder}"


@pytest.mark.parametrize(
    ("file", "name", "box", "to"),
    [("faces.npz", "face", FACE, "linzaer"), ("coco.npz", "person", PERSON, "tensorflow")],
)
def test_import_detect_eval_explain_export(published, here, capsys, file, name, box, to):
    if file == "coco.npz":
        pytest.importorskip("tflite")
    assert main(ways(published)[file]) == 0
    said = capsys.readouterr().out
    assert "260,188 parameters" in said or "4,000,965 parameters, 80 classes: person" in said
    assert f"ssd-np detect --weights {file} photo.jpg" in said

    assert main(["detect", "photo.jpg", "--weights", file, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    best = report["detections"][0]
    assert best["class"] == name and best["score"] > 0.7
    np.testing.assert_allclose(
        best["box_pixels"], (box[0], box[1], box[0] + box[2], box[1] + box[3]), atol=0.4
    )
    assert (here / report["picture"]).is_file()

    data = instances(here, name, box)
    assert main(["eval", file, "--data", data, "--split", "all", "--metric", "coco"]) == 0
    assert "AP" in capsys.readouterr().out
    assert json.loads((here / "eval" / "eval.json").read_text())

    command = ["explain", "photo.jpg", "--weights", file, "--out", "why", "--truth", data]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert f"{name} {best['score']:.3f}"[:-1] in text and "NAMES of a cell's boxes" in text
    assert sorted((here / "why").iterdir())

    assert main(["export", "--to", to, file, "out.npz"]) == 0
    assert "numpy.load('out.npz')" in capsys.readouterr().out
    assert main(["import", "out.npz", "again.npz"]) == 0
    first, again = load(file), load("again.npz")
    assert again.config == first.config
    for key, parameter in first.parameters.items():
        value = again.parameters[key].value
        # folded and unfolded by a variance that float32 can not hold exactly
        np.testing.assert_allclose(value, parameter.value, rtol=3e-7, err_msg=key)


def test_the_exported_faces_are_the_file(published, here):
    """Every tensor but the counters of batches, bit by bit."""
    torch = pytest.importorskip("torch")
    assert main(ways(published)["faces.npz"]) == 0
    assert main(["export", "--to", "linzaer", "faces.npz", "out.npz"]) == 0
    arrays, there = np.load("out.npz"), torch.load(published / "version-slim-320.pth", "cpu")
    expected = {name for name in there if not name.endswith("num_batches_tracked")}
    assert set(arrays.files) == expected
    for name in expected:
        np.testing.assert_array_equal(arrays[name], there[name].numpy(), err_msg=name)


def test_labels_with_and_without_the_first_line(published, here):
    pytest.importorskip("tflite")
    lines = (published / "labelmap.txt").read_text().splitlines()
    (here / "90.txt").write_text("\n".join(lines[1:]) + "\n")
    command = ways(published)["coco.npz"]
    assert main(command) == 0 and main([*command[:2], "b.npz", "--labels", "90.txt"]) == 0
    one, other = load("coco.npz"), load("b.npz")
    assert one.config == other.config and one.config.class_names[-1] == "toothbrush"


@pytest.mark.parametrize("bytes_missing", [200, 1000, 4000, 100_000])
def test_a_file_that_was_cut_off_is_refused(published, here, capsys, bytes_missing):
    pytest.importorskip("tflite")
    data = (published / "detect.tflite").read_bytes()
    Path("cut.tflite").write_bytes(data[:-bytes_missing])
    command = ["import", "cut.tflite", "o.npz", "--labels", str(published / "labelmap.txt")]
    said = one_line(capsys, command)
    assert "cut.tflite" in said and "is damaged or cut off" in said


def test_a_base_of_another_network_is_refused_before_a_config_is_made_for_it(
    published, here, capsys
):
    base = str(published / "version-RFB-320.pth")
    data = ["--data", instances(here, "person", PERSON), "--split", "all", "--eval-split", "none"]
    assert main(["train", *data, "--base-weights", base, "--steps", "1"]) == 1
    out, err = capsys.readouterr()
    assert "fitted to" not in out + err and "is the RFB variant" in err


def test_metadata_behind_the_network_changes_nothing(published, here):
    pytest.importorskip("tflite")
    data = (published / "detect.tflite").read_bytes()
    (here / "more.tflite").write_bytes(data + b"PK\x03\x04" + bytes(1800))
    one, other = read_tflite(published / "detect.tflite"), read_tflite("more.tflite")
    assert one.arrays.keys() == other.arrays.keys()
    assert all(np.array_equal(a, other.arrays[name]) for name, a in one.arrays.items())


# --- bad files -----------------------------------------------------------------------------------


def one_line(capsys, command):
    """What stderr says, in one line; exit code 1, or 2 for what argparse refuses."""
    try:
        code = main(command)
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr()
    assert code in (1, 2) and printed.err.count("\n") == 1 and not printed.out
    assert not Path(command[2]).exists()
    return printed.err


SLIM, FULL = "version-slim-320.pth", ["--size", "320x240"]


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        (SLIM, [], ("version-slim-320.pth", "input size", "--size 320x240")),
        (SLIM, ["--size", "20x20"], ("20x20", "128x96", "640x480", "--config")),
        (SLIM, ["--size", "240x320"], ("240x320", "width first")),
        (SLIM, ["--size", "320"], ("WIDTHxHEIGHT",)),
        (SLIM, [*FULL, "--classes", "a,b"], ("classification_headers.0.2.weight", "2 classes")),
        (SLIM, [*FULL, "--labels", "photo.jpg"], ("--labels is for .tflite", "--classes")),
        ("version-RFB-320.pth", FULL, ("RFB variant", "base_net.7.branch0.0.conv.weight", "chain")),
        ("version-RFB-320.pth", [], ("RFB variant",)),  # and not that a --size is missing
        ("version-slim-320.onnx", FULL, ("is not a PyTorch file",)),
        ("detect.tflite", [], ("--labels labelmap.txt",)),
        ("detect.tflite", FULL, ("neither --classes nor --size",)),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(published, here, capsys, file, options, words):
    said = one_line(capsys, ["import", str(published / file), "out.npz", *options])
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("file", "program"), [(SLIM, "PyTorch"), ("detect.tflite", "TensorFlow Lite")]
)
def test_a_published_file_is_not_called_damaged(published, here, capsys, file, program):
    path = str(published / file)
    said = one_line(capsys, ["detect", "photo.jpg", "--weights", path])
    assert f"{file}: is a file of {program} (`ssd-np import` makes" in said


@pytest.mark.parametrize("data", [None, b"\xff\xfe\0"])
def test_labels_that_are_no_text_are_told_in_plain_words(published, here, capsys, data):
    pytest.importorskip("tflite")
    if data:
        Path("names.txt").write_bytes(data)
    file = str(published / "detect.tflite")
    said = one_line(capsys, ["import", file, "out.npz", "--labels", "names.txt"])
    assert ("names.txt: is not a text file" if data else "names.txt: can not be read: No s") in said
    assert "codec" not in said and "Errno" not in said


@pytest.mark.parametrize("keep", [0.0, 0.4, 0.98])
@pytest.mark.parametrize("file", [SLIM, "detect.tflite"])
def test_a_truncated_file_is_refused(published, here, capsys, file, keep):
    pytest.importorskip("tflite")
    data = (published / file).read_bytes()
    (here / file).write_bytes(data[: int(keep * len(data))])
    shutil.copy(published / "labelmap.txt", here / "labels.txt")
    options = FULL if file == SLIM else ["--labels", "labels.txt"]
    assert file in one_line(capsys, ["import", file, "out.npz", *options])


def test_a_whole_model_is_refused(here, capsys):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Conv2d(3, 3, 3), here / "whole.pth")
    said = one_line(capsys, ["import", "whole.pth", "out.npz", *FULL])
    assert "no part of a state dict" in said and "model.state_dict()" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"TFL3", b"TFL2", ("is not a TensorFlow Lite file", "detect.tflite")),
        (b"MobilenetV1", b"MobilenetV2", ("is another network", "MobilenetV2", "MobilenetV1")),
        (b"BoxPredictor_", b"BoxPredicter_", ("is another network",)),
        (b"Conv2d_13_pointwise_2", b"Conv2d_13_pointwise_3", ("missing tensors", "and 6 more")),
        (b"normalized_input_", b"normalised_input_", ("its input is 'normalised_input_image",)),
    ],
)
def test_other_networks_are_told_by_their_names(published, here, capsys, old, new, words):
    """MobileNet v2 with the same input, boxes and outputs among them."""
    pytest.importorskip("tflite")
    data = (published / "detect.tflite").read_bytes()
    assert old in data
    (here / "other.tflite").write_bytes(data.replace(old, new))
    labels = ["--labels", str(published / "labelmap.txt")]
    said = one_line(capsys, ["import", "other.tflite", "out.npz", *labels])
    for word in ("other.tflite", *words):
        assert word in said
    assert len(said) < 600


def test_other_default_boxes_are_seen(published, here, capsys):
    tflite = pytest.importorskip("tflite")
    data = bytearray((published / "detect.tflite").read_bytes())
    model = tflite.Model.GetRootAsModel(bytes(data), 0)
    graph = model.Subgraphs(0)
    tensors = (graph.Tensors(i) for i in range(graph.TensorsLength()))
    (anchors,) = (t for t in tensors if t.Name() == b"anchors")
    stored = model.Buffers(anchors.Buffer()).DataAsNumpy().tobytes()
    place = bytes(data).index(stored)
    data[place + 2] += 2  # the height of the first box
    (here / "other.tflite").write_bytes(bytes(data))
    labels = ["--labels", str(published / "labelmap.txt")]
    said = one_line(capsys, ["import", "other.tflite", "out.npz", *labels])
    assert "other.tflite: anchors: its 1,917 default boxes are not" in said


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (lambda lines: lines[:80], ("has 80 lines", "91 columns")),
        (lambda lines: [*lines, "more"], ("has 92 lines",)),
        (lambda lines: [], ("has 0 lines",)),
        (lambda lines: ["???"] * 91, ("91 columns",)),
        # one line short, or one too many: each class would get its neighbour's scores
        (lambda lines: lines[:90], ("begins with a background", "90 lines for 91 columns")),
        (lambda lines: [*lines[1:], "???"], ("begins with the class 'person'", "91 lines for 91")),
        (lambda lines: [*lines[:2], lines[1], *lines[3:]], ("names 'person' twice",)),
    ],
)
def test_lists_of_names_that_do_not_fit(published, here, capsys, lines, words):
    pytest.importorskip("tflite")
    names = lines((published / "labelmap.txt").read_text().splitlines())
    (here / "names.txt").write_text("\n".join(names))
    file = str(published / "detect.tflite")
    said = one_line(capsys, ["import", file, "out.npz", "--labels", "names.txt"])
    for word in ("names.txt", *words):
        assert word in said


def test_without_the_package_it_says_what_to_install(published, here, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tflite", None)
    labels = ["--labels", str(published / "labelmap.txt")]
    said = one_line(capsys, ["import", str(published / "detect.tflite"), "out.npz", *labels])
    assert 'pip install "ssd-np[tflite]"' in said


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_are_refused_or_read_but_nothing_else(published, here, seed):
    """Bytes changed where the tables are: at the beginning and at the end."""
    pytest.importorskip("tflite")
    data = bytearray((published / "detect.tflite").read_bytes())
    rng = np.random.default_rng(seed)
    for _ in range(int(rng.integers(1, 30))):
        near = int(rng.integers(0, 30_000))
        place = near if rng.random() < 0.5 else len(data) - 1 - near
        data[place] = int(rng.integers(0, 256))
    (here / "damaged.tflite").write_bytes(bytes(data))
    try:
        found = read_tflite("damaged.tflite")
    except WeightsError as error:
        assert str(error).startswith("damaged.tflite") and "\n" not in str(error)
    else:
        assert sum(a.nbytes for a in found.arrays.values()) <= 5 * len(data)
