"""Every example of docs/extending.md runs as it stands, and does what it is there for."""

import csv
import functools
import importlib.util
import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from page_examples import EXAMPLES, run, write
from PIL import Image

import ssd_np
from ssd_np import SSD, ShapesDataset, Trainer, load, load_config
from ssd_np.config import config_from_json, config_to_json
from ssd_np.data import Batches
from ssd_np.errors import SsdError
from ssd_np.loss import multibox_loss
from ssd_np.nn import Parameter
from ssd_np.train import Callback, learning_rate

SEEN = np.random.default_rng(0).normal(size=(2, 128, 128, 3)).astype(np.float32)


@pytest.fixture
def example(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    return run(request.param, tmp_path)


def of(title):
    return pytest.mark.parametrize("example", [title], indirect=True)


def moved(model):
    """Whether every parameter differs from those that the model began with."""
    fresh = SSD(model.config).parameters
    return all((p.value != fresh[name].value).any() for name, p in model.parameters.items())


def test_the_page_has_an_example_for_each_row_of_its_table():
    assert len(EXAMPLES) == 10 and all(EXAMPLES.values())


def test_private_names_are_not_needed():
    for code in EXAMPLES.values():
        assert not re.findall(r"\b_[a-z]\w*", code) and "type: ignore" not in code


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_examples_are_typed(title, tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("could not import 'mypy'")
    if title == "A service":
        pytest.importorskip("flask")
    path = write(title, tmp_path)
    package = str(ssd_np.__path__[0]).removesuffix("/ssd_np")
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={tmp_path.parent / 'mypy'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, path.name],
        cwd=tmp_path,
        env={"MYPYPATH": "" if "site-packages" in package else package, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- data ----------------------------------------------------------------------------------------


def write_table(folder):
    """Eight pictures and boxes.csv beside them; their samples."""
    samples = list(ShapesDataset(seed=3, count=8))
    with open(folder / "boxes.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "xmin", "ymin", "xmax", "ymax", "name"])
        for i, sample in enumerate(samples):
            Image.fromarray(sample.image).save(folder / f"{i}.png")
            height, width = sample.image.shape[:2]
            pixels = sample.truth.boxes_corner * (width, height, width, height)
            for box, label in zip(pixels.tolist(), sample.truth.labels, strict=True):
                table.writerow([f"{i}.png", *box, ShapesDataset.class_names[label - 1]])
    return samples


def test_the_table_of_boxes_is_a_data_set(tmp_path, monkeypatch):
    samples = write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    module = run("A data set", tmp_path)
    for sample, expected in zip(module.data, samples, strict=False):
        np.testing.assert_array_equal(sample.image, expected.image)
        np.testing.assert_allclose(
            sample.truth.boxes_corner, expected.truth.boxes_corner, atol=1e-12
        )
        names = [ShapesDataset.class_names[label - 1] for label in expected.truth.labels]
        assert [module.data.class_names[label - 1] for label in sample.truth.labels] == names
    assert moved(module.model) and Path("runs/csv/best.npz").is_file()
    body = EXAMPLES["A data set"].split("def __init__")[1].split("\n\n\n")[0].splitlines()
    assert sum(bool(line.strip()) for line in body) <= 17  # twelve lines, and what Python adds
    module.data.rows[0]["xmin"] = "2000"
    with pytest.raises(SsdError, match=r"^0\.png: "):
        module.data[0]


@of("An augmentation")
def test_a_turned_picture_has_its_boxes_turned(example):
    sample = example.data[3]
    for quarters in range(4):
        turned = example.turned(sample, quarters)
        for before, after in zip(sample.truth.boxes_corner, turned.truth.boxes_corner, strict=True):
            np.testing.assert_array_equal(
                np.rot90(cut(sample.image, before), quarters), cut(turned.image, after)
            )
    back = example.turned(turned, 1)
    np.testing.assert_allclose(back.truth.boxes_corner, sample.truth.boxes_corner)
    images = []
    for threads in (0, 3):
        config = load_config("tiny")
        with Batches(example.data, config, 8, seed=0, threads=threads) as batches:
            images.append([batch.images for batch in itertools.islice(batches, 9)])
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0][0] != images[0][8]).any()  # the first batch, and its epoch's successor


def cut(image, box_corner):
    sides = np.tile(image.shape[1::-1], 2)
    xmin, ymin, xmax, ymax = np.round(box_corner * sides).astype(int)
    return image[ymin:ymax, xmin:xmax]


# --- the network and its loss --------------------------------------------------------------------


@of("A loss")
def test_the_focal_loss_is_the_library_s_and_trains(example):
    given = example.logits, example.offsets, example.labels, example.targets
    expected = multibox_loss(*given, gamma=2.0)
    assert example.value.total == pytest.approx(expected.total, rel=1e-12)
    np.testing.assert_allclose(example.value.dlogits, expected.dlogits, atol=1e-12)
    np.testing.assert_allclose(example.value.doffsets, expected.doffsets, atol=1e-12)
    history = example.result.history
    np.testing.assert_allclose(history["total"], history["focal"] + history["location"], rtol=1e-4)
    assert moved(example.model)


@of("A kind of layer")
def test_a_kind_of_layer_trains_and_travels(example):
    assert moved(example.model)
    for ours, theirs in zip(example.model.forward(SEEN), example.again.forward(SEEN), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert type(example.again.stages[0].layers[2]) is example.GroupNorm
    with pytest.raises(SsdError, match="groupnorm"):
        load("groupnorm.npz")
    text = config_to_json(example.config)
    assert config_from_json(text, kinds=[example.GroupNormLayer]) == example.config
    with pytest.raises(SsdError, match="groups"):
        example.GroupNormLayer("norm", groups=0)
    with pytest.raises(SsdError, match="32 channels are not 5 groups"):
        example.GroupNormLayer("norm", groups=5).build(32, None, np.dtype(float), None)


@of("A kind of layer")
def test_group_normalisation_is_pytorch_s(example):
    torch = pytest.importorskip("torch")
    x, dout = example.x, example.dout
    theirs = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    weight = torch.tensor(example.layer.scale.value.copy())
    out = torch.nn.functional.group_norm(theirs, 3, weight, torch.zeros(6).double(), 1e-5)
    ours = example.layer.forward(x, training=True)
    np.testing.assert_allclose(ours, out.detach().permute(0, 2, 3, 1).numpy(), rtol=1e-9)
    out.backward(torch.tensor(dout.transpose(0, 3, 1, 2).copy()))
    dx = example.layer.backward(dout)
    np.testing.assert_allclose(dx, theirs.grad.permute(0, 2, 3, 1).numpy(), atol=1e-12)


@of("A network")
def test_a_network_of_two_maps_travels(example):
    images = SEEN[:, :96, :, :].repeat(2, axis=2)[:, :, :160]
    outputs = example.model.forward(images)
    assert outputs[0].shape == (2, 4 * (12 * 20 + 6 * 10), 3)
    for ours, theirs in zip(outputs, example.again.forward(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert config_from_json(config_to_json(example.config)) == example.config


# --- training ------------------------------------------------------------------------------------


@of("A schedule")
def test_the_schedule_s_rate_is_used_and_told(example):
    rates = [example.one_cycle(step) for step in range(example.STEPS)]
    np.testing.assert_allclose(example.result.history["learning_rate"], rates, rtol=1e-5)
    assert np.argmax(rates) == 5 and moved(example.trainer.model)


class Stop(Callback):
    def after_step(self, trainer, step):
        if step.number == 11:
            raise KeyboardInterrupt


@of("An optimiser")
def test_adam_goes_on_as_if_it_had_never_stopped(example):
    with pytest.raises(KeyboardInterrupt):
        example.trainer("runs/stopped", [Stop()]).fit()
    later = example.trainer("runs/stopped")
    later.resume()
    assert later.progress.step == 12
    result = later.fit()
    whole = load("runs/adam/last.npz").parameters
    assert moved(later.model)
    for name, parameter in later.model.parameters.items():
        np.testing.assert_array_equal(parameter.value, whole[name].value)
    np.testing.assert_array_equal(result.history["total"], example.result.history["total"])


@of("An optimiser")
def test_adam_is_adam(example):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = Parameter(rng.normal(size=(3, 4)))
    theirs = torch.tensor(ours.value.copy(), requires_grad=True)
    adam, optimiser = example.Adam({"a": ours}), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(6):
        ours.grad = rng.normal(size=(3, 4))
        theirs.grad = torch.tensor(ours.grad)
        adam.step(0.01)
        optimiser.step()
    np.testing.assert_allclose(ours.value, theirs.detach().numpy(), rtol=1e-9)


@of("Callbacks")
def test_pictures_and_lines_are_written(example):
    run_folder = Path("runs/seen")
    pictures = sorted(path.name for path in run_folder.glob("0*.png"))
    assert len(pictures) == 4 and {name[:6] for name in pictures} == {"000100", "000200"}
    lines = (run_folder / "lines.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == [f"step {i}" for i in range(9, 200, 10)]
    log = list(csv.DictReader((run_folder / "log.csv").read_text().splitlines()))
    total, location = float(log[19]["total"]), float(log[19]["location"])
    assert lines[1].startswith(f"step 19: {total:.3f} (location {location:.3f}, confidence")


@of("A training loop without the Trainer")
def test_the_loop_is_the_trainer_s(example):
    config = example.config
    schedule = functools.partial(learning_rate, config=config.training)
    training = ssd_np.config.TrainConfig(
        steps=30, batch_size=4, seed=0, momentum=0.9, weight_decay=5e-4, clip_norm=None
    )
    data, model = ShapesDataset(seed=0, count=64), SSD(config)
    losses = []

    class Losses(Callback):
        def after_step(self, trainer, step):
            losses.append(step.loss.total)

    parts = {"loss": multibox_loss, "schedule": schedule}
    Trainer(model, data, training, "run", callbacks=[Losses()], **parts).fit()
    assert losses == example.losses and np.mean(losses[-5:]) < 0.8 * losses[0]
    for name, parameter in load("loop.npz").parameters.items():
        np.testing.assert_array_equal(parameter.value, model.parameters[name].value)
    code = EXAMPLES["A training loop without the Trainer"]
    assert len(code[code.index("config =") :].splitlines()) <= 15
