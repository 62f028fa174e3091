"""Opens what comes back: a zip, a folder or a file, each file small, plain and inside it."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from alspec.errors import InputError
from alspec.labelling.delivery.base import Refused

MOST_FILES = 100_000
MOST_BYTES = 512 << 20
"""Of one file, uncompressed."""
MOST_BYTES_IN_ALL = 16 << 30

Read = Callable[[], bytes]
"""Reads a file whole. Raises ValueError, with the reason, for one that is not to be had."""


@dataclass
class Source:
    """The files of a delivery.

    Attributes:
        files: path inside it to what reads it.
        refused: files that are not looked at.
    """

    files: dict[str, Read] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    def refuse(self, file: str, why: str) -> None:
        """Pass over a file."""
        self.refused.append(Refused(file, why))


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The files of a delivery, while the block runs.

    Raises:
        InputError: there is nothing, or nothing that can be read.
    """
    if path.is_dir():
        yield _folder(path)
    elif not path.is_file():
        raise InputError.at(path, "there is no such file or folder")
    elif zipfile.is_zipfile(path):
        with _zip(path) as archive:
            yield _members(archive)
    elif path.suffix.lower() in (".json", ".xml", ".png"):
        yield Source({path.name: lambda: _file(path)})
    else:
        what = "is no zip, JSON, XML or PNG. Export again, or unpack it and give the folder"
        raise InputError.at(path, what)


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as err:
        raise InputError.at(path, f"cannot be opened as a zip ({err}). Export it again") from err
    with archive:
        yield archive


def _members(archive: zipfile.ZipFile) -> Source:
    source, total = Source(), 0
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")  # as old tools of Windows write folders
        if name.endswith("/"):
            continue
        total += member.file_size
        why = _unsafe_name(name) or _unsafe_member(member)
        if not why and name in source.files:
            why = "it is in the archive twice"
        if not why and (len(source.files) >= MOST_FILES or total > MOST_BYTES_IN_ALL):
            why = f"beyond {MOST_FILES:,} files or {MOST_BYTES_IN_ALL >> 30} GB in one archive"
        if why:
            source.refuse(name, why)
        else:
            source.files[name] = _reader(archive, member)
    return source


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Read:
    def read() -> bytes:
        try:
            with archive.open(member) as file:
                data = file.read(member.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as err:
            raise ValueError(f"it is damaged ({err})") from err
        if len(data) != member.file_size:
            raise ValueError("it is longer than the archive says")
        return data

    return read


def _unsafe_member(member: zipfile.ZipInfo) -> str:
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "it is a link or a device, not a file"
    if member.flag_bits & 1:
        return "it is encrypted"
    if member.file_size > MOST_BYTES:
        return f"it is larger than {MOST_BYTES >> 20} MB"
    return ""


def _unsafe_name(name: str) -> str:
    """Why a path with slashes alone is not taken."""
    path = PurePosixPath(name)
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
        return "its path leads out of the archive"
    if not name.isprintable():
        return "its name has characters that cannot be printed"
    return ""


def _folder(folder: Path) -> Source:
    source = Source()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            source.refuse(name, "it is a link; give the file itself")
        elif path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            if len(source.files) >= MOST_FILES:
                source.refuse(name, f"beyond {MOST_FILES:,} files")
                break
            source.files[name] = _reader_of(path)
    return source


def _reader_of(path: Path) -> Read:
    return lambda: _file(path)


def _file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as err:
        raise ValueError(f"it cannot be read ({err.strerror})") from err


def ending(files: Mapping[str, Read], *suffixes: str) -> list[str]:
    """The names of files with one of these suffixes, sorted; macOS's own copies are left out."""
    return sorted(
        name
        for name in files
        if name.lower().endswith(suffixes) and not name.startswith("__MACOSX/")
    )


def any_holding(source: Source, suffix: str, looks: Callable[[bytes], bool]) -> bool:
    """Whether a file with a suffix looks like something, as far as they can be read."""
    for file in ending(source.files, suffix):
        try:
            if looks(source.files[file]()):
                return True
        except ValueError:
            continue  # whoever reads it says why
    return False
