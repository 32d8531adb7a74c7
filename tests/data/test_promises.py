"""What a data set promises: the same item for everybody, and what a training needs in it."""

import dataclasses
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ssd_np import Sample, ShapesDataset, Truth, check_dataset
from ssd_np.config import load_config
from ssd_np.data import Batches, DrawingDataset
from ssd_np.errors import DataError, DegenerateBox, SsdError

BOX = [[0.1, 0.2, 0.5, 0.6]]


class Pictures:
    """Twelve pictures of one object each, drawn anew from their index."""

    class_names = ("cat", "dog")
    labels = (1,)
    boxes = BOX

    def __len__(self):
        return 12

    def __getitem__(self, index):
        image = np.random.default_rng(index).integers(0, 256, (20, 30, 3), np.uint8)
        return Sample(image, Truth(self.boxes, self.labels), f"{index}.jpg")


class Drawing(Pictures):
    """Draws as it should."""

    def item(self, index, rng):
        sample = self[index]
        image = sample.image ^ np.uint8(rng.integers(256))
        return dataclasses.replace(sample, image=image)


class OwnGenerator(Pictures):
    """The mistake: one generator for all items and threads."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        flipped = sample.image[:, ::-1] if self.rng.random() < 0.5 else sample.image
        return dataclasses.replace(sample, image=flipped)


class OwnGeneratorInItem(OwnGenerator):
    def __getitem__(self, index):
        return Pictures.__getitem__(self, index)

    def item(self, index, rng):
        return OwnGenerator.__getitem__(self, index)


class OneBuffer(Pictures):
    """Another mistake: every picture is painted into the same memory."""

    def __init__(self):
        self.buffer = np.zeros((20, 30, 3), np.uint8)

    def __getitem__(self, index):
        self.buffer[:] = index
        return Sample(self.buffer, Truth(BOX, [1]), f"{index}.jpg")


class ByThread(Pictures):
    """Its truth depends on who reads."""

    def __getitem__(self, index):
        box = BOX if threading.current_thread() is threading.main_thread() else [[0, 0, 1, 1]]
        return dataclasses.replace(super().__getitem__(index), truth=Truth(box, [1]))


def made(name, base=Pictures, **attributes):
    return type(name, (base,), attributes)()


def message(dataset, error=DataError):
    with pytest.raises(error) as caught:
        check_dataset(dataset)
    return str(caught.value)


@pytest.mark.parametrize(
    "dataset", [Pictures(), Drawing(), ShapesDataset(0, 3), ShapesDataset(0, 1)]
)
def test_who_keeps_the_promises_passes(dataset):
    check_dataset(dataset)


@pytest.mark.parametrize(
    "dataset, said",
    [
        (OwnGenerator(), "its image changed from one read to the next|changed when two threads"),
        (OwnGeneratorInItem(), "changed from one read to the next|changed when two threads"),
        (OneBuffer(), "item 0 of the data set OneBuffer .* changed when the next item was read"),
        (ByThread(), "its boxes changed when two threads read .*item\\(index, rng\\)"),
    ],
)
def test_who_breaks_them_is_found(dataset, said):
    with pytest.raises(DataError, match=said) as caught:
        check_dataset(dataset)
    assert f"of the data set {type(dataset).__name__} (" in str(caught.value)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_small_data_set_is_read_as_often(count):
    with pytest.raises(DataError, match="changed"):
        check_dataset(made("Few", OwnGenerator, __len__=lambda self: count))


def test_names_that_are_none():
    class Misspelt:
        classnames = ("cat",)

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return Pictures()[index]

    assert message(Misspelt()).startswith("data set Misspelt: has no class_names (a list")
    assert "class_names is 'cat'" in message(made("Text", class_names="cat"))
    assert "class_names is ('cat', 7)" in message(made("Number", class_names=("cat", 7)))
    assert "class_names is ('cat', ' ')" in message(made("Blank", class_names=("cat", " ")))
    assert "names a class twice" in message(made("Twice", class_names=("cat", "cat")))
    assert "class_names is empty" in message(made("None_", class_names=()))
    assert "no images" in message(made("Empty", __len__=lambda self: 0))


def test_items_that_can_not_be_trained_on():
    said = message(made("Tuples", __getitem__=lambda self, index: (0, 1)))
    assert said.startswith("item 0 of the data set Tuples: is a tuple, expected a Sample")
    said = message(made("Labels", labels=(3,)))
    assert "item 0 of the data set Labels (0.jpg): an object has label 3" in said
    flat = made("Flat", boxes=[[0.1, 0.1, 0.1, 0.5]])
    assert "0.jpg: object 0: has no area" in message(flat, DegenerateBox)
    no_truth = made(
        "NoTruth", __getitem__=lambda self, i: Sample(np.zeros((4, 4, 3), np.uint8), None, "a")
    )
    assert "a: its truth is a NoneType" in message(no_truth, SsdError)
    for name in (None, 7, Path("a.jpg")):  # such as an image's number in a list
        unnamed = made(
            "Unnamed",
            __getitem__=lambda self, i, name=name: dataclasses.replace(Pictures()[i], name=name),
        )
        assert f"Sample: its name is {name!r} (expected a text" in message(unnamed, SsdError)
    backwards = made("Backwards", boxes=[[0.5, 0.5, 0.1, 0.9]])
    assert "item 0 of the data set Backwards" in message(backwards, SsdError)


def test_training_asks_a_drawing_data_set_with_the_generator_of_the_item():
    config, data = load_config("tiny"), Drawing()
    assert isinstance(data, DrawingDataset) and not isinstance(Pictures(), DrawingDataset)

    def pictures(threads, augment=True):
        with Batches(data, config, 4, seed=5, threads=threads, augment=augment) as batches:
            found = list(islice(batches, 6))
            return [batches.places(batch.step) for batch in found], found

    places, here = pictures(0)
    _, there = pictures(3)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
    [(epoch, indices)] = places[4]
    index = indices[1]
    assert epoch == 1
    rng = np.random.default_rng([5, epoch, index])
    chain = Batches(data, config, 4, seed=5, threads=0).chain
    np.testing.assert_array_equal(here[4].images[1], chain(data.item(index, rng), rng)[0])
    _, plain = pictures(0, augment=False)  # evaluation draws nothing
    [(_, indices)] = Batches(data, config, 4, seed=5, threads=0).places(0)
    still = Batches([data[i] for i in indices], config, 4, 0, augment=False, threads=0)
    expected = {name: image for name, image in zip(*_columns(still.make(0)), strict=True)}
    for name, image in zip(*_columns(plain[0]), strict=True):
        np.testing.assert_array_equal(image, expected[name])


def _columns(batch):
    return batch.names, batch.images


def test_the_example_of_the_page_keeps_them():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    code = page[page.index("class Brighter") :]
    names = {"np": np, "dataclasses": dataclasses}
    exec(code[: code.index("```")], names)
    brighter = names["Brighter"](ShapesDataset(0, 5))
    check_dataset(brighter)
    light = brighter.item(3, np.random.default_rng(1)).image.astype(int) - brighter[3].image
    assert light.min() >= 0 and len(np.unique(light[brighter[3].image < 200])) == 1
