"""The learning rate over the steps of a training: a warm-up, then steps down or a cosine.

Warm-up (Goyal et al. 2017, section 2.2): the rate climbs linearly from near 0, because the first
gradients of random weights point anywhere. "step" multiplies the rate by gamma at each milestone
(SSD paper, section 3.1); "cosine" lowers it along half a cosine to 0 (Loshchilov and Hutter 2017).
That of "warmup_cosine" begins after the warm-up, in which nothing depends on the number of steps.
"""

import math

from ssd_np.checks import check_kind, check_whole
from ssd_np.config import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of step 0, 1, ..., config.steps - 1.

    >>> learning_rate(0, TrainConfig(steps=100, learning_rate=1.0, warmup_steps=10))
    0.1
    """
    check_kind(config, TrainConfig, "config")
    check_whole(step, "step", 0)
    rate = config.learning_rate
    if config.schedule == "step":
        passed = sum(step >= round(share * config.steps) for share in config.milestones)
        rate *= config.gamma**passed
    else:
        begin = config.warmup_steps if config.schedule == "warmup_cosine" else 0
        angle = math.pi * max(0, step - begin) / max(1, config.steps - begin)
        rate *= (1 + math.cos(angle)) / 2
    return rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
