"""Run lengths of masks, as CVAT writes them and as Label Studio packs them.

CVAT counts pixels row by row inside the mask's box, the run of zeros first. Label Studio packs the
four equal channels of every pixel, row by row, into a stream of bits: a header (32 bits: length; 5:
bits of a value less one; four times 4: bits of a run's length less one), then runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]
"""(H, W), true where the mask is."""

_CHANNELS = 4
_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)
_HEADER_BITS = 32 + 5 + 4 * len(_LENGTH_BITS)
_LONGEST = 1 << _LENGTH_BITS[-1]


def runs(mask_HW: Bits) -> list[int]:
    """Lengths of the runs of a mask read row by row, zeros first; the first may be 0.

    >>> runs(np.array([[True, True], [False, True]]))
    [0, 2, 1, 1]
    """
    flat = np.concatenate([[False], mask_HW.ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    lengths = np.diff(np.concatenate([[0], edges, [mask_HW.size]]))
    return [int(length) for length in lengths]


def from_runs(lengths: Sequence[int], height: int, width: int) -> Bits:
    """The mask whose runs these are.

    Raises:
        ValueError: a length is negative, or they do not fill height x width.
    """
    counted = np.asarray(lengths, np.int64)
    whole = height * width
    outside = (counted < 0) | (counted > whole)  # so that no sum can overflow
    if outside.any() or int(counted.sum()) != whole:
        raise ValueError(f"its run lengths do not fill {width}x{height} pixels")
    values = np.arange(len(counted)) % 2 == 1
    mask: Bits = np.repeat(values, counted).reshape(height, width)
    return mask


def pack(mask_HW: Bits) -> list[int]:
    """A mask as the bytes that Label Studio's brush has in an annotation."""
    lengths, values = _channel_runs(mask_HW)
    size_bits = np.select([lengths <= 8, lengths <= 16, lengths <= 256], [3, 4, 8], 16)
    index = np.select([lengths <= 8, lengths <= 16, lengths <= 256], [0, 1, 2], 3)
    token = ((1 << 2) | index).astype(np.int64)
    token = (token << size_bits) | (lengths - 1)
    token = (token << _VALUE_BITS) | values
    token_bits = 3 + size_bits + _VALUE_BITS
    starts = _HEADER_BITS + np.concatenate([[0], np.cumsum(token_bits)[:-1]])
    total = _HEADER_BITS + int(token_bits.sum())
    bits = np.zeros(total + 8 - total % 8, np.uint8)  # Label Studio pads a whole byte, too
    bits[:_HEADER_BITS] = _header(mask_HW.size * _CHANNELS)
    for place in range(int(token_bits.max())):
        has = place < token_bits
        bits[starts[has] + place] = (token[has] >> (token_bits[has] - 1 - place)) & 1
    return [int(byte) for byte in np.packbits(bits)]


def _header(length: int) -> NDArray[np.uint8]:
    sizes = "".join(f"{bits - 1:04b}" for bits in _LENGTH_BITS)
    text = f"{length:032b}{_VALUE_BITS - 1:05b}{sizes}"
    return np.frombuffer(text.encode(), np.uint8) - ord("0")


def _channel_runs(mask_HW: Bits) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths, none above the longest that fits, and values of the runs of all channels."""
    whole = np.asarray(runs(mask_HW), np.int64) * _CHANNELS
    ones = np.arange(len(whole)) % 2
    pieces = -(-whole // _LONGEST)
    lengths = np.full(int(pieces.sum()), _LONGEST, np.int64)
    lasts = np.cumsum(pieces)[pieces > 0] - 1
    lengths[lasts] = (whole - (pieces - 1) * _LONGEST)[pieces > 0]
    return lengths, np.repeat(ones * 255, pieces)


def unpack(data: Sequence[int], height: int, width: int) -> Bits:
    """The mask of a brush annotation: true where its fourth channel is not 0.

    Raises:
        ValueError: the bytes are not such a mask, or one of another size.
    """
    stream = _Stream(data)
    wanted = height * width * _CHANNELS
    if (length := stream.take(32)) != wanted:
        raise ValueError(f"it packs {length} values where {width}x{height} pixels have {wanted}")
    value_bits = stream.take(5) + 1
    length_bits = [stream.take(4) + 1 for _ in _LENGTH_BITS]
    pieces: list[NDArray[np.int64]] = []
    filled = 0
    while filled < wanted:
        is_run = stream.take(1)
        length = stream.take(length_bits[stream.take(2)]) + 1
        if is_run:
            pieces.append(np.full(min(length, wanted - filled), stream.take(value_bits)))
        else:
            pieces.append(np.array([stream.take(value_bits) for _ in range(length)]))
        filled += length
    if filled != wanted:
        raise ValueError("its last run ends beyond the image")
    values = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
    mask: Bits = values.reshape(height, width, _CHANNELS)[..., -1] > 0
    return mask


class _Stream:
    """Bits of bytes, read from the first on."""

    def __init__(self, data: Sequence[int]) -> None:
        if not all(type(byte) is int and 0 <= byte <= 255 for byte in data):
            raise ValueError("its `rle` is not a list of bytes")
        self._bytes = bytes(data)
        self._at = 0

    def take(self, count: int) -> int:
        """The next bits as a number. Raises ValueError at the end."""
        first, end = self._at // 8, math.ceil((self._at + count) / 8)
        if end > len(self._bytes):
            raise ValueError("its `rle` ends too early")
        value = int.from_bytes(self._bytes[first:end], "big") >> (end * 8 - self._at - count)
        self._at += count
        return value & ((1 << count) - 1)
