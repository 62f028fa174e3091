from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from alspec.labelling.rle import from_runs, pack, runs, unpack

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def spelled_out(mask):
    """Label Studio's packing as its documentation words it, a bit at a time."""
    values = np.repeat(mask.ravel().astype(int) * 255, 4).tolist()
    text = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    start = 0
    while start < len(values):
        end = start
        while end < len(values) and values[end] == values[start] and end - start < 65536:
            end += 1
        length = end - start
        index, bits = next((i, b) for i, b in enumerate((3, 4, 8, 16)) if length <= 2**b)
        text += f"1{index:02b}{length - 1:0{bits}b}{values[start]:08b}"
        start = end
    text += "0" * (8 - len(text) % 8)
    return [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]


@given(MASKS)
def test_packing_is_bit_for_bit_what_a_slow_encoder_writes_and_unpacks_to_the_mask(mask):
    packed = pack(mask)
    assert packed == spelled_out(mask)
    assert (unpack(packed, *mask.shape) == mask).all()


@pytest.mark.parametrize("value", [False, True])
def test_runs_longer_than_16_bits_are_split(value):
    mask = np.full((200, 200), value)
    mask[150, 3] = not value
    assert pack(mask) == spelled_out(mask)
    assert (unpack(pack(mask), 200, 200) == mask).all()


def test_unpacks_literal_values_which_the_javascript_encoder_writes():
    values = [255] * 4 + [0] * 4 + [255] * 4 + [0] * 4
    text = f"{16:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    text += "0" + "01" + f"{15:04b}" + "".join(f"{value:08b}" for value in values)
    text += "0" * (-len(text) % 8)
    data = [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]
    assert unpack(data, 2, 2).tolist() == [[True, False], [True, False]]


@given(MASKS)
def test_runs_of_a_mask_give_it_back(mask):
    lengths = runs(mask)
    assert sum(lengths[1::2]) == mask.sum()
    assert (from_runs(lengths, *mask.shape) == mask).all()


@pytest.mark.parametrize("lengths", [[3], [5], [-1, 5], [2**62, 2**62], []])
def test_runs_that_do_not_fill_the_image_are_refused(lengths):
    with pytest.raises(ValueError, match="do not fill"):
        from_runs(lengths, 2, 2)


@given(st.lists(st.integers(0, 255), max_size=40))
def test_foreign_bytes_are_a_value_error_at_most(data):
    with suppress(ValueError):
        assert unpack(data, 3, 3).shape == (3, 3)


@pytest.mark.parametrize("data", [["a"], [300], [-1], [1.5], [None]])
def test_what_is_no_list_of_bytes_is_refused(data):
    with pytest.raises(ValueError, match="list of bytes"):
        unpack(data, 2, 2)
