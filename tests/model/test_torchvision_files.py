"""torchvision's own file in, and its own model made by the lines that `ssd-np export` prints."""

import json

import numpy as np
import pytest
from PIL import Image

from ssd_np.boxes.coords import center_to_corner
from ssd_np.cli import main
from ssd_np.config import load_config
from ssd_np.model.published import torchvision_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save

real = pytest.importorskip("real_torchvision")
torch = real.torch


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    blobs = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    return np.asarray(blobs.resize((400, 320), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def net():
    """Scores far apart, so that rounding changes neither order nor choice; mostly background."""
    net = real.ssd300(classes=91)
    with torch.no_grad():
        for head in (net.head.classification_head, net.head.regression_head):
            for conv in head.module_list:
                conv.weight *= 2
        for conv in net.head.classification_head.module_list:
            conv.bias.view(-1, 91)[:, 0] += 15
    return net


@pytest.fixture(scope="module")
def imported(net, tmp_path_factory):
    """The path of our file, made of torchvision's by the command."""
    folder = tmp_path_factory.mktemp("imported")
    torch.save(net.state_dict(), folder / "ssd.pth")
    assert main(["import", str(folder / "ssd.pth"), str(folder / "imported.npz")]) == 0
    return folder / "imported.npz"


def detections(net, photo):
    """What a model of torchvision finds in a photograph (H, W, 3) uint8, in pixels."""
    with torch.no_grad():
        (found,) = net([torch.tensor(photo / 255, dtype=torch.float32).permute(2, 0, 1)])
    return found


def run_printed_lines(printed):
    """The lines after "use in Python", run as they stand; the model that they make."""
    _, _, lines = printed.partition("torchvision:\n\n")
    names = {}
    exec(lines, names)
    return names["model"].eval()


def test_our_names_are_those_of_torchvision_itself(net):
    assert set(torchvision_names().values()) == set(net.state_dict())
    assert torchvision_names().keys() == SSD(load_config("ssd300_coco")).parameters.keys()


def test_detect_after_import_finds_what_torchvision_finds(net, imported, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    arguments = ["--weights", str(imported), "--min-score", "0.01", "--json"]
    arguments += ["--out", str(tmp_path / "seen")]
    capsys.readouterr()
    assert main(["detect", str(tmp_path / "photo.png"), *arguments]) == 0
    ours = json.loads(capsys.readouterr().out)[0]["detections"]
    theirs = detections(net, photo)
    assert 40 < len(ours) == len(theirs["scores"]) <= 200
    names = load_config("ssd300_coco").class_names
    assert [d["class"] for d in ours] == [names[label - 1] for label in theirs["labels"]]
    np.testing.assert_allclose([d["score"] for d in ours], theirs["scores"], rtol=0, atol=1e-3)
    np.testing.assert_allclose([d["box_pixels"] for d in ours], theirs["boxes"], rtol=0, atol=0.1)


def test_the_printed_lines_give_the_model_back(net, imported, photo, tmp_path, capsys):
    capsys.readouterr()
    assert main(["export", "--to", "torchvision", str(imported), str(tmp_path / "out.npz")]) == 0
    printed = capsys.readouterr().out
    assert "DefaultBoxGenerator" not in printed  # torchvision's own boxes fit
    again = run_printed_lines(printed)
    for name, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    before, after = detections(net, photo), detections(again, photo)
    assert len(after["scores"]) > 40
    for key in before:
        # the mean travels as ten digits of float64
        np.testing.assert_allclose(after[key], before[key], rtol=0, atol=1e-3)


def test_the_printed_lines_bring_other_classes_boxes_and_mean(photo, tmp_path, capsys):
    """A model of ours that never saw torchvision: Caffe's boxes, 20 classes."""
    model = SSD(load_config("ssd300_voc"), seed=3)
    save(tmp_path / "ours.npz", model)
    out = tmp_path / "out.npz"
    assert main(["export", "--to", "torchvision", str(tmp_path / "ours.npz"), str(out)]) == 0
    theirs = run_printed_lines(capsys.readouterr().out)
    seen = {}
    theirs.head.register_forward_hook(lambda module, given, answer: seen.update(answer))
    theirs.anchor_generator.register_forward_hook(
        lambda module, given, answer: seen.update(anchors=answer[0])
    )
    detections(theirs, photo)
    boxes = 300 * center_to_corner(model.default_boxes[:, :4])
    np.testing.assert_allclose(boxes, seen["anchors"], rtol=0, atol=1e-3)
    image = torch.tensor(photo / 255, dtype=torch.float32).permute(2, 0, 1)
    images = theirs.transform([image])[0].tensors.permute(0, 2, 3, 1).numpy()
    logits, offsets = model.forward(np.ascontiguousarray(images))
    assert logits.shape == (1, 8732, 21)
    np.testing.assert_allclose(logits, seen["cls_logits"], rtol=0, atol=2e-3)
    np.testing.assert_allclose(offsets, seen["bbox_regression"], rtol=0, atol=2e-3)
