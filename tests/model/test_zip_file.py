"""A zip archive with two readings is refused; what PyTorch and NumPy write is read."""

import io
import struct
import zipfile

import numpy as np
import pytest

from ssd_np.errors import WeightsError
from ssd_np.model.zip_file import StoredZip


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        for name, data in members.items():
            writer.writestr(name, data)
    return buffer.getvalue()


def opened(data):
    return StoredZip(io.BytesIO(data), len(data))


def refusal(data):
    with pytest.raises(WeightsError) as caught:
        found = opened(data)
        for member in found.members.values():
            found.read(member)
    return str(caught.value)


AGAIN = " (an incomplete download? fetch the file again)"
GOOD = archive(a=b"first", b=b"second")


def test_what_the_writers_write_is_read():
    found = opened(GOOD)
    assert {name: found.read(m) for name, m in found.members.items()} == {
        "a": b"first",
        "b": b"second",
    }
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(3), y=np.zeros(0))  # sizes in the 64-bit extra field
    assert list(opened(buffer.getvalue()).members) == ["x.npy", "y.npy"]
    assert opened(archive()).members == {}


def test_a_file_of_torch_is_read():
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(3)}, buffer)  # sizes behind the data, a 64-bit end
    found = opened(buffer.getvalue())
    assert all(found.read(member) is not None for member in found.members.values())
    assert "archive/data/0" in found.members


def test_header_and_directory_must_agree():
    directory = GOOD.index(b"PK\1\2")
    header = {"flags": (6, 8), "method": (8, 10), "checksum": (14, 16), "size": (22, 24)}
    for what, (in_header, in_directory) in header.items():
        changed = bytearray(GOOD)
        changed[in_header] ^= 8
        assert "disagree" in refusal(bytes(changed)), what
        changed = bytearray(GOOD)
        changed[directory + in_directory] ^= 8
        assert refusal(bytes(changed)), what
    assert "disagree" in refusal(GOOD.replace(b"a", b"A", 1))  # the name, once of two times


def test_encryption_flag_in_both_places_is_refused():
    directory = GOOD.index(b"PK\1\2")
    changed = bytearray(GOOD)
    changed[6] |= 1
    changed[directory + 8] |= 1
    assert "disagree" in refusal(bytes(changed))


def test_bytes_around_and_between_are_refused():
    assert refusal(b"prefix" + GOOD) == "a: does not begin where the file before it ends" + AGAIN
    end, gap = GOOD.index(b"PK\5\6"), GOOD.index(b"PK\1\2")
    last = struct.pack("<I", gap + 3)  # where the directory begins, as its end says
    assert refusal(GOOD[:gap] + b"gap" + GOOD[gap : end + 16] + last + GOOD[end + 20 :]) == (
        "has bytes between its last file and the directory" + AGAIN
    )
    said = "its end: the archive's headers and its directory disagree" + AGAIN
    assert refusal(GOOD + b"PK") == said
    inner = GOOD[: GOOD.index(b"PK\3\4", 4)]  # the first member once more, in no directory
    assert refusal(inner + GOOD)


def test_a_comment_is_given_and_must_end_the_file():
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as writer:
        writer.comment = b"hello"
    assert opened(buffer.getvalue()).comment == b"hello"
    assert refusal(buffer.getvalue() + b"!")
    with zipfile.ZipFile(buffer, "a") as writer:
        writer.comment = b"hello" * 40
    assert opened(buffer.getvalue()).comment == b"hello" * 40


def test_wrong_checksum_duplicates_compression_and_cut_names():
    assert refusal(GOOD.replace(b"second", b"s3cond")) == "b: its checksum is wrong" + AGAIN
    with pytest.warns(UserWarning, match="Duplicate name"):
        buffer = io.BytesIO(GOOD)
        with zipfile.ZipFile(buffer, "a") as writer:
            writer.writestr("a", b"other")
    assert "a: appears twice" in refusal(buffer.getvalue())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("a", b"0" * 100)
    assert "a: is compressed" in refusal(buffer.getvalue())
    assert "disagree" in refusal(archive(a__b=b"1").replace(b"a__b", b"a\0_b"))


def test_what_stands_behind_the_data_must_agree():
    found = stream("a")
    assert opened(found).read(opened(found).members["a"]) == b"first"
    place = found.index(b"PK\7\10") + 5
    assert (
        refusal(changed(found, place, found[place] ^ 1))
        == "a: the archive's headers and its directory disagree" + AGAIN
    )


class Unseekable:
    """A stream: sizes and checksum of a member follow its data."""

    def __init__(self, file):
        self.write, self.flush = file.write, file.flush


def changed(data, place, value):
    return data[:place] + bytes([value]) + data[place + 1 :]


def stream(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(Unseekable(buffer), "w") as writer:
        for name in names:
            writer.writestr(name, b"first")
    return buffer.getvalue()


def long_sizes():
    """Its header says 2^32 - 1, and 64 bits in the extra field the sizes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer, writer.open("a", "w", force_zip64=True) as file:
        file.write(b"first")
    return buffer.getvalue()


DIRECTORY = GOOD.index(b"PK\1\2")
END = GOOD.index(b"PK\5\6")
LARGE_END = struct.pack("<4sQHHIIQQQQ4sIQI", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, END - DIRECTORY,
                        DIRECTORY, b"PK\6\7", 0, END, 1)  # fmt: skip
LARGE = GOOD[:END] + LARGE_END + GOOD[END:]  # as files above 4 GiB end
DISAGREE = {  # what is changed -> (the file, who disagrees)
    "a checksum in a header, of a stream": (changed(stream("a"), 14, 1), "a"),
    "no sizes in a header, and no stream": (GOOD[:14] + bytes(12) + GOOD[26:], "a"),
    "a method": (changed(GOOD, 8, 8), "a"),
    "a flag of both": (changed(changed(GOOD, 6, 2), DIRECTORY + 8, 2), "a"),
    "a signature": (changed(GOOD, DIRECTORY + 42, 1), None),
    "another kind of extra field": (changed(long_sizes(), 31, 2), "a"),
    "a shorter extra field": (changed(long_sizes(), 33, 15), "a"),
    "a name": (changed(GOOD, 30, ord("c")), "a"),
    "a disk": (changed(GOOD, DIRECTORY + 34, 1), "its directory"),
    "a folder's attribute": (changed(GOOD, DIRECTORY + 38, 16), "its directory"),
    "a count": (changed(GOOD, END + 8, 9), "its end"),
    "a disk of the end": (changed(GOOD, END + 6, 1), "its end"),
    "a length of the large end": (changed(LARGE, END + 4, 45), "its end"),
    "a disk of the large end": (changed(LARGE, END + 16, 1), "its end"),
}


@pytest.mark.parametrize("what", DISAGREE)
def test_what_disagrees_is_named(what):
    data, where = DISAGREE[what]
    said = f"{where}: the archive's headers and its directory disagree{AGAIN}"
    assert refusal(data) == said if where else refusal(data)


def test_names_of_any_letters_are_read():
    for data in (archive(**{"größe": b"1"}), stream("größe", "a"), long_sizes(), LARGE):
        assert all(opened(data).read(member) for member in opened(data).members.values())


def test_sizes_beyond_the_file_and_truncation():
    directory = GOOD.index(b"PK\1\2")
    claim = bytearray(GOOD)
    claim[directory + 20 : directory + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    claimed = (1 << 30) + len(b"second")
    assert refusal(bytes(claim)) == f"claims {claimed} bytes, the file has {len(GOOD)}{AGAIN}"
    for length in range(len(GOOD)):
        assert "\n" not in refusal(GOOD[:length])
