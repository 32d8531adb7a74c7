"""Reads PyTorch weight files (`.pth`, `.pt`) without PyTorch, and without running what is in them.

A weight file is two things: a pickle that says "tensor `conv.weight` is 64 x 3 x 3 x 3 numbers of
storage 7, beginning at element 0, with these strides", and the storages, which are raw numbers.

zip (torch >= 1.6)     <folder>/data.pkl, <folder>/data/<key> for each storage, stored uncompressed
legacy (torch >= 0.1.10)  five pickles in a row (magic number, protocol, system, the object, the
                       storage keys), then for each key an int64 count and the raw numbers

A pickle is a program for a small stack machine. Python's own unpickler imports and calls whatever
the program names, `os.system` too. The machine below knows only the instructions that build dicts,
lists, tuples, numbers and texts; a name is never imported, only compared with the short list
`ADMITTED`. So a hostile file has nothing to act with. Sizes are checked against the file's real
size before anything is allocated.

Formats: torch/serialization.py of PyTorch; instructions: Python's pickletools.py.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssd_np.errors import WeightsError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the legacy format
MAX_PICKLE = 4 << 20  # bytes; SSD300 needs 10 kB. Bounds the memory and time of the stack machine
MAX_GROWTH = 4  # arrays / file: 2 for bfloat16 -> float32, times 2 for weights under two names
MAX_INT = 1 << 48  # of a size or a stride: far above any file, far below int64
MAX_DIMS = 32  # NumPy 1's limit
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
TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")  # torch < 0.4, later
ADMITTED = {*STORAGES, *TENSORS, PARAMETER, ORDERED_DICT, SIZE}


@dataclass(frozen=True)
class _Name:
    """A name of ADMITTED that the pickle mentioned; nothing is imported for it."""

    text: str


@dataclass(frozen=True)
class _Storage:
    """A run of `numel` elements, raw in the file under `key`; `kind` is a key of STORAGES."""

    kind: str
    key: str
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * np.dtype(STORAGES[self.kind]).itemsize


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a PyTorch file by name, in the file's order, each a C-contiguous copy.

    A training checkpoint is unwrapped (its "state_dict" or "model"), entries that are no tensors
    are left out, and the "module." that DataParallel puts before every name is taken away.
    Types stay as they are, but for bfloat16, which NumPy lacks: it becomes float32 of equal value.
    Raises WeightsError, naming the file and the tensor, whatever the bytes are.
    """
    try:
        if not Path(path).is_file():  # a device or a pipe has no size to check against
            raise WeightsError("is not a file" if Path(path).exists() else "no such file")
        with open(path, "rb") as file:
            return _read(file, Path(path).stat().st_size)
    except WeightsError as error:
        where = f"{path}: {error.where}" if error.where else str(path)
        raise WeightsError(error.what, where, error.hint) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise WeightsError(f"can not be read: {error}", str(path)) from error
    except MemoryError as error:
        raise WeightsError("does not fit into memory", str(path)) from error


def _read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK\3\4"):
        content, read_storage, order = _read_zip(file, size)
    elif start[257:262] == b"ustar":
        raise WeightsError("is a tar file of torch < 0.1.10, which is not read", hint=RESAVE)
    elif start.startswith(b"\x80"):
        content, read_storage, order = _read_legacy(file, size)
    else:
        raise WeightsError("is not a PyTorch file", hint="expected a .pth made by torch.save")
    tensors = _state_dict(content)
    _check_tensors(tensors, size)
    return _load(tensors, read_storage, order)


def _plain(text: str) -> str:
    """A text from the file, safe to show: short, ASCII, no control characters."""
    return ascii(text[:120])[1:-1]


# --- the stack machine ---------------------------------------------------------------------------

PUSH_ARGUMENT = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE",
                 "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"}  # fmt: skip
PUSH_CONSTANT = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLE_OF_LAST = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """Runs one pickle. `stack` holds values, `marks` the stacks below each MARK, `memo` the shared
    values, `storages` every storage that was mentioned."""

    def __init__(self) -> None:
        self.stack: list = []
        self.marks: list[list] = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self, stream: io.BytesIO) -> object:
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

    def _step(self, name: str, argument: object) -> None:
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
            self.stack.append(_call(function, arguments))
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

    def _storage(self, persistent_id: object) -> _Storage:
        """Checks ("storage", type, key, device, numel), which the legacy format ends with None."""
        _require(isinstance(persistent_id, tuple) and len(persistent_id) in (5, 6))
        word, kind, key, _, numel = persistent_id[:5]
        if isinstance(word, str) and word == "module":
            raise WeightsError("holds a whole model object, not a state dict", hint=RESAVE)
        _require(isinstance(word, str) and word == "storage" and isinstance(key, str))
        _require(isinstance(kind, _Name) and kind.text in STORAGES and _is_size(numel))
        if len(persistent_id) == 6 and persistent_id[5] is not None:
            raise WeightsError("has storages inside storages, as torch < 0.4 wrote", hint=RESAVE)
        storage = _Storage(kind.text, key, numel)
        if self.storages.setdefault(key, storage) != storage:
            raise WeightsError("one storage has two types or sizes", f"storage {_plain(key)}")
        return storage


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError("a pickle that torch.save would not write")


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_INT  # type: a bool is no size


def _admit(name: str) -> _Name:
    if name not in ADMITTED:
        raise WeightsError(f"refuses {_plain(name)}: no part of a state dict", hint=RESAVE)
    return _Name(name)


def _fill(container: object, items: list, append: bool) -> None:
    """Adds `items` to a list, or keys and values in turn to a dict."""
    if append:
        _require(isinstance(container, list))
        container.extend(items)
        return
    _require(isinstance(container, dict) and len(items) % 2 == 0)
    for key, value in zip(items[::2], items[1::2], strict=True):
        # other keys, and integers that are chosen to collide, could take hours to hash
        _require(isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 31))
        container[key] = value


def _call(function: object, arguments: object) -> object:
    """What the four admitted functions make of their arguments."""
    _require(isinstance(function, _Name) and isinstance(arguments, tuple))
    name = function.text
    if name == ORDERED_DICT:
        made: dict = {}
        pairs = arguments[0] if arguments else []  # Python 2 passes [[key, value], ...]
        _require(isinstance(pairs, list))
        for pair in pairs:
            _require(isinstance(pair, list) and len(pair) == 2)
            _fill(made, pair, append=False)
        return made
    if name == SIZE:
        _require(len(arguments) == 1 and isinstance(arguments[0], tuple | list))
        return tuple(arguments[0])
    if name == PARAMETER:
        _require(len(arguments) >= 1 and isinstance(arguments[0], _Tensor))
        return arguments[0]
    _require(name in TENSORS and len(arguments) >= 4)  # the rest: requires_grad, hooks
    storage, offset, shape, strides = arguments[:4]
    _require(isinstance(storage, _Storage) and _is_size(offset))
    for sizes in (shape, strides):
        _require(isinstance(sizes, tuple) and len(sizes) <= MAX_DIMS and all(map(_is_size, sizes)))
    _require(len(shape) == len(strides))
    return _Tensor(storage, offset, shape, strides)


# --- the two containers: each returns the object, a reader of storages and their byte order ------

ReadStorage = Callable[[_Storage], bytes]
ZIP_ERRORS = (zipfile.BadZipFile, RuntimeError, ValueError, LookupError, ArithmeticError, OSError,
              EOFError, struct.error)  # fmt: skip


def _read_zip(file: BinaryIO, size: int) -> tuple[object, ReadStorage, str]:
    try:
        archive = zipfile.ZipFile(file)
    except ZIP_ERRORS as error:
        raise WeightsError(
            f"is a damaged or incomplete zip archive: {_plain(str(error))}", hint="fetch it again"
        ) from error
    members = _check_members(archive.infolist(), size)
    roots = [name[: -len("data.pkl")] for name in members
             if name.endswith("/data.pkl") and name.count("/") == 1]  # fmt: skip
    if len(roots) != 1:
        raise WeightsError(
            f"is a zip archive with {len(roots)} data.pkl, where torch.save writes one",
            hint="expected a .pth made by torch.save",
        )
    root = roots[0]
    if any(name.startswith((f"{root}code/", f"{root}constants.pkl")) for name in members):
        raise WeightsError("is a TorchScript archive, which holds a program", hint=RESAVE)

    def read(name: str) -> bytes:
        try:
            return archive.read(members[name])  # checks the CRC
        except ZIP_ERRORS as error:
            raise WeightsError(f"is damaged: {_plain(str(error))}", _plain(name)) from error

    def read_storage(storage: _Storage) -> bytes:
        name = f"{root}data/{storage.key}"
        found = members[name].file_size if name in members else None
        if found != storage.nbytes:
            raise WeightsError(
                f"storage {_plain(storage.key)} should have {storage.nbytes} bytes, "
                + ("is missing" if found is None else f"has {found}")
            )
        return read(name)

    if members[f"{root}data.pkl"].file_size > MAX_PICKLE:
        raise WeightsError(f"its data.pkl is above {MAX_PICKLE} bytes, absurd for a state dict")
    order = read(f"{root}byteorder") if f"{root}byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise WeightsError("has neither little nor big byte order", f"{_plain(root)}byteorder")
    content = _Machine().run(io.BytesIO(read(f"{root}data.pkl")))
    return content, read_storage, "<" if order == b"little" else ">"


def _check_members(infos: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name; all stored as they are, so together no longer than the file."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename
        if name in members:
            raise WeightsError("appears twice in the archive", _plain(name))
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise WeightsError("has a name that leads out of the archive", _plain(name))
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise WeightsError("is compressed, which torch.save never does", _plain(name))
        members[name] = info
    if sum(info.file_size for info in infos) > size:
        raise WeightsError(f"declares more bytes than its {size}", hint="a damaged or made-up zip")
    return members


def _read_legacy(file: BinaryIO, size: int) -> tuple[object, ReadStorage, str]:
    stream = io.BytesIO(file.read(MAX_PICKLE))
    try:
        magic = _Machine().run(stream)
    except WeightsError as error:
        if error.__cause__ is not None:  # not even a pickle
            raise WeightsError("is not a PyTorch file, or an incomplete one") from error
        raise
    if magic != MAGIC:
        raise WeightsError("is a pickle, but not one of torch.save", hint=RESAVE)
    protocol = _Machine().run(stream)
    if protocol != PROTOCOL:
        raise WeightsError(f"does not have protocol {PROTOCOL}, the only one there is")
    _Machine().run(stream)  # the writer's system; the numbers are little-endian on every system
    machine = _Machine()
    content = machine.run(stream)
    keys = _Machine().run(stream)
    places = _find_storages(file, size, stream.tell(), keys, machine.storages)

    def read_storage(storage: _Storage) -> bytes:
        if storage.key not in places:
            raise WeightsError(f"storage {_plain(storage.key)} is missing")
        file.seek(places[storage.key])
        return file.read(storage.nbytes)

    return content, read_storage, "<"


def _find_storages(
    file: BinaryIO, size: int, position: int, keys: object, storages: dict[str, _Storage]
) -> dict[str, int]:
    """Where the elements of each storage begin; they follow each other in the order of `keys`."""
    if not isinstance(keys, list):
        raise WeightsError("has no list of storages")
    places: dict[str, int] = {}
    for key in keys:
        if not isinstance(key, str) or key not in storages or key in places:
            raise WeightsError("lists a storage twice, or one that no tensor uses")
        where = f"storage {_plain(key)}"
        file.seek(position)
        count = int.from_bytes(file.read(8), "little", signed=True)
        storage = storages[key]
        places[key] = position + 8
        position += 8 + storage.nbytes
        if position > size:
            raise WeightsError(
                f"should end at byte {position}, the file has {size}", where, hint="fetch it again"
            )
        if count != storage.numel:
            raise WeightsError(f"should have {storage.numel} elements, has {count}", where)
    return places


# --- from the pickled object to arrays -----------------------------------------------------------


def _state_dict(content: object) -> dict[str, _Tensor]:
    """The tensors by name, out of a state dict or of a checkpoint around one."""
    for _ in range(4):  # a limit, because a pickled dict may contain itself
        for wrapper in ("state_dict", "model"):
            if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
                content = content[wrapper]
                break
    if not isinstance(content, dict):
        raise WeightsError("does not hold a state dict", hint=RESAVE)
    tensors = {key: value for key, value in content.items() if isinstance(value, _Tensor)}
    if not tensors:
        found = ", ".join(_plain(str(key)) for key in list(content)[:5])
        raise WeightsError(
            f"holds no tensors beside its keys {found or '(none)'}",
            hint="expected a state dict, or a dict with a state_dict or model in it",
        )
    if not all(isinstance(key, str) for key in tensors):
        raise WeightsError("has tensors without a name", hint=RESAVE)
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    return tensors


def _check_tensors(tensors: dict[str, _Tensor], size: int) -> None:
    """No tensor reaches outside its storage; together they are not absurdly above the file."""
    budget = MAX_GROWTH * size
    for name, tensor in tensors.items():
        where = f"tensor {_plain(name)}"
        steps = zip(tensor.shape, tensor.strides, strict=True)
        last = tensor.offset + sum((count - 1) * stride for count, stride in steps)
        if 0 not in tensor.shape and last >= tensor.storage.numel:
            raise WeightsError(
                f"reaches element {last} of a storage of {tensor.storage.numel}", where
            )
        itemsize = _elements(b"", tensor.storage.kind, "<").itemsize
        # max: NumPy's limit on the product of the sizes holds for empty arrays too
        budget -= itemsize * math.prod(max(1, count) for count in tensor.shape)
        if budget < 0:
            raise WeightsError(f"needs over {MAX_GROWTH} times the bytes of the file", where)


def _load(
    tensors: dict[str, _Tensor], read_storage: ReadStorage, order: str
) -> dict[str, np.ndarray]:
    """Reads each storage once, and keeps no more than one beside the finished arrays."""
    by_storage: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        by_storage.setdefault(tensor.storage.key, []).append(name)
    arrays = dict.fromkeys(tensors)
    for names in by_storage.values():
        storage = tensors[names[0]].storage
        try:
            raw = read_storage(storage)
        except WeightsError as error:
            where = f"tensor {_plain(names[0])}" + (f": {error.where}" if error.where else "")
            raise WeightsError(error.what, where, error.hint) from error
        elements = _elements(raw, storage.kind, order)
        for name in names:
            arrays[name] = _view(elements, tensors[name]).copy(order="C")
    return arrays


def _elements(raw: bytes, kind: str, order: str) -> np.ndarray:
    """(numel,) array of a storage's bytes; `order` is "<" for little-endian, ">" for big-endian."""
    values = np.frombuffer(raw, order + STORAGES[kind])
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if kind == "torch.BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)  # the lower half is zero
    if kind == "torch.BoolStorage":
        return values != 0
    return values


def _view(elements: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor as a window on its storage; `_check_tensors` has proved that it stays inside."""
    if 0 in tensor.shape:
        return np.empty(tensor.shape, elements.dtype)
    byte_strides = [stride * elements.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.shape, byte_strides)
