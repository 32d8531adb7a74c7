"""Uncompressed zip archives, read so that no other reader could read something else in them.

A zip archive says everything twice: each member has a header of its own, and a directory at the
end repeats it. Readers differ in which of the two they believe, in whether they look at checksums,
and in what they make of bytes between and around the members; published attacks on weight files
live on that (a scanner sees one file, the loader another). Here both must agree, the members must
lie end to end from the first byte to the directory, and every checksum must be right: then there is
one reading.

    [header, data, maybe a trailer] ... [directory] [maybe its 64-bit end] [end, comment]

Layout: PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase

from ssd_np.errors import WeightsError
from ssd_np.model.weights_file import plain

HEADER, DIRECTORY = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")
# the directory's end: disks, entries twice, length and place of the directory, length of a comment;
# before it perhaps the same in 64 bits, and a pointer to that
END, END64 = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q4sIQI")
TRAILER, UTF8 = 0x0008, 0x0800  # flag bits: sizes come behind the data; the name is UTF-8
UNKNOWN = 0xFFFFFFFF  # a size that stands in the extra field, as 64 bits
MAX_MEMBERS = 100_000
AGAIN = "an incomplete download? fetch the file again"
ZIP_ERRORS = (zipfile.BadZipFile, RuntimeError, ValueError, LookupError, ArithmeticError, OSError,
              EOFError, struct.error)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """One file in the archive: where its bytes are, and their checksum."""

    name: str
    offset: int
    size: int
    crc: int


class StoredZip:
    """The members of an archive by name, and its comment.

    Raises WeightsError unless the archive is uncompressed and has exactly one reading.
    """

    def __init__(self, file: BufferedIOBase, size: int) -> None:
        self._file = file
        try:
            with zipfile.ZipFile(file) as archive:
                infos, start, self.comment = archive.infolist(), archive.start_dir, archive.comment
            _check_sizes(infos, size)
            self.members = {m.name: m for m in self._members(infos, start)}
            self._check_end(len(infos), start, self._directory_end(infos, start), size)
        except ZIP_ERRORS as error:
            what = f"is a damaged or incomplete zip archive: {plain(str(error))}"
            raise WeightsError(what, hint=AGAIN) from error

    def read(self, member: Member) -> bytearray:
        """The member's bytes; WeightsError if their checksum is wrong."""
        self._file.seek(member.offset)
        data = bytearray(member.size)
        if self._file.readinto(data) != member.size or zlib.crc32(data) != member.crc:
            raise WeightsError("its checksum is wrong", plain(member.name), AGAIN)
        return data

    def _members(self, infos: list[zipfile.ZipInfo], start: int) -> Iterator[Member]:
        """Checks that headers and directory agree and that the members lie end to end."""
        position, seen = 0, set()
        for info in sorted(infos, key=lambda info: info.header_offset):
            where = plain(info.filename)
            if info.filename in seen:
                raise WeightsError("appears twice in the archive", where)
            seen.add(info.filename)
            if info.header_offset != position:
                raise WeightsError("does not begin where the file before it ends", where, AGAIN)
            offset = self._check_header(info, where)
            position = offset + info.file_size
            if info.flag_bits & TRAILER:
                position += self._check_trailer(info, position, where)
            yield Member(info.filename, offset, info.file_size, info.CRC)
        if position != start:
            raise WeightsError("has bytes between its last file and the directory", hint=AGAIN)

    def _check_header(self, info: zipfile.ZipInfo, where: str) -> int:
        """Where the data begins, behind a header that says what the directory says."""
        self._file.seek(info.header_offset)
        fields = HEADER.unpack(self._file.read(HEADER.size))
        signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = fields
        name, extra = self._file.read(name_length), self._file.read(extra_length)
        late = bool(flags & TRAILER)
        if UNKNOWN in (packed, size):  # then the extra field begins with both, as 64 bits
            kind, length, size, packed = struct.unpack("<HHQQ", extra[:20])
            _agree(kind == 1 and length >= 16, where)
        known = (crc, packed, size) == (info.CRC, info.file_size, info.file_size)
        _agree(known or (late and (crc, packed, size) == (0, 0, 0)), where)
        _agree(signature == b"PK\3\4" and method == zipfile.ZIP_STORED, where)
        _agree(flags == info.flag_bits and not flags & ~(TRAILER | UTF8), where)
        _agree(name == info.orig_filename.encode("utf-8" if flags & UTF8 else "cp437"), where)
        _agree(info.filename == info.orig_filename, where)  # no NUL that cuts it short
        return info.header_offset + HEADER.size + name_length + extra_length

    def _check_trailer(self, info: zipfile.ZipInfo, position: int, where: str) -> int:
        """The length of the checksum and sizes that stand behind the data."""
        for layout in ("<4sIII", "<4sIQQ"):
            self._file.seek(position)
            length = struct.calcsize(layout)
            found = struct.unpack(layout, self._file.read(length))
            if found == (b"PK\7\10", info.CRC, info.file_size, info.file_size):
                return length
        raise WeightsError("the archive's headers and its directory disagree", where, AGAIN)

    def _directory_end(self, infos: list[zipfile.ZipInfo], position: int) -> int:
        """Where the directory ends, which has one entry for each member and no more."""
        for _ in infos:
            self._file.seek(position)
            entry = DIRECTORY.unpack(self._file.read(DIRECTORY.size))
            # on the first of one disks, and by its DOS attributes an ordinary file
            _agree(entry[13] == 0 and entry[15] & 0xFF == 0, "its directory")
            position += DIRECTORY.size + sum(entry[10:13])  # name, extra field, comment
        return position

    def _check_end(self, count: int, start: int, end: int, size: int) -> None:
        """What stands behind the directory says how long it is, and nothing else stands there."""
        self._file.seek(end)
        rest = self._file.read(END64.size + END.size + len(self.comment) + 1)
        length = end - start
        large = (b"PK\6\6", 44, 0, 0, count, count, length, start, b"PK\6\7", 0, end, 1)
        if rest.startswith(large[0]):
            found = END64.unpack(rest[: END64.size])
            _agree(found[:2] + found[4:] == large, "its end")  # 2 and 3: versions of the writer
            rest, end = rest[END64.size :], end + END64.size
        _agree(end + END.size + len(self.comment) == size, "its end")
        last = (b"PK\5\6", 0, 0, count, count, length, start, len(self.comment))
        _agree(END.unpack(rest[: END.size]) == last, "its end")


def _check_sizes(infos: list[zipfile.ZipInfo], size: int) -> None:
    """Stored as they are, the members claim no more bytes than the file has."""
    if len(infos) > MAX_MEMBERS:
        raise WeightsError(f"is a zip archive of {len(infos):,} files")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise WeightsError("is compressed, which no weights file is", plain(info.filename))
    claimed = sum(info.file_size for info in infos)
    if claimed > size:
        raise WeightsError(f"claims {claimed} bytes, the file has {size}", hint=AGAIN)


def _agree(same: bool, where: str) -> None:
    if not same:
        raise WeightsError("the archive's headers and its directory disagree", where, AGAIN)
