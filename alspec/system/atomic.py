"""Writes files whole or not at all."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from alspec.system import failpoints
from alspec.system.processes import process_tag
from alspec.system.reading import open_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Flag with which opening a link is an error; Windows has none."""

_ADVICE = {
    errno.ENOSPC: "Free some of its disk",
    errno.EDQUOT: "Free some of your quota",
    errno.EIO: "Repair its disk",
    errno.EACCES: "Correct its permissions",
    errno.EPERM: "Correct its permissions",
    errno.EROFS: "Mount its disk for writing",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_text(path: Path, text: str, *, synced: bool = True) -> None:
    """Write a whole text file or nothing, in UTF-8; arguments as of `write_bytes`."""
    write_bytes(path, text.encode(), synced=synced)


def write_bytes(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Write a whole file or nothing: beside it, synced, then renamed over it.

    Args:
        path: of the file.
        data: all of it.
        synced: whether it is on the disk before it is renamed; False is for the many files that are
            recomputed where they are found wrong.

    Raises:
        OSError: it could not be written; names the file, and on a full disk what it needs. So for
            a path at which a folder, a device or a pipe is: only files and links are replaced.
    """
    _refuse_special(path)
    beside = path.with_name(f".{path.name}.{process_tag()}")
    try:
        with _naming(path, len(data)):
            failpoints.at("file.open", path)
            with beside.open("wb") as file:
                failpoints.at("file.write", path)
                file.write(data)
                file.flush()
                if synced:
                    failpoints.at("file.sync", path)
                    os.fsync(file.fileno())
            failpoints.at("file.rename", path)
            beside.replace(path)
            failpoints.at("file.renamed", path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def write_out(path: Path, text: str) -> None:
    """Write text where a user asks for it: to a device or a pipe as it is, else a whole file.

    A link is followed, as a shell's `>` does; the file at its end is replaced.

    Raises:
        OSError: it could not be written.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = stat.S_IFREG
    in_place = path.absolute().is_relative_to("/dev") or path.absolute().is_relative_to("/proc")
    if stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and not in_place):
        write_text(path.resolve(), text)
        return
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))  # no reader: an error
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def append_text(path: Path, text: str) -> None:
    """Append to a file, or make it; no link is followed.

    Raises:
        OSError: it could not be written, or is no file.
    """
    with open_to_append(path) as file:
        file.write(text)


def open_to_append(path: Path) -> IO[str]:
    """A file opened to append text, made where there is none; no link is followed."""
    _refuse_special(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8")


def _refuse_special(path: Path) -> None:
    """Raise OSError for what is there and neither a file nor a link."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # not there, or for the writing to say
    if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", str(path))


@contextmanager
def _naming(path: Path, needed: int = 0) -> Iterator[None]:
    """Have an error of the disk name the file that was to be written, and its size."""
    try:
        yield
    except OSError as err:
        if err.errno is None:
            raise
        cause = str(err.strerror)
        if err.errno in _FULL and needed:
            cause += f": {needed:,} bytes to write, {_free(path)} free"
        raise OSError(err.errno, cause, str(path)) from err


def files_left(path: Path) -> int | None:
    """How many more files the disk of a path takes, there or not; None where it does not say."""
    place = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    try:
        room = os.statvfs(place)
    except (OSError, AttributeError):  # Windows has no inodes
        return None
    return room.f_favail if room.f_files else None  # btrfs says 0 of 0


def _free(path: Path) -> str:
    """Bytes that are free on a file's disk, in words."""
    try:
        return f"{shutil.disk_usage(path.parent).free:,}"
    except OSError:
        return "an unknown number"


def describe_os_error(err: OSError) -> str:
    """An error of the disk for whoever can mend it: which file, what, what to do."""
    if err.errno in _FULL and err.filename and files_left(Path(os.fsdecode(err.filename))) == 0:
        what = f"{err.filename}: its disk has no inodes left: it takes no more files, however small"
        return f"{what}. Remove files from it, or choose another --work-dir, and run again"
    what = f"{err.filename}: {err.strerror}" if err.filename else f"{type(err).__name__}: {err}"
    advice = _ADVICE.get(err.errno or 0)
    return f"{what}. {advice} and run again" if advice else what


def write_json(path: Path, data: object) -> None:
    """Write JSON, whole or not at all; NaN is refused."""
    write_text(path, json_text(data))


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table, whole or not at all."""
    write_text(path, csv_text(header, rows))


def csv_text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as `write_csv` writes it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def write_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write a .npy file of numbers, whole or not at all; objects are refused."""
    import numpy as np  # whoever has an array has it

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError for what is no file, too."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def json_text(data: object) -> str:
    """JSON as the store writes it: sorted keys, one space a level, no NaN."""
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def sync(path: Path) -> None:
    """Have a file or a folder on the disk, not only on its way there."""
    with _naming(path):
        failpoints.at("sync", path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
