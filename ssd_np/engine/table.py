"""Which of the two runs: the concept, to be read, or its fast twin. This table alone decides.

    ops = select()                    # SSD_NP_ENGINE=plain or fast, else fast
    ops.softmax(logits)               # nn.softmax.softmax or engine.softmax.softmax

Both modules of a row define a function of the row's name, with the same arguments and results; a
fast one may take `memory=` besides (engine/memory.py). tests/engine/test_equals_concepts.py holds
every fast function against its concept. A module is imported when one of its functions is first
asked for, so that the plain engine needs neither threads nor Numba.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.errors import ConfigError

if TYPE_CHECKING:
    from ssd_np.engine.memory import Place

# name: (the concept's module, the fast module)
TABLE: dict[str, tuple[str, str]] = {
    "iou_matrix": ("ssd_np.boxes.iou", "ssd_np.engine.boxes"),
    "match": ("ssd_np.boxes.matching", "ssd_np.engine.boxes"),
    "match_iou": ("ssd_np.boxes.matching", "ssd_np.engine.boxes"),
    "make_targets": ("ssd_np.boxes.targets", "ssd_np.engine.boxes"),
    "nms": ("ssd_np.boxes.nms", "ssd_np.engine.boxes"),
    "nms_each_class": ("ssd_np.boxes.nms", "ssd_np.engine.boxes"),
    "best_first": ("ssd_np.boxes.nms", "ssd_np.engine.boxes"),
    "mine_hard_negatives": ("ssd_np.loss.mining", "ssd_np.engine.multibox"),
    "background_loss": ("ssd_np.loss.multibox", "ssd_np.engine.multibox"),
    "multibox_loss": ("ssd_np.loss.multibox", "ssd_np.engine.multibox"),
    "conv2d_forward": ("ssd_np.nn.conv", "ssd_np.engine.conv"),
    "conv2d_backward": ("ssd_np.nn.conv", "ssd_np.engine.conv"),
    "conv_block_forward": ("ssd_np.nn.blocks", "ssd_np.engine.conv"),
    "conv_block_backward": ("ssd_np.nn.blocks", "ssd_np.engine.conv"),
    "depthwise_forward": ("ssd_np.nn.depthwise", "ssd_np.engine.depthwise"),
    "depthwise_backward": ("ssd_np.nn.depthwise", "ssd_np.engine.depthwise"),
    "depthwise_block_forward": ("ssd_np.nn.blocks", "ssd_np.engine.depthwise"),
    "depthwise_block_backward": ("ssd_np.nn.blocks", "ssd_np.engine.depthwise"),
    "network_forward": ("ssd_np.nn.blocks", "ssd_np.engine.network"),
    "max_pool2d_forward": ("ssd_np.nn.pool", "ssd_np.engine.pool"),
    "max_pool2d_backward": ("ssd_np.nn.pool", "ssd_np.engine.pool"),
    "activation_forward": ("ssd_np.nn.relu", "ssd_np.engine.pointwise"),
    "activation_backward": ("ssd_np.nn.relu", "ssd_np.engine.pointwise"),
    "batchnorm_forward": ("ssd_np.nn.batchnorm", "ssd_np.engine.batchnorm"),
    "batchnorm_backward": ("ssd_np.nn.batchnorm", "ssd_np.engine.batchnorm"),
    "batchnorm_block_forward": ("ssd_np.nn.blocks", "ssd_np.engine.batchnorm"),
    "batchnorm_block_backward": ("ssd_np.nn.blocks", "ssd_np.engine.batchnorm"),
    "batchnorm_inference_forward": ("ssd_np.nn.batchnorm", "ssd_np.engine.batchnorm"),
    "batchnorm_inference_backward": ("ssd_np.nn.batchnorm", "ssd_np.engine.batchnorm"),
    "softmax": ("ssd_np.nn.softmax", "ssd_np.engine.softmax"),
    "sigmoid": ("ssd_np.nn.sigmoid", "ssd_np.engine.softmax"),
    "log_softmax_forward": ("ssd_np.nn.softmax", "ssd_np.engine.softmax"),
    "sgd_update": ("ssd_np.nn.sgd", "ssd_np.engine.sgd"),
    "square_sum": ("ssd_np.nn.sgd", "ssd_np.engine.sgd"),
    "scale_saturation": ("ssd_np.nn.hsv", "ssd_np.engine.hsv"),
    "turn_hue": ("ssd_np.nn.hsv", "ssd_np.engine.hsv"),
}
NAMES = ("plain", "fast")  # the columns
CONVOLUTIONS = ("im2col", "winograd2", "winograd4", "plain")


class Engine:
    """The functions of one column of the table as attributes.

    A fast engine can be bound to the memory of a model: its functions then write their results
    there instead of to new arrays. To the plain engine, and to whoever calls the functions, this
    makes no difference.

    turn  around everything that a model computes, and first: one thread at a time. It is a lock
          itself, so that an interrupt never finds it taken outside a `with`.
    """

    def __init__(self, name: str, place: Place | None = None) -> None:
        self.name, self._place = name, place
        self.turn = threading.Lock()
        _engines.add(self)

    def __getattr__(self, name: str) -> Callable:
        if name not in TABLE:
            raise AttributeError(f"no function {name!r} in the table of engines")
        try:
            module = importlib.import_module(TABLE[name][NAMES.index(self.name)])
        except ModuleNotFoundError as error:
            if error.name != "numba":
                raise
            raise ConfigError(
                "the fast engine needs Numba, which is not installed",
                hint="pip install numba, or set SSD_NP_ENGINE=plain",
            ) from error
        function = getattr(module, name)
        if self._place and "memory" in inspect.signature(function).parameters:
            function = functools.partial(function, memory=self._place)
        setattr(self, name, function)  # found without this method from now on
        return function

    def __reduce__(self) -> tuple:
        return type(self), (self.name, self._place)

    def for_model(self, convolution: str = "im2col") -> Engine:
        """An engine for one model: with memory that is kept from step to step, the algorithm for
        convolutions ("im2col", "winograd2", "winograd4"; the "plain" of old files is im2col)."""
        if convolution not in CONVOLUTIONS:
            raise ConfigError(
                f"unknown convolution {convolution!r}", hint=f"known: {', '.join(CONVOLUTIONS)}"
            )
        if self.name == "plain":
            return Engine("plain")
        from ssd_np.engine.memory import Place, Workspace

        return Engine(self.name, Place(Workspace(), convolution=convolution))

    @contextlib.contextmanager
    def at_work(self, layers: bool = True) -> Iterator[None]:
        """Around everything that a model computes, behind its `turn`: BLAS on one thread while
        there are layers that use it.

        NumPy warns of no overflow here: whoever uses what the model computed looks for numbers that
        are none, and says where they come from.
        """
        blas: AbstractContextManager = contextlib.nullcontext()
        if layers and self.name == "fast":
            from ssd_np.engine.threads import one_blas_thread

            blas = one_blas_thread()
        with np.errstate(over="ignore", invalid="ignore"), blas:
            yield


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _begin_all() -> None:
    """In a forked child the thread whose turn it was does not exist."""
    for engine in _engines:
        engine.turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


def select(name: str | None = None) -> Engine:
    """The engine of that name; without one, what `SSD_NP_ENGINE` says, else "fast"."""
    where = "engine" if name else "SSD_NP_ENGINE"
    name = name or os.environ.get("SSD_NP_ENGINE") or "fast"
    if name not in NAMES:
        raise ConfigError(f"unknown engine {name!r}", where, f"known: {', '.join(NAMES)}")
    return Engine(name)
