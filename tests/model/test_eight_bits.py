"""Kernels in 8 bits: how far off they may be, and that no odd scale is let in."""

import json

import numpy as np
import pytest

from ssd_np.errors import WeightsError
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.eight_bits import SCALES, in_eight_bits, in_full


def kernels():
    rng = np.random.default_rng(0)
    spread = np.exp(rng.uniform(-8, 8, 12)).astype(np.float32)  # channels of very different size
    full = rng.standard_normal((3, 3, 5, 12)).astype(np.float32) * spread
    full[..., 7] = 0  # a channel that is dead
    return {
        "conv.weight": full,
        "dw.weight": rng.standard_normal((3, 3, 12)).astype(np.float32) * spread,
        "bn.mean": rng.standard_normal(12).astype(np.float32),
        "one.weight": np.array([[[[np.float32(1e-38)]]]]),
    }


def test_each_number_is_off_by_half_a_step_of_its_channel(tmp_path):
    arrays = kernels()
    write_archive(tmp_path / "w.npz", {"note": 1}, arrays, eight_bits=True)
    header, read = read_archive(tmp_path / "w.npz")
    assert header["note"] == 1 and read.keys() == arrays.keys()
    np.testing.assert_array_equal(read["bn.mean"], arrays["bn.mean"])
    for name in ("conv.weight", "dw.weight"):
        step = np.abs(arrays[name]).max(axis=tuple(range(arrays[name].ndim - 1))) / 127
        assert read[name].dtype == np.float32
        off = np.abs(read[name].astype(np.float64) - arrays[name])
        assert (off <= 0.5001 * step).all() and off.max() > 0
    # in full a second time, they are what they were
    np.testing.assert_array_equal(in_full(in_eight_bits(read), "")["dw.weight"], read["dw.weight"])


def test_a_file_is_a_quarter_as_large(tmp_path):
    arrays = {"a.weight": np.random.default_rng(0).standard_normal((1, 1, 256, 512))}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    for eight in (False, True):
        write_archive(tmp_path / f"{eight}.npz", {}, arrays, eight_bits=eight)
    sizes = [(tmp_path / f"{eight}.npz").stat().st_size for eight in (True, False)]
    assert sizes[0] < 0.26 * sizes[1]


SCALE = SCALES + "conv.weight"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        (SCALE, np.full(12, np.nan, np.float32), "do not lie between 0 and 1e"),
        (SCALE, np.full(12, np.inf, np.float32), "do not lie between 0 and 1e"),
        (SCALE, np.full(12, 3e38, np.float32), "do not lie between 0 and 1e"),
        (SCALE, np.full(12, -1, np.float32), "do not lie between 0 and 1e"),
        (SCALE, np.zeros(12, np.float32), "do not lie between 0 and 1e"),
        (SCALE, np.ones(11, np.float32), r"is \(11,\) float32, expected \(12,\)"),
        (SCALE, np.ones((1, 12), np.float32), r"is \(1, 12\) float32, expected \(12,\)"),
        (SCALE, np.ones(12), r"is \(12,\) float64, expected \(12,\) float32"),
        (SCALES + "bn.mean", np.ones(12, np.float32), "are scales of no kernel in 8 bits"),
        (SCALES + "gone.weight", np.ones(12, np.float32), "are scales of no kernel in 8 bits"),
        (SCALES, np.ones(12, np.float32), "are scales of no kernel in 8 bits"),
        ("conv.weight", np.ones((3, 3, 5, 12), np.uint8), "are scales of no kernel in 8 bits"),
        ("conv.weight", np.int8(1), "are scales of no kernel in 8 bits"),
    ],
)
def test_odd_scales_are_refused_in_one_line(tmp_path, name, value, what):
    stored = in_eight_bits(kernels()) | {name: value}
    write_archive(tmp_path / "w.npz", {}, stored)
    with pytest.raises(WeightsError, match=what) as caught:
        read_archive(tmp_path / "w.npz")
    assert "w.npz: " + SCALES in str(caught.value) and "\n" not in str(caught.value)


def test_scales_are_part_of_the_checksum(tmp_path):
    stored = in_eight_bits(kernels())
    write_archive(tmp_path / "w.npz", {}, stored)
    with np.load(tmp_path / "w.npz") as file:
        members = {name: file[name] for name in file.files}
    members[SCALE] = members[SCALE] * 2
    np.savez(tmp_path / "w.npz", **members)
    assert json.loads(members["header.json"].tobytes())["format"] == 1
    with pytest.raises(WeightsError, match="checksum"):
        read_archive(tmp_path / "w.npz")
