"""Whatever file our reader accepts, PyTorch accepts too, with equal tensors: one reading only."""

import io

import numpy as np
import pytest

from ssd_np.errors import WeightsError
from ssd_np.model.torch_file import read_torch

pytestmark = pytest.mark.reliability
FULL = 10_000


def tensors_of(torch, rng):
    """A small state dict: shapes, types, shared storages and views drawn at random."""
    found = {}
    for i in range(rng.integers(1, 4)):
        shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
        kind = (torch.float32, torch.float64, torch.int64, torch.bfloat16)[rng.integers(4)]
        found[f"layer{i}.weight"] = torch.from_numpy(np.asarray(rng.normal(size=shape))).to(kind)
    first = next(iter(found.values()))
    if rng.random() < 0.3:
        found["tied"] = first
    if rng.random() < 0.3 and first.ndim:
        found["view"] = first[:1]
    return found


def grown(data, other, rng):
    """The bytes changed in one to three places: a bit, a byte, a piece moved, lost, or of another
    file."""
    raw = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(len(raw))), int(rng.integers(1, 40))
        kind = rng.integers(6)
        if kind == 0:
            raw[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            raw[at : at + 1] = rng.bytes(1)
        elif kind == 2:
            del raw[at : at + length]
        elif kind == 3:
            raw[at:at] = raw[at : at + length]
        elif kind == 4:
            raw[at : at + length] = other[at : at + length]
        else:
            raw[at : at + 1] = bytes([int(rng.choice([0, 1, 2, 4, 255]))])
    return bytes(raw)


def same(torch, ours, theirs):
    if hasattr(theirs, "state_dict") and isinstance(theirs["state_dict"], dict):
        theirs = theirs["state_dict"]
    theirs = {name: t for name, t in theirs.items() if isinstance(t, torch.Tensor)}
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        expected = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        np.testing.assert_array_equal(ours[name], expected.detach().numpy(), err_msg=name)


def test_what_is_accepted_is_what_torch_reads(tmp_path, request):
    torch = pytest.importorskip("torch")
    full = request.config.getoption("-m") == "reliability"
    path, accepted = tmp_path / "w.pth", 0
    count = FULL if full else 400
    for i in range(count):
        rng = np.random.default_rng(i)
        files = []
        for _ in range(2):
            buffer = io.BytesIO()
            zipped = bool(rng.integers(2))
            torch.save(tensors_of(torch, rng), buffer, _use_new_zipfile_serialization=zipped)
            files.append(buffer.getvalue())
        path.write_bytes(grown(*files, rng) if rng.random() < 0.95 else files[0])
        try:
            ours = read_torch(path)
        except WeightsError:
            continue
        accepted += 1
        same(torch, ours, torch.load(path, map_location="cpu", weights_only=True))
    assert 0.05 * count < accepted < count, accepted
