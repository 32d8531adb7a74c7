"""Whole configs from made-up fingerprints: three looks, three visibly different configs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import ANIMALS, CARS, CELLS, made_up

from ssd_np.config import config_from_json, config_to_json, load_config
from ssd_np.data.coverage import coverage
from ssd_np.fit.config import available_maps, first_guess, fit, seen, tuned
from ssd_np.model.ssd import SSD
from ssd_np.train.schedule import learning_rate


def steps_of(config):
    return [round(m.steps[0]) for m in config.feature_maps]


def test_cells():
    config, reasons = fit(CELLS)
    assert config.input.shape == (224, 288) and len(reasons) >= 7
    assert steps_of(config) == [8, 16] and config.num_boxes < 2500  # nothing for deep maps
    assert (config.augmentation.horizontal_flip, config.augmentation.vertical_flip) == (0.5, 0.5)
    assert config.augmentation.crop.probability == config.augmentation.hue.probability == 0
    assert config.class_names == ("kind 1", "kind 2", "kind 3")


def test_animals():
    config, _ = fit(ANIMALS)
    assert config.input.shape == (288, 224) and steps_of(config)[-1] >= 58
    assert config.num_boxes < load_config("small").num_boxes / 3
    assert config.augmentation.vertical_flip == 0 and config.augmentation.expand.probability > 0


def test_cars():
    config, _ = fit(CARS)
    assert config.input.shape == (384, 384) and steps_of(config) == [8]
    assert config.base_end == config.layers[-1].name == "block5"  # the rest is left out
    assert config.augmentation.horizontal_flip == 0


@pytest.mark.parametrize("f", [CELLS, ANIMALS], ids=["cells", "animals"])
def test_boxes_cover_objects_that_were_not_seen(f):
    sides = (0.13, 0.16) if f is CELLS else (0.2, 0.9)
    other = made_up(300, 1, sides, tuple(f.shapes[0]), spread=0.2 * (f is ANIMALS), seed=7)
    config = fit(f).config
    before = coverage(other.boxes, load_config("small")).uncovered
    assert coverage(other.boxes, config).uncovered <= 0.02
    assert before > 0.05 or f is CELLS  # for which `small` was made


@pytest.mark.parametrize("f", [CELLS, ANIMALS, CARS], ids=["cells", "animals", "cars"])
def test_every_map_has_objects(f):
    config = fit(f).config
    for i, feature_map in enumerate(config.feature_maps):
        alone = dataclasses.replace(
            config,
            layers=config.layers[: [x.name for x in config.layers].index(feature_map.name) + 1],
            base_end=config.layers[0].name,
            feature_maps=config.feature_maps[i : i + 1],
        )
        assert 1 - coverage(f.boxes, alone).uncovered > 0.01, feature_map.name


def test_the_same_fingerprint_gives_the_same_config():
    assert fit(ANIMALS) == fit(ANIMALS)
    assert fit(ANIMALS, seed=1).config != fit(ANIMALS).config


def test_a_given_input_and_a_base():
    config, reasons = fit(ANIMALS, shape=(256, 192), affordable=77)
    assert config.input.shape == (256, 192) and config.training.steps == 77
    assert "input 192 x 256, as given" in reasons
    based = fit(CELLS, "mobilenet_coco")
    assert "network mobilenet_coco" in based.reasons
    assert steps_of(based.config)[0] == 8  # finer than the network's own maps
    plain = fit(CELLS, "ssd300_voc")
    assert based.config.training.learning_rate > plain.config.training.learning_rate
    assert coverage(CELLS.boxes, based.config).uncovered < 0.02


@pytest.mark.parametrize("f", [CELLS, ANIMALS, CARS], ids=["cells", "animals", "cars"])
def test_without_a_base_convolutions_are_full(f):
    """What mixes channels and what mixes places is one layer; all else is as with a base."""
    (based, whys), (bare, why) = fit(f), fit(f, from_scratch=True)
    assert why[0].startswith("network scratch: full convolutions")
    assert whys[0].startswith("network small: separable")
    assert {layer.kind for layer in bare.layers} <= {"conv", "batchnorm", "pool"}
    assert "depthwise" in {layer.kind for layer in based.layers}
    assert (bare.input.shape == based.input.shape) == (f is CARS)  # which are small
    same = fit(f, shape=based.input.shape, from_scratch=True).config
    assert same.augmentation == based.augmentation and steps_of(same) == steps_of(based)
    assert fit(f, "slim", from_scratch=True).reasons[0] == "network slim"


def test_a_base_learns_slower_than_what_stands_on_it():
    """At the full rate 1,300 steps on 108 photographs cost it what it knew (docs/fitting.md)."""
    (based, whys), (bare, why) = fit(ANIMALS), fit(ANIMALS, from_scratch=True)
    assert based.training.base_multiplier == 0.3 and bare.training.base_multiplier == 1
    assert based.training.learning_rate == bare.training.learning_rate
    told = "; 0.3 of it for the base, which knows something"
    assert any(one.endswith(told) for one in whys) and not any(told in one for one in why)
    going_on = tuned(ANIMALS, based).config.training  # where all moves slower
    assert going_on.base_multiplier == 1 and going_on.learning_rate == 0.01


def test_weak_detections_count():
    # what was learned from few images gives new ones low scores: below 0.01 there are objects, too
    ours, usual = fit(CELLS).config.decoding, load_config("small").decoding
    assert ours.score_threshold == 0.001 < usual.score_threshold
    assert dataclasses.replace(ours, score_threshold=usual.score_threshold) == usual


def test_a_training_of_few_steps_reaches_its_rate_and_comes_down():
    """Steps that a minute allows of a large network."""
    training = fit(ANIMALS, affordable=40).config.training
    rates = [learning_rate(step, training) for step in range(40)]
    assert max(rates) == training.learning_rate and rates[-1] < 0.1 * max(rates)


def test_first_guess_grows_from_small_to_large_objects():
    maps = available_maps(load_config("small"), (256, 256))
    assert [m.step for m in maps] == [(8, 8), (16, 16), (32, 32), (64, 64)]
    guess = first_guess(ANIMALS, (256, 256), maps)
    small, large = np.quantile(np.sqrt(ANIMALS.objects.prod(axis=1)), (0.05, 0.95)) * 256
    assert guess[0] == pytest.approx(small) and guess[-1] == pytest.approx(large)
    assert guess == sorted(guess)


def test_objects_are_seen_zoomed_and_a_little_otherwise():
    plain, zoomed = fit(CELLS).config.augmentation, fit(ANIMALS).config.augmentation
    rng = np.random.default_rng(0)
    still, labels = seen(CELLS, plain, (256, 256), rng)
    assert set(labels) == {1, 2, 3} and len(still) >= 4000
    assert np.exp(np.std(np.log(still))) < 1.3
    moved, _ = seen(ANIMALS, zoomed, (256, 256), rng)
    without, _ = seen(ANIMALS, plain, (256, 256), rng)
    assert np.quantile(moved, 0.05) < 0.9 * np.quantile(without, 0.05)
    assert moved.min() >= 1 and moved.max() <= 256


fingerprints = st.builds(
    made_up,
    images=st.integers(1, 60),
    an_image=st.integers(1, 6),
    sides=st.tuples(st.floats(0.005, 1), st.floats(0.005, 1)).map(sorted).map(tuple),
    size=st.tuples(st.integers(8, 5000), st.integers(8, 5000)),
    classes=st.integers(1, 8),
    spread=st.floats(0, 1),
    seed=st.integers(0, 1000),
    light=st.floats(0, 100),
    contrast=st.floats(1, 4),
    colour=st.floats(0, 1),
    upright=st.floats(0, 50),
    mirror=st.floats(-2, 2),
)


@settings(max_examples=25, deadline=None)
@given(f=fingerprints, preset=st.sampled_from(["small", "scratch", "slim", "mobilenet_coco"]))
def test_any_fingerprint_gives_a_config_that_can_be_written_and_built(f, preset):
    config, reasons = fit(f, preset)
    assert config_from_json(config_to_json(config)) == config
    assert 0 < config.num_boxes <= 60_000 and all(reasons)
    assert all(m.boxes_per_cell <= 6 for m in config.feature_maps)
    assert len(SSD(config).default_boxes) == config.num_boxes


def test_a_detector_whose_boxes_fit_no_object_is_warned_about():
    large, small = fit(ANIMALS).config, made_up(100, 5, (0.02, 0.04), (640, 480))
    warned = [line for line in tuned(small, large).reasons if "fit no default box" in line]
    assert len(warned) == 1 and "--base-weights" in warned[0]
    assert not any("fit no default box" in line for line in tuned(ANIMALS, large).reasons)
