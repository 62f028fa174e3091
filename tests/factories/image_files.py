"""Pictures and masks as bytes, whole ones and such as no good tree has."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIZE = (16, 16)
GENERATOR = np.random.default_rng(0)
RGB = GENERATOR.integers(0, 256, (*SIZE, 3), np.uint8)
LABELS = np.indices(SIZE).sum(0).astype(np.uint8) % 3


def encoded(values, form="PNG", mode=None, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(np.asarray(values))
    (image.convert(mode) if mode else image).save(buffer, form, **options)
    return buffer.getvalue()


def png(width, height, depth, colour_type, rows):
    """A PNG by hand, whatever its header leases."""

    def chunk(name, body):
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def exif(turned):
    tags = Image.Exif()
    tags[0x0112] = turned
    return tags


def palette(values):
    image = Image.fromarray(np.asarray(values, np.uint8)).convert("P")
    image.putdata(np.asarray(values, np.uint8).ravel().tolist())
    image.putpalette([value // 3 for value in range(768)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def animated(form):
    frames = [Image.fromarray(np.full((*SIZE, 3), value, np.uint8)) for value in (0, 90, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def with_label(value):
    labels = LABELS.copy()
    labels[3, 4] = value
    return labels
