"""Batches: the same pictures whatever the threads, the restarts and the order of asking."""

import dataclasses
import threading
import time
from itertools import islice

import numpy as np
import pytest

from ssd_np.config import AugmentationConfig, ConvLayer, load_config
from ssd_np.data.batches import Batches
from ssd_np.data.image import preprocess
from ssd_np.data.pipeline import augment
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import DataError
from ssd_np.records import Sample, Truth

pytestmark = pytest.mark.lesson12


@pytest.fixture(scope="module")
def config():
    tiny = load_config("tiny")
    return dataclasses.replace(
        tiny,
        augmentation=AugmentationConfig(),
        # the network is of no interest here, so its layers are the smallest that fit 16 pixels
        input=dataclasses.replace(tiny.input, size=16),
        layers=(ConvLayer("conv1_1", 8),),
        base_end="conv1_1",
        feature_maps=(dataclasses.replace(tiny.feature_maps[0], name="conv1_1", size=16),),
    )


def take(dataset, config, count, **options):
    with Batches(dataset, config, **options) as batches:
        return list(islice(batches, count))


def all_names(batches):
    return [name for batch in batches for name in batch.names]


def epochs(dataset, config, count, **options):
    """Of the first images of batches."""
    with Batches(dataset, config, **options) as batches:
        return [batches.places(step)[0][0] for step in range(count)]


def one_by_one(places):
    """(epoch, index) of each image of a batch."""
    return [(epoch, index) for epoch, indices in places for index in indices]


def assert_same(a, b):
    assert (a.step, a.names) == (b.step, b.names)
    assert np.array_equal(a.images, b.images)
    for (boxes, labels), (other_boxes, other_labels) in zip(a.truths, b.truths, strict=True):
        assert np.array_equal(boxes, other_boxes) and np.array_equal(labels, other_labels)


def test_threads_and_restarts_change_nothing(config):
    dataset = ShapesDataset(0, 11)
    one = take(dataset, config, 8, batch_size=4, seed=7, threads=1, ahead=1)
    many = take(dataset, config, 8, batch_size=4, seed=7, threads=4, ahead=9)
    resumed = take(dataset, config, 3, batch_size=4, seed=7, start_step=5)
    for a, b in zip(one, many, strict=True):
        assert_same(a, b)
    for a, b in zip(one[5:], resumed, strict=True):
        assert_same(a, b)
    other = take(dataset, config, 1, batch_size=4, seed=8)
    assert not np.array_equal(other[0].images, one[0].images)


def test_an_item_has_its_own_generator(config):
    dataset = ShapesDataset(0, 6)
    names = [dataset[i].name for i in range(6)]
    places_of = Batches(dataset, config, batch_size=2, seed=3).places
    for batch in take(dataset, config, 6, batch_size=2, seed=3):
        places = one_by_one(places_of(batch.step))
        assert [names[index] for _, index in places] == batch.names
        for image, (epoch, index) in zip(batch.images, places, strict=True):
            rng = np.random.default_rng([3, epoch, index])
            assert np.array_equal(image, augment(dataset[index], config, rng)[0])


def test_an_epoch_shows_every_image_once(config):
    dataset = ShapesDataset(0, 8)
    batches = take(dataset, config, 8, batch_size=2, seed=1)
    assert epochs(dataset, config, 8, batch_size=2, seed=1) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [batch.step for batch in batches] == list(range(8))
    first, second = (all_names(half) for half in (batches[:4], batches[4:]))
    assert sorted(first) == sorted(second) == [dataset[i].name for i in range(8)]
    assert first != second and first != sorted(first)


def test_last_incomplete_batch_is_dropped(config):
    dataset = ShapesDataset(0, 7)
    batches = take(dataset, config, 5, batch_size=3, seed=1)
    assert epochs(dataset, config, 5, batch_size=3, seed=1) == [0, 0, 1, 1, 2]
    for epoch in (batches[:2], batches[2:4]):
        assert len(set(all_names(epoch))) == 6


def test_a_data_set_smaller_than_a_batch_runs_on(config):
    dataset = ShapesDataset(0, 3)
    batches = take(dataset, config, 3, batch_size=5, seed=1)
    names = all_names(batches)
    assert [len(batch.names) for batch in batches] == [5, 5, 5]
    assert all(len(set(names[i : i + 3])) == 3 for i in range(0, 15, 3))  # five epochs
    first = batches[0]
    twice = [i for i, name in enumerate(first.names) if name == first.names[3]]
    assert len(twice) == 2 and not np.array_equal(*first.images[twice])  # another epoch's draw


def test_without_augmentation(config):
    dataset = ShapesDataset(0, 4)
    (batch,) = take(dataset, config, 1, batch_size=4, seed=0, augment=False)
    assert batch.images.shape == (4, 16, 16, 3) and batch.images.dtype == np.float32
    by_name = {sample.name: sample for sample in dataset}
    for image, (boxes, labels), name in zip(batch.images, batch.truths, batch.names, strict=True):
        assert np.array_equal(image, preprocess(by_name[name].image, config))
        assert np.array_equal(boxes, by_name[name].truth.boxes_corner)
        assert np.array_equal(labels, by_name[name].truth.labels)


def test_crowd_objects_are_left_out(config):
    truth = Truth([[0, 0, 0.5, 0.5], [0.1, 0.1, 0.9, 0.9]], [1, 2], crowd=[True, False])
    dataset = [Sample(np.zeros((20, 20, 3), np.uint8), truth, "a")]
    (batch,) = take(dataset, config, 1, batch_size=1, seed=0, augment=False)
    assert batch.truths[0][1].tolist() == [2]


@pytest.mark.parametrize("engine, threads", [("plain", None), ("fast", 0)])
def test_batches_are_made_where_they_are_asked_for(config, monkeypatch, engine, threads):
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    where, asked = set(), []

    class Watched(ShapesDataset):
        def __getitem__(self, index):
            where.add(threading.current_thread())
            asked.append(index)
            return super().__getitem__(index)

    here = take(Watched(0, 6), config, 3, batch_size=2, seed=0, threads=threads)
    assert where == {threading.main_thread()} and len(asked) == 6  # none ahead
    there = take(Watched(0, 6), config, 3, batch_size=2, seed=0, threads=2)
    assert len(where) > 1
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a.images, b.images)


def test_both_engines_make_the_same_pictures(config, monkeypatch):
    """But for the last bit of a colour, which may be rounded to the next grey level."""
    monkeypatch.setenv("SSD_NP_ENGINE", "plain")
    plain = take(ShapesDataset(0, 6), config, 4, batch_size=3, seed=1)
    monkeypatch.setenv("SSD_NP_ENGINE", "fast")
    fast = take(ShapesDataset(0, 6), config, 4, batch_size=3, seed=1)
    for a, b in zip(plain, fast, strict=True):
        assert a.names == b.names
        assert np.abs(a.images - b.images).max() * min(config.input.std) <= 1.01
        for (boxes, labels), (others, other_labels) in zip(a.truths, b.truths, strict=True):
            assert np.array_equal(boxes, others) and np.array_equal(labels, other_labels)


class Broken(ShapesDataset):
    """One of its pictures can not be read; reading takes a while."""

    def __getitem__(self, index):
        time.sleep(0.002)
        if index == 2:
            raise DataError("image can not be read", where="folder/picture2.jpg")
        return super().__getitem__(index)


def test_an_error_reaches_the_consumer(config):
    with (
        pytest.raises(DataError, match=r"folder/picture2\.jpg: image can not be read"),
        Batches(Broken(0, 4), config, 2, seed=0) as batches,
    ):
        list(islice(batches, 4))
    with pytest.raises(DataError, match="no images"):
        Batches(ShapesDataset(0, 0), config, 2, seed=0)


def test_close_ends_the_threads_and_waiting_is_counted(config):
    before = threading.active_count()
    with Batches(Broken(0, 2), config, 2, seed=0, threads=2) as batches:
        assert batches.seconds_waited == 0
        next(iter(batches))
        assert batches.seconds_waited > 0
        assert threading.active_count() > before
    assert threading.active_count() == before
    batches.close()  # twice does no harm


@pytest.mark.parametrize(("count", "size"), [(10, 4), (3, 8), (7, 7), (5, 1)])
def test_places_follow_the_order_of_each_epoch(count, size):
    """Rank by rank: position p is rank p % used of epoch p // used."""
    batches = Batches(ShapesDataset(0, count), load_config("tiny"), size, 3, threads=0)
    used = count if count < size else count // size * size
    for step in range(7):
        ranks = [divmod(p, used) for p in range(step * size, (step + 1) * size)]
        expected = [
            (e, np.random.default_rng([3, e, count]).permutation(count)[r]) for e, r in ranks
        ]
        assert one_by_one(batches.places(step)) == expected
