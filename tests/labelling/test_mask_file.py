from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from alspec.datasets.base import IGNORE
from alspec.datasets.kinds.partly_labelled import PartlyLabelled, Spec
from alspec.labelling.mask_file import write_mask

CLASSES = ["bg", "lesion", "tool"]
SPECS = {
    "positions": {"classes": CLASSES},
    "positions and an ignored value": {"classes": CLASSES, "ignore": 7},
    "values": {"values": {0: "bg", 128: "lesion", 255: "tool"}, "ignore": [9, 11]},
    "two values of a class": {
        "values": {0: "bg", 3: "lesion", 4: "lesion", 5: "tool"},
        "ignore": 255,
    },
    "values of 16 bits": {"values": {0: "bg", 300: "lesion", 65535: "tool"}, "ignore": 1000},
    "colours": {
        "colours": {"#000000": "bg", "#ff0000": "lesion", "#00ff00": "tool"},
        "ignore": "#ffffff",
    },
}


def dataset(root, fields):
    frames = root / "frames"
    frames.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(frames / "a.png")
    plain = {"name": "d", "root": str(root), "images": "frames", "masks": "labels"}
    return PartlyLabelled(Spec.model_validate({**plain, "kind": "folder", **fields}))


@pytest.mark.parametrize("name", SPECS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None
)
@given(mask=arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 2, IGNORE])))
def test_what_is_written_reads_back_as_it_was(name, mask, tmp_path):
    own = dataset(tmp_path, SPECS[name])
    write_mask(own, "frames/a.png", mask)
    found = own.read_mask_file(own.mask_file("frames/a.png"))
    np.testing.assert_array_equal(found, mask)


def test_names_of_masks_are_followed(tmp_path):
    fields = {"classes": CLASSES, "mask_name": "{stem}_mask"}
    own = dataset(tmp_path, fields)
    write_mask(own, "frames/a.png", np.ones((4, 5), np.uint8))
    assert (tmp_path / "labels" / "a_mask.png").is_file()
    assert dataset(tmp_path, fields).labelled() == ("frames/a.png",)


@pytest.mark.parametrize("key", ["values", "colours"])
def test_pixels_that_nothing_stands_for_are_refused_and_nothing_is_written(key, tmp_path):
    own = dataset(tmp_path, {key: SPECS[key][key]})
    with pytest.raises(ValueError, match="`unlabelled`"):
        write_mask(own, "frames/a.png", np.full((4, 5), IGNORE, np.uint8))
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("suffix", [".tif", ".bmp"])
@pytest.mark.parametrize("name", ["values", "colours"])
def test_a_mask_is_replaced_in_the_format_of_its_name(name, suffix, tmp_path):
    (tmp_path / "labels").mkdir()
    old = tmp_path / "labels" / f"a{suffix}"
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(old)
    own = dataset(tmp_path, SPECS[name])
    mask = np.resize(np.uint8([0, 1, 2, IGNORE]), (4, 5))
    write_mask(own, "frames/a.png", mask)
    assert Image.open(old).format == {".tif": "TIFF", ".bmp": "BMP"}[suffix]
    np.testing.assert_array_equal(own.read_mask_file(old), mask)


@pytest.mark.parametrize(("name", "suffix"), [("values", ".gif"), ("values of 16 bits", ".bmp")])
def test_a_mask_whose_format_does_not_keep_every_value_is_left_alone(name, suffix, tmp_path):
    (tmp_path / "labels").mkdir()
    old = tmp_path / "labels" / f"a{suffix}"
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(old)
    before = old.read_bytes()
    own = dataset(tmp_path, SPECS[name])
    with pytest.raises(ValueError, match="save that as PNG"):
        write_mask(own, "frames/a.png", np.ones((4, 5), np.uint8))
    assert old.read_bytes() == before
