"""Models and detectors can be copied and sent: processes and threads give the serial result."""

import copy
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from ssd_np.data.shapes import ShapesDataset
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD

IMAGES = [sample.image for sample in ShapesDataset(3, 4)]


@pytest.fixture(scope="module", params=["plain", "fast"])
def detector(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSD_NP_ENGINE", request.param)
        yield Detector("shapes", score_threshold=0.3)


@pytest.fixture(scope="module")
def serial(detector):
    found = [detector.detect(image) for image in IMAGES]
    assert sum(map(len, found)) > 4
    return found


def trained_a_step(model):
    """The model after forward and backward, so that it holds what a step leaves behind."""
    logits, offsets = model.forward(np.zeros((2, 128, 128, 3), model.dtype), training=True)
    model.backward(np.ones_like(logits), np.ones_like(offsets))
    return model


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_copy_detects_the_same_and_shares_nothing(duplicate, detector, serial):
    other = duplicate(detector)
    assert [other.detect(image) for image in IMAGES] == serial
    assert other.model.ops.name == detector.model.ops.name
    for name, parameter in other.model.parameters.items():
        parameter.assign(parameter.value * 0)
        assert not np.shares_memory(parameter.value, detector.model.parameters[name].value)
    assert [detector.detect(image) for image in IMAGES] == serial


def test_a_copy_can_be_trained_alone():
    model = trained_a_step(SSD("tiny"))
    gradients = {name: p.grad.copy() for name, p in model.parameters.items()}
    other = trained_a_step(copy.deepcopy(model))
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(parameter.grad, gradients[name])
        np.testing.assert_array_equal(other.parameters[name].grad, gradients[name])
        assert not np.shares_memory(parameter.grad, other.parameters[name].grad)


def test_what_a_step_leaves_behind_does_not_travel():
    fresh, used = SSD("tiny"), trained_a_step(SSD("tiny"))
    assert abs(len(pickle.dumps(used)) - len(pickle.dumps(fresh))) < 1000
    assert all(p.grad is None for p in copy.deepcopy(used).parameters.values())
    assert all(p.grad is not None for p in used.parameters.values())


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_worker_processes_give_the_serial_result(method, detector, serial):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as workers:
        assert list(workers.map(detector.detect, IMAGES)) == serial


def test_threads_give_the_serial_result(detector, serial):
    with ThreadPoolExecutor(4) as workers:
        assert list(workers.map(detector.detect, IMAGES * 2)) == serial * 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_other_threads_detect_is_not_locked():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    detector, ended = Detector("shapes"), threading.Event()
    expected = detector.detect(IMAGES[0])

    def busy():
        while not ended.is_set():
            detector.detect(IMAGES[1])

    def child():
        assert detector.detect(IMAGES[0]) == expected

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join(60)
            if process.exitcode is None:
                process.kill()
            assert process.exitcode == 0
    finally:
        ended.set()
        for thread in threads:
            thread.join()
