"""The part of the pickle format that a PyTorch weight file needs, run without importing anything.

A pickle is a program for a small stack machine. Python's own unpickler imports and calls whatever
the program names, `os.system` too. The machine below knows only the instructions that build dicts,
lists, tuples, numbers and texts; a name is never imported, only compared with the short list
`ADMITTED`. So a hostile file has nothing to act with.

Instructions: Python's pickletools.py; what they build: torch/_utils.py of PyTorch.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssd_np.errors import WeightsError
from ssd_np.model.weights_file import plain

Value = Any  # what the pickle made: of no type until `_require` has looked at it
MAX_INT = 1 << 48  # of a size or a stride: far above any file, far below int64
MAX_DIMS = 32  # NumPy 1's limit
MAX_COPIES = 1 << 16  # values copied out of shared lists; a state dict's sizes are a few hundred
RESAVE = "if you trust it, save it again in PyTorch: torch.save(model.state_dict(), path)"

STORAGES = {  # name in the pickle -> type of its elements in the file
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",  # the upper half of a float32
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "u1",
}
ORDERED_DICT, SIZE = "collections.OrderedDict", "torch.Size"
PARAMETER = "torch._utils._rebuild_parameter"
TENSORS = {  # name -> numbers of arguments: torch < 0.4, later
    "torch._utils._rebuild_tensor": (4,),
    "torch._utils._rebuild_tensor_v2": (6, 7),
}
ADMITTED = {*STORAGES, *TENSORS, PARAMETER, ORDERED_DICT, SIZE}


@dataclass(frozen=True)
class _Name:
    """A name of ADMITTED that the pickle mentioned; nothing is imported for it."""

    text: str


@dataclass(frozen=True)
class Storage:
    """A run of `numel` elements, raw in the file under `key`; `kind` is a key of STORAGES."""

    kind: str
    key: str
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * np.dtype(STORAGES[self.kind]).itemsize


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


PUSH_ARGUMENT = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE",
                 "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"}  # fmt: skip
PUSH_CONSTANT = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLE_OF_LAST = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Machine:
    """Runs one pickle. `stack` holds values, `marks` the stacks below each MARK, `memo` the shared
    values, `storages` every storage that was mentioned."""

    def __init__(self) -> None:
        self.stack: list[Value] = []
        self.marks: list[list[Value]] = []
        self.memo: dict[int, Value] = {}
        self.storages: dict[str, Storage] = {}
        self.copies = MAX_COPIES  # left; the memo lets two bytes ask for a whole list again

    def run(self, stream: io.BytesIO) -> Value:
        """Executes until STOP and returns the value on top; `stream` then stands behind STOP."""
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self._step(opcode.name, argument)
            return self.stack.pop()
        # unreadable instruction, empty stack, a wrong escape in a name (where warnings are errors)
        except (ValueError, IndexError, Warning) as error:
            raise WeightsError(
                "has a damaged pickle", hint="an incomplete download? fetch the file again"
            ) from error

    def _step(self, name: str, argument: Value) -> None:
        if name in PUSH_ARGUMENT:
            self.stack.append(argument)
        elif name in PUSH_CONSTANT:
            self.stack.append(PUSH_CONSTANT[name])
        elif name in TUPLE_OF_LAST:
            items = [self.stack.pop() for _ in range(TUPLE_OF_LAST[name])]
            self.stack.append(tuple(reversed(items)))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            _require(argument in self.memo)
            self.stack.append(self.memo[argument])
        elif name == "GLOBAL":  # module and name, joined by a space
            self.stack.append(_admit(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            last, module = self.stack.pop(), self.stack.pop()
            _require(isinstance(module, str) and isinstance(last, str))
            self.stack.append(_admit(f"{module}.{last}"))
        elif name == "INST":
            _admit(argument.replace(" ", "."))
            raise WeightsError("refuses the pickle instruction INST", hint=RESAVE)
        elif name == "BINPERSID":
            self.stack.append(self._storage(self.stack.pop()))
        elif name == "REDUCE":
            arguments, function = self.stack.pop(), self.stack.pop()
            self.stack.append(self._call(function, arguments))
        elif name == "BUILD":  # attributes of a state dict, such as _metadata: not needed
            self.stack.pop()
            _require(isinstance(self.stack[-1], dict))
        elif name not in ("PROTO", "FRAME", "STOP"):
            self._container(name)

    def _container(self, name: str) -> None:
        """The instructions that make and fill dicts, lists and tuples."""
        if name == "EMPTY_DICT":
            self.stack.append({})
        elif name == "EMPTY_LIST":
            self.stack.append([])
        elif name == "MARK":
            self.marks.append(self.stack)
            self.stack = []
        elif name in ("APPEND", "SETITEM"):
            items = [self.stack.pop() for _ in range(1 if name == "APPEND" else 2)]
            _fill(self.stack[-1], items[::-1], name == "APPEND")
        elif name in ("APPENDS", "SETITEMS"):
            items, self.stack = self.stack, self.marks.pop()
            _fill(self.stack[-1], items, name == "APPENDS")
        elif name == "TUPLE":
            items, self.stack = self.stack, self.marks.pop()
            self.stack.append(tuple(items))
        else:  # among them all that call or import: OBJ, NEWOBJ, EXT1, ...
            raise WeightsError(f"refuses the pickle instruction {name}", hint=RESAVE)

    def _storage(self, persistent_id: Value) -> Storage:
        """Checks ("storage", type, key, device, numel), which the legacy format ends with None."""
        _require(isinstance(persistent_id, tuple) and len(persistent_id) in (5, 6))
        word, kind, key, _, numel = persistent_id[:5]
        if word == "module":
            raise WeightsError("holds a whole model object, not a state dict", hint=RESAVE)
        _require(word == "storage" and isinstance(key, str))
        _require(isinstance(kind, _Name) and kind.text in STORAGES and _is_size(numel))
        if len(persistent_id) == 6 and persistent_id[5] is not None:
            raise WeightsError("has storages inside storages, as torch < 0.4 wrote", hint=RESAVE)
        storage = Storage(kind.text, key, numel)
        if self.storages.setdefault(key, storage) != storage:
            raise WeightsError("one storage has two types or sizes", f"storage {plain(key)}")
        return storage

    def _call(self, function: Value, arguments: Value) -> Value:
        """What the four admitted functions make of their arguments."""
        _require(isinstance(function, _Name) and isinstance(arguments, tuple))
        name = function.text
        if name == ORDERED_DICT:
            made: dict = {}
            pairs = arguments[0] if arguments else []  # Python 2 passes [[key, value], ...]
            _require(isinstance(pairs, list))
            self._copy(len(pairs))
            for pair in pairs:
                _require(isinstance(pair, list) and len(pair) == 2)
                _fill(made, pair, append=False)
            return made
        if name == SIZE:
            _require(len(arguments) == 1 and isinstance(arguments[0], tuple | list))
            _require(len(arguments[0]) <= MAX_DIMS)
            self._copy(len(arguments[0]))
            return tuple(arguments[0])
        if name == PARAMETER:
            _require(len(arguments) == 3 and isinstance(arguments[0], Tensor))
            return arguments[0]
        # behind the first four: requires_grad, hooks, metadata
        _require(name in TENSORS and len(arguments) in TENSORS[name])
        return _tensor(*arguments[:4])

    def _copy(self, count: int) -> None:
        """Copies are bounded for the whole file, so that its size bounds memory and time."""
        self.copies -= count
        if self.copies < 0:
            raise WeightsError(f"copies over {MAX_COPIES:,} values in its pickle", hint=RESAVE)


def _require(sound: bool) -> None:
    """Whether torch.save would write it; `Machine.run` says that it would not."""
    if not sound:
        raise ValueError


def _is_size(value: Value) -> bool:
    return type(value) is int and 0 <= value < MAX_INT  # not isinstance: a bool is no size


def _admit(name: str) -> _Name:
    if name not in ADMITTED:
        raise WeightsError(f"refuses {plain(name)}: no part of a state dict", hint=RESAVE)
    return _Name(name)


def _fill(container: Value, items: list[Value], append: bool) -> None:
    """Adds `items` to a list, or keys and values in turn to a dict."""
    if append:
        _require(isinstance(container, list))
        container.extend(items)
        return
    _require(isinstance(container, dict) and len(items) % 2 == 0)
    pairs = iter(items)
    for key in pairs:
        # other keys, and integers that are chosen to collide, could take hours to hash
        _require(isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 31))
        container[key] = next(pairs)


def _tensor(storage: Value, offset: Value, shape: Value, strides: Value) -> Tensor:
    _require(isinstance(storage, Storage) and _is_size(offset))
    for sizes in (shape, strides):
        _require(isinstance(sizes, tuple) and len(sizes) <= MAX_DIMS and all(map(_is_size, sizes)))
    _require(len(shape) == len(strides))
    return Tensor(storage, offset, shape, strides)
