"""Writes files whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alspec import faults
from alspec.processes import mark


def write_text(path: Path, text: str) -> None:
    """Write a whole text file or nothing, in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: beside it, synced, then renamed over it.

    Raises:
        OSError: it could not be written; names the file.
    """
    beside = path.with_name(f".{path.name}.{mark()}")
    try:
        with _naming(path):
            faults.at("file.open", path)
            with beside.open("wb") as file:
                faults.at("file.write", path)
                file.write(data)
                file.flush()
                faults.at("file.sync", path)
                os.fsync(file.fileno())
            faults.at("file.rename", path)
            beside.replace(path)
            faults.at("file.renamed", path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error of the disk name the file that was to be written."""
    try:
        yield
    except OSError as err:
        if err.errno is None:
            raise
        raise OSError(err.errno, err.strerror, str(path)) from err


def write_json(path: Path, data: Any) -> None:
    """Write JSON, whole or not at all; NaN is refused."""
    write_text(path, json_text(data))


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table, whole or not at all."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def json_text(data: Any) -> str:
    """JSON as the store writes it: sorted keys, one space a level, no NaN."""
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def sync(path: Path) -> None:
    """Have a file or a folder on the disk, not only on its way there."""
    with _naming(path):
        faults.at("sync", path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
