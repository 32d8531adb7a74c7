"""What threads may share: a model is one thread's at a time, and learns in one thread alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.errors import SsdError
from ssd_np.model.ssd import SSD
from ssd_np.train.pretrain import Classifier, classifier_config

CONFIG = load_config("tiny")
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-100, 100, (2, 2, 128, 128, 3)).astype(np.float32)
GONE = "backward needs forward.* in this thread, with no call of another thread between"


def model(engine, seed=0):
    return SSD(CONFIG, np.random.default_rng(seed), ops=select(engine))


def gradients(learner, images):
    logits, offsets = learner.forward(images, training=True)
    learner.backward(np.cos(logits), np.sin(offsets))
    return {name: p.grad.copy() for name, p in learner.parameters.items()}


def elsewhere(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_call_between_forward_and_backward_is_told(engine, training):
    learner = model(engine)
    logits, offsets = learner.forward(IMAGES[0], training=True)
    elsewhere(lambda: learner.forward(IMAGES[1], training))
    with pytest.raises(SsdError, match=GONE):
        learner.backward(logits, offsets)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_backward_belongs_to_the_thread_of_its_forward(engine):
    learner = model(engine)
    logits, offsets = learner.forward(IMAGES[0], training=True)
    with pytest.raises(SsdError, match=GONE):
        elsewhere(lambda: learner.backward(logits, offsets))
    learner.backward(logits, offsets)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_of_a_classifier_too(engine, monkeypatch):
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    learner = Classifier(classifier_config(CONFIG, ("cat", "dog")))
    dlogits = learner.forward(IMAGES[0], training=True)
    with pytest.raises(SsdError, match=GONE):
        elsewhere(lambda: learner.backward(dlogits))
    with pytest.raises(SsdError, match=r"dlogits \(2, 3\): gradients of outputs are \(2, 2\)"):
        learner.backward(np.ones((2, 3), np.float32))
    learner.backward(dlogits)
    for training in (False, True):
        elsewhere(lambda training=training: learner.forward(IMAGES[1], training))
        with pytest.raises(SsdError, match=GONE):
            learner.backward(dlogits)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_gradients_are_right_or_refused_whoever_calls_meanwhile(engine):
    learner, over, refused = model(engine), threading.Event(), 0
    expected = gradients(model(engine), IMAGES[0])

    def look():
        while not over.is_set():
            learner.forward(IMAGES[1])

    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        for _ in range(30):
            try:
                found = gradients(learner, IMAGES[0])
            except SsdError as error:
                assert "no call of another thread between" in error.what
                refused += 1
                continue
            for name, gradient in expected.items():
                np.testing.assert_array_equal(found[name], gradient, err_msg=name)
        over.set()
        for one in looks:
            one.result()
    assert refused
