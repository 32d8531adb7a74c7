"""A parameter: memory of its own, which loading and the optimiser alone may write."""

from collections.abc import Callable

import numpy as np

from ssd_np.checks import as_array
from ssd_np.errors import ShapeError


class Parameter:
    """A learned tensor, its last gradient (None before the first), and whether it learns.

    trainable  may be changed at any time; what is frozen has no gradient
    decays     whether weight decay applies (biases never decay, whatever this says)
    statistic  something that is measured and travels with the others: it never learns

    The memory is its own and C-contiguous, whatever array it began with: an optimiser that flattens
    it writes to the tensor itself and not to a copy. `value` can be read, not written. Two methods
    write: `assign` when weights are loaded, `update` when the optimiser takes a step.
    """

    def __init__(
        self,
        value: np.ndarray,
        trainable: bool = True,
        decays: bool = True,
        statistic: bool = False,
    ) -> None:
        value = as_array(value, "value")
        self._memory = np.array(value, value.dtype.newbyteorder("="), order="C")
        self._written()
        self.grad: np.ndarray | None = None
        self.decays, self.statistic = decays, statistic
        self.trainable = trainable

    def __getstate__(self) -> dict:
        """Of a copy, or a pickle: without the gradient of a step that it did not take, and the
        view of another's memory."""
        state = self.__dict__ | {"grad": None}
        del state["_view"]
        return state

    def __setstate__(self, state: dict) -> None:
        self.__dict__ |= state
        self._written()

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, learns: bool) -> None:
        self._trainable = bool(learns) and not self.statistic
        if not self._trainable:
            self.grad = None

    @property
    def value(self) -> np.ndarray:
        """The tensor as it is now and will be after the next step: a read-only view.

        The same view until something is written, then another one: who keeps what it made of a
        parameter sees by that whether it still holds.
        """
        return self._view

    def assign(self, array: np.ndarray) -> None:
        """Copies an array of any layout and float type; shape and type of the parameter stay."""
        array = as_array(array, "array")
        if array.shape != self._memory.shape or array.dtype.kind != "f":
            raise ShapeError(
                f"a parameter of {self._memory.shape} {self._memory.dtype} can not become "
                f"{array.shape} {array.dtype}"
            )
        self._memory[...] = array
        self._written()

    def update(self, rule: Callable[[np.ndarray], np.ndarray]) -> None:
        """w <- rule(w), one step of an optimiser. A rule may write into w and return it."""
        try:
            new = rule(self._memory)
            if new is not self._memory:
                self._memory[...] = new
        finally:
            self._written()

    def _written(self) -> None:
        """What is shown from now on is another view."""
        self._view = self._memory.view()
        self._view.flags.writeable = False
