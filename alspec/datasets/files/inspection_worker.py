"""What a process that inspects images does: it is named files on a line, and answers with one."""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from alspec.datasets.base import Dataset
from alspec.datasets.files.inspection import THUMBNAIL, Inspection, Labelled, inspect
from alspec.datasets.files.inspection_record import encode_line
from alspec.datasets.files.jpeg_decoder import JpegDecoder

if TYPE_CHECKING:
    from alspec.datasets.files.paired import PairedFiles

READY = b"ready\n"
"""The answer to the first line."""


def serve() -> None:
    """Inspect the images named on standard input, a batch a line; answer each with a line.

    The first line is the class of a dataset and its spec, from the process that started this one,
    which also ends it: Ctrl-C, which a terminal sends to both, is for that one alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer = os.fdopen(os.dup(1), "wb", buffering=0)
    jpegs = JpegDecoder(THUMBNAIL)
    os.dup2(2, 1)
    module, name, spec = json.loads(sys.stdin.buffer.readline())
    kind: type[Dataset] = getattr(import_module(module), name)
    dataset = cast("PairedFiles", kind(kind.Spec.model_validate(spec)))
    answer.write(READY)
    for line in sys.stdin.buffer:
        found = [_inspect_by_path(dataset, jpegs, *one) for one in json.loads(line)]
        _write(answer.fileno(), encode_line(found))


def _write(to: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(to, rest) :]


def _inspect_by_path(
    dataset: PairedFiles, jpegs: JpegDecoder, name: str, image: str, mask: str
) -> Inspection:
    labelled = Labelled(
        name=name,
        read_image=partial(dataset.read_image_file, Path(image)),
        read_mask=partial(dataset.read_mask_file, Path(mask)),
        mask_place=mask,
        files=(image, mask),
        as_is=dataset.reads_as_is,
    )
    return inspect(labelled, jpegs.decode)
