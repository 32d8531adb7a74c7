"""Reads PyTorch weight files (`.pth`, `.pt`) without PyTorch, and without running what is in them.

A weight file is two things: a pickle that says "tensor `conv.weight` is 64 x 3 x 3 x 3 numbers of
storage 7, beginning at element 0, with these strides", and the storages, which are raw numbers.

zip (torch >= 1.6)     <folder>/data.pkl, <folder>/data/<key> for each storage, stored uncompressed
legacy (torch >= 0.1.10)  five pickles in a row (magic number, protocol, system, the object, the
                       storage keys), then for each key an int64 count and the raw numbers

The pickle is run by the harmless machine of `torch_pickle`. Sizes are checked against the file's
real size before anything is allocated. Formats: torch/serialization.py of PyTorch.
"""

import io
import math
import re
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.errors import WeightsError
from ssd_np.model.torch_pickle import RESAVE, STORAGES, Machine, Storage, Tensor
from ssd_np.model.weights_file import Arrays, opened, plain
from ssd_np.model.zip_file import AGAIN, StoredZip

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the legacy format
MAX_PICKLE = 4 << 20  # bytes; SSD300 needs 10 kB. Bounds the memory and time of the stack machine
# what torch.save writes into its folder; a later one may add records without an ending
RECORD = re.compile(r"data\.pkl|data/[^/]+|[a-z]+|\.[^./]+(?:/[^./]+)?")
VERSION = re.compile(rb"(?:[1-9]|10)\n?")  # those that PyTorch reads
MAX_GROWTH = 4  # arrays / file: 2 for bfloat16 -> float32, times 2 for weights under two names


def read_torch(path: str | Path) -> Arrays:
    """The tensors of a PyTorch file by name, in the file's order, each a C-contiguous copy.

    A training checkpoint is unwrapped (its "state_dict" or "model"), entries that are no tensors
    are left out, and the "module." that DataParallel puts before every name is taken away.
    Types stay as they are, but for bfloat16, which NumPy lacks: it becomes float32 of equal value.
    Raises WeightsError, naming the file and the tensor, whatever the bytes are.
    """
    with opened(path) as (file, size):
        return _read(file, size)


def is_torch(start: bytes) -> bool:
    """Whether a file may be PyTorch's, by its first 512 bytes."""
    check_kind(start, bytes, "start")
    return start.startswith((b"PK\3\4", b"\x80")) or start[257:262] == b"ustar"


def _read(file: BufferedIOBase, size: int) -> Arrays:
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


# --- the two containers: each returns the object, a reader of storages and their byte order ------

ReadStorage = Callable[[Storage], bytes | bytearray]


def _read_zip(file: BufferedIOBase, size: int) -> tuple[object, ReadStorage, str]:
    archive = StoredZip(file, size)
    members = archive.members
    if archive.comment:
        raise WeightsError("has a comment in its zip archive, which torch.save never writes")
    for name in members:
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise WeightsError("has a name that leads out of the archive", plain(name))
    inner = (name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl"))
    roots = [folder for folder in inner if folder.count("/") == 1]
    if len(roots) != 1:
        what = f"is a zip archive with {len(roots)} data.pkl, where torch.save writes one"
        raise WeightsError(what, hint="expected a .pth made by torch.save")
    root = roots[0]
    if any(name.startswith((f"{root}code/", f"{root}constants.pkl")) for name in members):
        raise WeightsError("is a TorchScript archive, which holds a program", hint=RESAVE)
    for name in members:  # another archive, a second pickle
        if not (name.startswith(root) and RECORD.fullmatch(name, len(root))):
            raise WeightsError("is none of the files that torch.save writes", plain(name), RESAVE)
    if f"{root}version" not in members:
        raise WeightsError("has no version, which torch.save writes", hint=AGAIN)
    for name, written in (
        ("version", VERSION.fullmatch),
        (".data/version", VERSION.fullmatch),
        (".data/serialization_id", bytes.isascii),
        (".storage_alignment", bytes.isdigit),
    ):
        if root + name in members and not written(bytes(archive.read(members[root + name]))):
            raise WeightsError("is not what torch.save writes there", plain(root + name))

    def read(name: str) -> bytes | bytearray:
        return archive.read(members[name])

    def read_storage(storage: Storage) -> bytes | bytearray:
        name = f"{root}data/{storage.key}"
        found = members[name].size if name in members else None
        if found != storage.nbytes:
            raise WeightsError(
                f"storage {plain(storage.key)} should have {storage.nbytes} bytes, "
                + ("is missing" if found is None else f"has {found}")
            )
        return read(name)

    if members[f"{root}data.pkl"].size > MAX_PICKLE:
        raise WeightsError(f"its data.pkl is above {MAX_PICKLE} bytes, absurd for a state dict")
    order = read(f"{root}byteorder") if f"{root}byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise WeightsError("has neither little nor big byte order", f"{plain(root)}byteorder")
    stream = io.BytesIO(read(f"{root}data.pkl"))
    content = Machine().run(stream)
    if stream.read(1):
        raise WeightsError("has bytes behind its pickle, which torch.save never writes")
    return content, read_storage, "<" if order == b"little" else ">"


def _read_legacy(file: BufferedIOBase, size: int) -> tuple[object, ReadStorage, str]:
    stream = io.BytesIO(file.read(MAX_PICKLE))
    try:
        magic = Machine().run(stream)
    except WeightsError as error:
        if error.__cause__ is not None:  # not even a pickle
            raise WeightsError("is not a PyTorch file, or an incomplete one") from error
        raise
    if magic != MAGIC:
        raise WeightsError("is a pickle, but not one of torch.save", hint=RESAVE)
    protocol = Machine().run(stream)
    if protocol != PROTOCOL:
        raise WeightsError(f"does not have protocol {PROTOCOL}, the only one there is")
    Machine().run(stream)  # the writer's system; the numbers are little-endian on every system
    machine = Machine()
    content = machine.run(stream)
    keys = Machine().run(stream)
    places = _find_storages(file, size, stream.tell(), keys, machine.storages)

    def read_storage(storage: Storage) -> bytes:
        if storage.key not in places:
            raise WeightsError(f"storage {plain(storage.key)} is missing")
        file.seek(places[storage.key])
        return file.read(storage.nbytes)

    return content, read_storage, "<"


def _find_storages(
    file: BufferedIOBase, size: int, position: int, keys: object, storages: dict[str, Storage]
) -> dict[str, int]:
    """Where the elements of each storage begin; they follow each other in the order of `keys`."""
    if not isinstance(keys, list):
        raise WeightsError("has no list of storages")
    places: dict[str, int] = {}
    for key in keys:
        if not isinstance(key, str) or key not in storages or key in places:
            raise WeightsError("lists a storage twice, or one that no tensor uses")
        where = f"storage {plain(key)}"
        file.seek(position)
        count = int.from_bytes(file.read(8), "little")
        storage = storages[key]
        places[key] = position + 8
        position += 8 + storage.nbytes
        if position > size:
            hint = "fetch it again"
            raise WeightsError(f"should end at byte {position}, the file has {size}", where, hint)
        if count != storage.numel:
            raise WeightsError(f"should have {storage.numel} elements, has {count}", where)
    if position != size:
        raise WeightsError("has bytes behind its last storage, which torch.save never writes")
    return places


# --- from the pickled object to arrays -----------------------------------------------------------


def _state_dict(content: object) -> dict[str, Tensor]:
    """The tensors by name, out of a state dict or of a checkpoint around one."""
    for _ in range(4):  # a limit, because a pickled dict may contain itself
        for wrapper in ("state_dict", "model"):
            if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
                content = content[wrapper]
                break
    if not isinstance(content, dict):
        raise WeightsError("does not hold a state dict", hint=RESAVE)
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        found = ", ".join(plain(str(key)) for key in list(content)[:5])
        hint = "expected a state dict, or a dict with a state_dict or model in it"
        raise WeightsError(f"holds no tensors beside its keys {found or '(none)'}", hint=hint)
    if not all(isinstance(key, str) for key in tensors):
        raise WeightsError("has tensors without a name", hint=RESAVE)
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    return tensors


def _check_tensors(tensors: dict[str, Tensor], size: int) -> None:
    """No tensor reaches outside its storage; together they are not absurdly above the file."""
    budget = MAX_GROWTH * size
    for name, tensor in tensors.items():
        where = f"tensor {plain(name)}"
        steps = map(lambda count, stride: (count - 1) * stride, tensor.shape, tensor.strides)
        last = tensor.offset + sum(steps)
        if 0 not in tensor.shape and last >= tensor.storage.numel:
            what = f"reaches element {last} of a storage of {tensor.storage.numel}"
            raise WeightsError(what, where)
        itemsize = _elements(b"", tensor.storage.kind, "<").itemsize
        # max: NumPy's limit on the product of the sizes holds for empty arrays too
        budget -= itemsize * math.prod(max(1, count) for count in tensor.shape)
        if budget < 0:
            raise WeightsError(f"needs over {MAX_GROWTH} times the bytes of the file", where)


def _load(tensors: dict[str, Tensor], read_storage: ReadStorage, order: str) -> Arrays:
    """Reads each storage once, and keeps no more than one beside the finished arrays."""
    by_storage: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        by_storage.setdefault(tensor.storage.key, []).append(name)
    arrays: Arrays = {}
    for names in by_storage.values():
        storage = tensors[names[0]].storage
        try:
            raw = read_storage(storage)
        except WeightsError as error:
            where = f"tensor {plain(names[0])}" + (f": {error.where}" if error.where else "")
            raise WeightsError(error.what, where, error.hint) from error
        elements = _elements(raw, storage.kind, order)
        for name in names:
            arrays[name] = _view(elements, tensors[name]).copy()
    return {name: arrays[name] for name in tensors}


def _elements(raw: bytes | bytearray, kind: str, order: str) -> np.ndarray:
    """(numel,) array of a storage's bytes; `order` is "<" for little-endian, ">" for big-endian."""
    values = np.frombuffer(raw, order + STORAGES[kind])
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if kind == "torch.BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)  # the lower half is zero
    if kind == "torch.BoolStorage":
        return values != 0
    return values


def _view(elements: np.ndarray, tensor: Tensor) -> np.ndarray:
    """The tensor as a window on its storage; `_check_tensors` has proved that it stays inside."""
    if 0 in tensor.shape:
        return np.empty(tensor.shape, elements.dtype)
    byte_strides = [stride * elements.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.shape, byte_strides)
