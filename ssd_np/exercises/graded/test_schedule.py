"""The learning rate: warm-up, steps and cosine by hand-computed numbers."""

import pytest

from ssd_np.config import TrainConfig
from ssd_np.train.schedule import learning_rate

pytestmark = [pytest.mark.graded, pytest.mark.lesson12]


def test_steps_of_the_published_training():
    config = TrainConfig(
        steps=120_000, learning_rate=1e-3, warmup_steps=0, milestones=(2 / 3, 5 / 6)
    )
    rates = {0: 1e-3, 79_999: 1e-3, 80_000: 1e-4, 99_999: 1e-4, 100_000: 1e-5, 119_999: 1e-5}
    for step, rate in rates.items():
        assert learning_rate(step, config) == pytest.approx(rate)


def test_warm_up_climbs_linearly_to_the_full_rate():
    config = TrainConfig(steps=100, learning_rate=0.4, warmup_steps=4, milestones=())
    rates = [learning_rate(step, config) for step in range(6)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_cosine_falls_from_the_full_rate_through_half_towards_zero():
    config = TrainConfig(steps=100, learning_rate=1.0, warmup_steps=0, schedule="cosine")
    assert learning_rate(0, config) == pytest.approx(1.0)
    assert learning_rate(50, config) == pytest.approx(0.5)
    assert 0 < learning_rate(99, config) < 0.001
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates == sorted(rates, reverse=True)
