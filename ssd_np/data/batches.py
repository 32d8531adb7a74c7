"""Batches for training: shuffled, augmented, loaded ahead by threads, and resumable at any step.

What batch `step` contains depends on (seed, step) alone. Epoch e visits the data set in an order
drawn from `default_rng([seed, e, len(dataset)])`; item i of it is drawn, where the data set draws,
and augmented with `default_rng([seed, e, i])`. So neither the number of threads nor a restart
changes a picture.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ssd_np.checks import check_kind, check_whole
from ssd_np.config import Config
from ssd_np.data.image import preprocess
from ssd_np.data.items import Dataset, check_area, check_indexed, sample_at
from ssd_np.data.pipeline import Chain
from ssd_np.engine import select
from ssd_np.errors import DataError

Boxes = tuple[np.ndarray, np.ndarray]  # of one image: boxes_corner (G, 4), labels (G,)


@dataclass(frozen=True)
class Batch:
    """images (N, height, width, 3) float32, what each shows, names (N,), the step, from 0."""

    images: np.ndarray
    truths: list[Boxes]
    names: list[str]
    step: int


class Batches:
    """Iterates over batches for ever, beginning at `start_step`, `ahead` of them in the making.

    An epoch's last, incomplete batch is dropped; a data set smaller than one batch runs on into its
    next epoch instead. With `augment=False` images are only preprocessed. An error in a thread is
    raised where the batch is asked for. Use as a context manager, or `close`. `threads=0` makes
    batches where they are asked for; so does the plain engine, for a debugger to step into.

    seconds_waited  time the consumer spent waiting for batches
    """

    def __init__(
        self,
        dataset: Dataset,
        config: Config,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        augment: bool = True,
        threads: int | None = None,
        ahead: int = 4,
    ) -> None:
        check_kind(config, Config, "config")
        check_indexed(dataset)
        for name, number, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
            ("start_step", start_step, 0),
            ("threads", threads or 0, 0),
            ("ahead", ahead, 1),
        ):
            check_whole(number, name, least)
        if len(dataset) == 0:
            raise DataError("the data set has no images", hint="training needs at least one")
        ops = select()
        self.dataset, self.config, self.batch_size, self.seed = dataset, config, batch_size, seed
        self.chain = Chain(config, ops) if augment else None
        self.start_step, self.ahead, self.seconds_waited = start_step, ahead, 0.0
        if threads is None:
            threads = 0 if ops.name == "plain" else 2
        name = "ssd_np-batches"
        # threads are in one epoch, or in its end and the next one's beginning
        self._order = functools.lru_cache(maxsize=2)(self._draw_order)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name) if threads else None

    def __iter__(self) -> Iterator[Batch]:
        steps = itertools.count(self.start_step)
        coming = self._ahead(self._pool, steps) if self._pool else map(self.make, steps)
        while True:
            begin = time.perf_counter()
            batch = next(coming)
            self.seconds_waited += time.perf_counter() - begin
            yield batch

    def _ahead(self, pool: ThreadPoolExecutor, steps: Iterator[int]) -> Iterator[Batch]:
        coming = deque(pool.submit(self.make, next(steps)) for _ in range(self.ahead))
        while True:
            batch = coming.popleft().result()
            coming.append(pool.submit(self.make, next(steps)))
            yield batch

    def make(self, step: int) -> Batch:
        """The batch of a global step, made here and now."""
        places = self.places(step)
        items = [self._item(epoch, index) for epoch, indices in places for index in indices]
        images, truths, names = zip(*items, strict=True)
        return Batch(np.stack(images), list(truths), list(names), step)

    def places(self, step: int) -> list[tuple[int, list[int]]]:
        """The images of a step's batch: of each epoch that it is part of, usually one, their
        indices in the data set."""
        count = len(self.dataset)
        small = count < self.batch_size
        used = count if small else count // self.batch_size * self.batch_size  # in an epoch
        position = step * self.batch_size
        end = position + self.batch_size
        found = []
        while position < end:
            epoch, rank = divmod(position, used)
            indices = self._order(epoch, count)[rank : min(used, rank + end - position)].tolist()
            found.append((epoch, indices))
            position += len(indices)
        return found

    def _draw_order(self, epoch: int, count: int) -> np.ndarray:
        """In which order an epoch visits the data set: (count,)"""
        return np.random.default_rng([self.seed, epoch, count]).permutation(count)

    def _item(self, epoch: int, index: int) -> tuple[np.ndarray, Boxes, str]:
        rng = np.random.default_rng([self.seed, epoch, index])
        sample = sample_at(self.dataset, index, rng if self.chain else None)
        check_area(sample)
        if self.chain is None:
            kept = ~sample.truth.crowd
            truth = (sample.truth.boxes_corner[kept], sample.truth.labels[kept])
            return preprocess(sample.image, self.config), truth, sample.name
        image, boxes, labels, _ = self.chain(sample, rng)
        return image, (boxes, labels), sample.name

    def close(self) -> None:
        """Stops the threads; batches that were not yet asked for are given up."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
