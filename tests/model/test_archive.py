"""The `.npz` archive: it comes back bit-equal, and nothing damaged or foreign is let in."""

import hashlib
import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from ssd_np.errors import ConfigError, OutputError, WeightsError
from ssd_np.model.archive import (
    HEADER,
    MAX_JSON,
    read_archive,
    read_arrays,
    write_archive,
    write_npz,
)


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a.weight": rng.standard_normal((3, 3, 2, 4)).astype(np.float32), "b": np.arange(5)}
    write_archive(tmp_path / "w.npz", {"note": "grün"}, arrays)
    return tmp_path / "w.npz"


def test_what_was_written_is_read(path):
    header, arrays = read_archive(path)
    rng = np.random.default_rng(0)
    assert header["note"] == "grün"
    np.testing.assert_array_equal(
        arrays["a.weight"], rng.standard_normal((3, 3, 2, 4)).astype(np.float32)
    )
    assert arrays["a.weight"].dtype == np.float32
    assert list(arrays) == ["a.weight", "b"]


def test_what_is_to_be_written_is_named_where_it_is_none(tmp_path):
    wrong = {
        "header is a list (expected dict)": (write_archive, [], {}),
        "arrays is a list (expected dict)": (write_archive, {}, []),
        "arrays is a int (expected dict)": (write_npz, 3),
        "comment is a str (expected bytes)": (write_npz, {}, "x"),
    }
    for said, (write, *given) in wrong.items():
        with pytest.raises(ConfigError) as caught:
            write(tmp_path / "w.npz", *given)
        assert str(caught.value) == said and not list(tmp_path.iterdir())


def test_a_folder_is_made_unless_it_is_to_be_there(tmp_path):
    write_npz(tmp_path / "new" / "w.npz", {"a": np.ones(3)})
    write_archive(tmp_path / "newer" / "w.npz", {}, {"a.weight": np.ones((1, 1, 2, 2))}, True, True)
    assert read_archive(tmp_path / "newer" / "w.npz")[1]["a.weight"].shape == (1, 1, 2, 2)
    assert read_arrays(tmp_path / "newer" / "w.npz")["a.weight"].dtype == np.int8
    for write, *given in ((write_npz, {}, b""), (write_archive, {}, {})):
        with pytest.raises(OutputError):
            write(tmp_path / "gone" / "w.npz", *given, False)
    assert not (tmp_path / "gone").exists()


def test_a_header_of_the_greatest_length_is_read(tmp_path):
    path, empty = tmp_path / "w.npz", {"format": 1, "sha256": hashlib.sha256().hexdigest()}
    for more in (0, 1):
        text = json.dumps(empty).encode().ljust(MAX_JSON + more)
        write_npz(path, {HEADER: np.frombuffer(text, np.uint8)})
        if not more:
            assert read_archive(path) == (empty, {})
    with pytest.raises(WeightsError, match=f"its header has {MAX_JSON + 1:,} bytes"):
        read_archive(path)


def test_a_shape_beyond_what_numpy_counts_is_refused(tmp_path):
    """Also where there is nothing in it: 2^62 bytes, were its empty axis not."""
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (0, 2147483648, 2147483648), }\n"
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head)
    with pytest.raises(WeightsError, match=r"is an array \(0, 2147483648, 2147483648\) uint8"):
        read_arrays(tmp_path / "w.npz")


@pytest.mark.parametrize(
    "start, program", [(b"\x80\2", "PyTorch"), (b"1234TFL3", "TensorFlow Lite")]
)
def test_another_programs_file_is_named(tmp_path, start, program):
    (tmp_path / "w").write_bytes(start.ljust(99))
    with pytest.raises(WeightsError) as caught:
        read_arrays(tmp_path / "w")
    hint = "(`ssd-np import` makes a weights file of a published one)"
    assert str(caught.value) == f"{tmp_path / 'w'}: is a file of {program} {hint}"


def test_every_cut_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"w\.npz"):
            read_archive(path)


def test_a_changed_value_is_refused(path):
    header, arrays = read_archive(path)
    arrays["b"][0] += 1
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(buffer, **{HEADER: text}, **arrays)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError, match="checksum"):
        read_archive(path)


def test_changed_bytes_never_give_other_values(path):
    """Flipped bytes are refused, or hit nothing that matters (a date in the zip directory)."""
    content, (_, arrays) = path.read_bytes(), read_archive(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read = read_archive(path)[1]
        except WeightsError:
            continue
        assert read.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)


def test_a_pickle_inside_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    np.savez(tmp_path / "trap.npz", x=np.array([Trap()], dtype=object))
    with pytest.raises(WeightsError, match=r"trap\.npz"):
        read_archive(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def test_foreign_files_are_told_apart(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(WeightsError, match="not a file of this package"):
        read_archive(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(WeightsError, match="is a damaged or incomplete zip archive"):
        read_archive(tmp_path / "text.npz")
    with pytest.raises(WeightsError, match="no such file"):
        read_archive(tmp_path / "missing.npz")


def test_a_future_format_is_refused(path):
    header, arrays = read_archive(path)
    write_archive(path, {**header, "format": 99}, arrays)
    with pytest.raises(WeightsError, match="format 99"):
        read_archive(path)


def test_a_member_that_claims_to_be_huge_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * 50_000_000)
    with pytest.raises(WeightsError, match=r"x\.npy: is compressed"):
        read_archive(path)
    np.savez(path, x=np.zeros(3))
    raw = path.read_bytes()
    sizes = struct.pack("<II", 152, 152)  # in the directory; the header keeps its own
    assert raw.count(sizes) == 1
    path.write_bytes(raw.replace(sizes, struct.pack("<II", 50_000_000, 50_000_000)))
    with pytest.raises(WeightsError, match="claims 50000000 bytes"):
        read_archive(path)


def test_an_array_header_as_long_as_the_file_is_refused_unparsed(tmp_path):
    path, length = tmp_path / "long.npz", 20_000_000
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1," * (length // 2)
    raw = b"\x93NUMPY\2\0" + struct.pack("<I", len(header)) + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", raw)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"x: is no array of plain numbers"):
        read_archive(path)
    assert tracemalloc.get_traced_memory()[1] < 3 * length
    tracemalloc.stop()


def test_an_archive_is_what_numpy_writes_byte_by_byte(tmp_path, rng):
    arrays = {
        "a": rng.standard_normal((3, 4, 5)).astype(np.float32),
        "nothing": np.zeros((0, 2), np.float32),
        "one": np.array(3, np.int64),
        "flags": np.array([True, False]),
    }
    write_npz(tmp_path / "ours.npz", arrays)
    np.savez(tmp_path / "numpys.npz", **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "numpys.npz").read_bytes()


def test_writing_and_reading_need_no_second_copy(tmp_path):
    arrays = {"a": np.ones(1 << 20), "b": np.ones(1 << 20)}
    size = sum(array.nbytes for array in arrays.values())
    peaks = []
    tracemalloc.start()
    for work in (
        lambda: write_archive(tmp_path / "a.npz", {}, arrays),
        lambda: read_archive(tmp_path / "a.npz"),
    ):
        tracemalloc.reset_peak()
        work()
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peaks[0] < 0.1 * size and peaks[1] < 1.1 * size
    _, found = read_archive(tmp_path / "a.npz")
    found["a"][0] = 2  # to be written to


def test_arrays_in_the_order_of_fortran_are_read(tmp_path):
    array = np.arange(24.0).reshape(2, 3, 4)
    np.savez(tmp_path / "w.npz", a=np.asfortranarray(array), b=array)
    write_archive(tmp_path / "ours.npz", {}, {"a": np.asfortranarray(array)})
    both = *read_arrays(tmp_path / "w.npz").values(), read_archive(tmp_path / "ours.npz")[1]["a"]
    for found in both:
        np.testing.assert_array_equal(found, array)


def test_a_folder_that_lacks_is_made(tmp_path):
    write_archive(tmp_path / "new" / "w.npz", {}, {"a": np.zeros(2)})
    assert read_archive(tmp_path / "new" / "w.npz")[1].keys() == {"a"}


PUBLISHED = {"PyTorch": b"\x80\2}q\0.", "TensorFlow Lite": b"\x1c\0\0\0TFL3"}


@pytest.mark.parametrize(("program", "start"), PUBLISHED.items())
def test_a_published_file_is_known(tmp_path, start, program):
    (tmp_path / "w").write_bytes(start)
    with pytest.raises(WeightsError, match=f"is a file of {program}") as caught:
        read_arrays(tmp_path / "w")
    assert "`ssd-np import` makes a weights file of a published one" in str(caught.value)
