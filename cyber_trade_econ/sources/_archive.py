"""Read members of a zip archive without ever unpacking it to disk, and refuse archives that lie."""

from __future__ import annotations

import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ArchiveError, TooBig

if TYPE_CHECKING:
    from collections.abc import Iterator

_RATIO = 200  # published tables compress 3 to 20 times; a bomb a thousand times
_SMALL = 1 << 20
_BLOCK = 1 << 20


@contextmanager
def opened(path: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open an archive after checking its directory.

    Parameters
    ----------
    path
        The archive.
    max_bytes
        Largest permitted sum of unpacked sizes.

    Raises
    ------
    ArchiveError
        Not a zip, cut, damaged, encrypted, or with member names that point outside, occur twice or are links.
    TooBig
        The members claim more bytes than ``max_bytes``, or unpack to more than 200 times their size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path.name, max_bytes)
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise ArchiveError(
            f"{path.name} is not a whole zip archive",
            found=str(error),
            fix="Delete it and pull again; the copy is cut or damaged.",
        ) from None


def _check(archive: zipfile.ZipFile, name: str, max_bytes: int) -> None:
    members = archive.infolist()
    names = [m.filename for m in members]
    if len(set(names)) != len(names):
        raise ArchiveError(
            f"{name} has members of the same name", found=sorted({n for n in names if names.count(n) > 1})
        )
    for member in members:
        path = PurePosixPath(member.filename)
        # orig_filename still has the NUL and backslashes that zipfile cleans away.
        odd = any(c in member.orig_filename for c in "\\\0:")
        if odd or path.is_absolute() or ".." in path.parts:
            raise ArchiveError(f"{name} has a member that points outside of it", found=repr(member.orig_filename))
        if member.flag_bits & 0x1:
            raise ArchiveError(f"{name} has an encrypted member", found=member.filename)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ArchiveError(f"{name} has a member that is a link", found=member.filename)
        if member.file_size > _SMALL and member.file_size > _RATIO * max(member.compress_size, 1):
            raise TooBig(
                f"{member.filename} in {name} would unpack to {member.file_size} bytes",
                found=f"{member.compress_size} packed",
            )
    total = sum(m.file_size for m in members)
    if total > max_bytes:
        raise TooBig(f"{name} would unpack to {total} bytes", allowed=f"at most {max_bytes}")


def member_named(archive: zipfile.ZipFile, suffix: str) -> str:
    """Return the only member whose name ends with ``suffix``; resource forks of macOS are no members.

    Raises
    ------
    ArchiveError
        If there is none or more than one.
    """
    names = [n for n in archive.namelist() if not n.startswith("__MACOSX/")]
    found = [n for n in names if n.lower().endswith(suffix)]
    if len(found) != 1:
        raise ArchiveError(f"{Path(archive.filename or '').name} should hold one *{suffix}", found=names)
    return found[0]


def read(archive: zipfile.ZipFile, member: str) -> bytes:
    """Return a member's bytes, read to the end so that its checksum is verified.

    Raises
    ------
    ArchiveError
        If it unpacks to more bytes than the directory says.
    """
    size = archive.getinfo(member).file_size
    blocks: list[bytes] = []
    count = 0
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK):
            count += len(block)
            if count > size:
                raise ArchiveError(
                    f"{member} unpacks to more bytes than the directory of its archive says", found=f"over {size}"
                )
            blocks.append(block)
    return b"".join(blocks)
