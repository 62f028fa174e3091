"""Trees as people have them: names, values, colours, splits, deep and many-banded images."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from factories.official_trees import ids
from PIL import Image
from pydantic import ValidationError

from alspec.datasets.base import IGNORE, Split
from alspec.datasets.kinds.folder import Spec
from alspec.datasets.kinds.voc import Spec as VocSpec
from alspec.datasets.open import open_dataset
from alspec.errors import DataError

COLOURS = {"#000000": "bg", "#800000": "x", "#008000": "y"}
LABEL_MAP = "# label:color\nbg:0,0,0::\nx:128,0,0::\nvoid:224,224,192::\ny:0,128,0::\n"


def spec(root, **changes):
    given = {
        "name": "d", "kind": "folder", "root": str(root), "image_size": [8, 8],
        "images": "images", "masks": "masks", "classes": ["bg", "x", "y"],
        "val": {"images": "val/images", "masks": "val/masks"}, **changes,
    }  # fmt: skip
    return Spec.model_validate({key: value for key, value in given.items() if value is not None})


def save(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(path, **options)
    return path


def tree(root, names=("a", "b", "c"), end="", value=lambda mask: mask, suffix=".png"):
    rng = np.random.default_rng(0)
    for folder, some in (("", names), ("val/", names[:1])):
        for name in some:
            save(root / f"{folder}images/{name}.png", rng.integers(0, 255, (4, 6, 3), np.uint8))
            mask = rng.integers(0, 3, (4, 6)).astype(np.uint8)
            save(root / f"{folder}masks/{name}{end}{suffix}", value(mask))
    return root


def problem(dataset, split=Split.POOL):
    with pytest.raises(DataError) as caught:
        dataset.frames(split)
    return str(caught.value)


def mask_of(root, **changes):
    dataset = open_dataset(spec(root, **changes))
    return dataset.read_mask(dataset.frames(Split.POOL)[0].id)


# ---- names


def test_a_suffix_of_masks_is_named_and_proposed(tmp_path):
    tree(tmp_path, end="_mask")
    said = problem(open_dataset(spec(tmp_path)))
    assert "3 of 3 images have no mask" in said
    assert 'say `mask_name: "{stem}_mask"`' in said
    assert len(ids(open_dataset(spec(tmp_path, mask_name="{stem}_mask")))) == 3


def test_pairs_in_one_folder(tmp_path):
    rng = np.random.default_rng(1)
    for folder in ("pool", "val"):
        for name in "ab":
            save(tmp_path / folder / f"{name}_image.png", rng.integers(0, 9, (4, 4, 3), np.uint8))
            save(tmp_path / folder / f"{name}_mask.png", np.zeros((4, 4), np.uint8))
    here = {"images": "pool", "masks": "pool", "val": {"images": "val", "masks": "val"}}
    with pytest.raises(ValidationError, match="mask_name"):
        spec(tmp_path, **here)
    named = spec(tmp_path, **here, image_name="{stem}_image", mask_name="{stem}_mask.png")
    assert ids(open_dataset(named)) == ["pool/a_image.png", "pool/b_image.png"]
    images = spec(tmp_path, **here, mask_name="{stem}_mask")
    said = problem(open_dataset(images))
    assert "2 of 2 images have no mask" in said
    assert 'say `image_name: "{stem}_image"`' in said


@pytest.mark.parametrize("pattern", ["mask", "{stem}/{stem}", "{stem}{stem}", "a/{stem}", "{name}"])
def test_a_name_pattern_has_one_stem(pattern):
    with pytest.raises(ValidationError):
        spec("x", mask_name=pattern)


def test_composed_and_decomposed_names_pair(tmp_path):
    tree(tmp_path, names=("café", "b"))
    for folder in ("images", "val/images"):
        path = tmp_path / folder / "café.png"
        path.rename(path.with_name(unicodedata.normalize("NFD", "café.png")))
    dataset = open_dataset(spec(tmp_path))
    assert len(ids(dataset)) == 2
    assert dataset.read_mask(ids(dataset)[1]).shape == (4, 6)


def test_jpeg_masks_are_refused_with_the_reason(tmp_path):
    tree(tmp_path, suffix=".jpg")
    said = problem(open_dataset(spec(tmp_path)))
    assert "JPEG" in said
    assert "compression" in said
    tree(tmp_path / "more")
    (tmp_path / "more/masks/a.png").write_bytes((tmp_path / "masks/a.jpg").read_bytes())
    with pytest.raises(DataError, match="compression"):
        mask_of(tmp_path / "more")


def test_gif_and_bmp_masks(tmp_path):
    for number, suffix in enumerate((".gif", ".bmp", ".tif")):
        root = tree(tmp_path / str(number), suffix=suffix)
        assert set(np.unique(mask_of(root)).tolist()) <= {0, 1, 2}


def test_an_image_of_val_needs_no_sequence(tmp_path):
    tree(tmp_path, names=("s1_a", "s1_b"))
    for folder in ("images", "masks"):
        path = tmp_path / "val" / folder / "s1_a.png"
        path.rename(path.with_name("plain.png"))
    dataset = open_dataset(spec(tmp_path, sequence="^(.*)_"))
    assert [frame.sequence for frame in dataset.frames(Split.VAL)] == [""]


# ---- values and colours


def test_values_name_the_classes(tmp_path):
    tree(tmp_path, value=lambda mask: np.array([0, 4, 255], np.uint8)[mask])
    read = mask_of(tmp_path, values={0: "bg", "4": "x", 255: "y"})
    assert set(np.unique(read).tolist()) == {0, 1, 2}
    merged = mask_of(tmp_path, classes=None, values={0: "bg", 4: "any", 255: "any"})
    assert set(np.unique(merged).tolist()) == {0, 1}
    dropped = mask_of(tmp_path, classes=None, values={0: "bg", 4: "x"}, ignore=[255, 7])
    assert set(np.unique(dropped).tolist()) == {0, 1, IGNORE}
    with pytest.raises(DataError, match="values 255 belong to no class"):
        mask_of(tmp_path, classes=None, values={0: "bg", 4: "x"})


def test_classes_with_their_values_or_colours(tmp_path):
    by_value = spec(tmp_path, classes={"bg": 0, "x": 1, "y": 4})
    assert by_value == spec(tmp_path, values={0: "bg", 1: "x", 4: "y"})
    by_colour = spec(tmp_path, classes={"bg": "#000000", "x": "#800000", "y": "#008000"})
    assert by_colour == spec(tmp_path, colours=COLOURS)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"values": {0: "bg", 1: "x"}}, "`y` has no value"),
        ({"values": {0: "bg", 1: "x", 2: "y", 3: "z"}}, "`z` is not among"),
        ({"values": {0: "bg", -1: "x"}}, "no value of a mask"),
        ({"values": {0: "bg", 1: "x", 2: "y"}, "ignore": [2, 9]}, "is the class `y`"),
        ({"values": {0: "bg", 1: "x", 2: "y"}, "colours": COLOURS}, "both given"),
        ({"colours": {"black": "bg"}}, "no colour"),
        ({"colours": COLOURS, "ignore": 3}, "expected a colour"),
        ({"classes": {"bg": 0, "x": 1}, "values": {0: "bg", 1: "x"}}, "names values already"),
        ({"classes": None}, "required"),
        ({"range": [5, 5]}, "lower value first"),
        ({"bands": [0, 1, 2]}, "greater than or equal to 1"),
        ({"split": {"train": "a", "val": "b"}}, "both given"),
        ({"val": None}, "required"),
        ({"val": {"fraction": 1.0}}, "less than 1"),
        ({"val": {"images": "a", "masks": "b", "list": "c"}}, "split"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, word):
    with pytest.raises(ValidationError, match=word):
        spec("x", **changes)


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_coloured_masks(tmp_path, mode):
    palette = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)

    def coloured(mask):
        if mode != "P":
            return Image.fromarray(palette[mask]).convert(mode)
        indices = Image.fromarray(mask, "L").convert("P")
        indices.putdata(mask.ravel().tolist())
        indices.putpalette(palette.ravel().tolist())
        return indices

    tree(tmp_path, value=coloured)
    plain = tree(tmp_path / "plain")
    np.testing.assert_array_equal(mask_of(tmp_path, colours=COLOURS), mask_of(plain))
    if mode == "RGB":
        with pytest.raises(DataError, match=r"colours: labelmap\.txt"):
            mask_of(tmp_path)


def test_a_label_map_beside_the_data(tmp_path):
    palette = np.array([[0, 0, 0], [224, 224, 192], [0, 128, 0]], np.uint8)
    tree(tmp_path, value=lambda mask: palette[mask])
    (tmp_path / "labelmap.txt").write_text(LABEL_MAP)
    given = {"classes": None, "colours": "labelmap.txt", "ignore": "void"}
    dataset = open_dataset(spec(tmp_path, **given))
    assert dataset.classes == ("bg", "x", "y")
    assert set(np.unique(mask_of(tmp_path, **given)).tolist()) <= {0, 2, IGNORE}
    assert IGNORE in mask_of(tmp_path, **given)
    with pytest.raises(DataError, match="`void` is in the label map"):
        open_dataset(spec(tmp_path, colours="labelmap.txt"))
    (tmp_path / "labelmap.txt").write_text("bg 0 0 0\n")
    with pytest.raises(DataError, match=r"labelmap\.txt:1: expected"):
        open_dataset(spec(tmp_path, **given))


# ---- splits


@pytest.mark.parametrize(
    "form", ["images/{}.png", "{}.png", "{}", "images/{}", "images/{}.png masks/{}.png"]
)
def test_lists_in_any_usual_form(tmp_path, form):
    tree(tmp_path, names=tuple("abcdef"))
    (tmp_path / "masks/f.png").unlink()  # not listed, so it needs no mask
    (tmp_path / "train.txt").write_text("\n".join(form.format(n, n) for n in "abc"))
    (tmp_path / "val.txt").write_text("\n".join(form.format(n, n) for n in "de") + "\n")
    listed = spec(tmp_path, val=None, split={"train": "train.txt", "val": "val.txt"})
    dataset = open_dataset(listed)
    assert ids(dataset) == [f"images/{n}.png" for n in "abc"]
    assert ids(dataset, Split.VAL) == [f"images/{n}.png" for n in "de"]
    (tmp_path / "val.txt").write_text("d\nnone\n")
    assert "1 of 2 names are no image; the first is `none`" in problem(
        open_dataset(listed), Split.VAL
    )
    (tmp_path / "val.txt").write_text("d\na\n")
    assert "in `split.train` too" in problem(open_dataset(listed), Split.VAL)


def test_sequences_that_measure(tmp_path):
    tree(tmp_path, names=("s1_a", "s1_b", "s2_a", "s3_a"))
    some = spec(tmp_path, sequence="^(.*)_", val={"sequences": ["s2"]})
    dataset = open_dataset(some)
    assert ids(dataset, Split.VAL) == ["images/s2_a.png"]
    assert len(ids(dataset)) == 3
    unknown = spec(tmp_path, sequence="^(.*)_", val={"sequences": ["s9"]})
    assert "no sequence `s9`. There are 3, as `s1`" in problem(open_dataset(unknown))


@pytest.mark.parametrize("seed", range(20))
def test_a_fraction_takes_whole_sequences(tmp_path, seed):
    names = tuple(f"s{n % 5}_{n}" for n in range(20))
    tree(tmp_path, names=names)
    dataset = open_dataset(spec(tmp_path, sequence="^(.*)_", val={"fraction": 0.3, "seed": seed}))
    halves = {split: {f.sequence for f in dataset.frames(split)} for split in Split}
    assert not halves[Split.POOL] & halves[Split.VAL]
    assert len(dataset.frames(Split.VAL)) == 8
    again = open_dataset(spec(tmp_path, sequence="^(.*)_", val={"fraction": 0.3, "seed": seed}))
    assert ids(again, Split.VAL) == ids(dataset, Split.VAL)


# ---- image files


def test_deep_grey_images_with_a_range(tmp_path):
    deep = np.array([[0, 1000, 2000, 4000, 5000]] * 2, np.uint16)
    tree(tmp_path)
    save(tmp_path / "images/a.png", deep)
    with pytest.raises(DataError, match=r"range: \[0, 4095\]"):
        open_dataset(spec(tmp_path)).read_image("images/a.png")
    read = open_dataset(spec(tmp_path, range=[1000, 4000])).read_image("images/a.png")
    assert read.shape == (2, 5, 3)
    assert read[0, :, 0].tolist() == [0, 0, 85, 255, 255]
    with pytest.raises(DataError, match="8 bits"):
        open_dataset(spec(tmp_path, range=[0, 9])).read_image("images/b.png")


def test_bands_are_picked(tmp_path):
    tree(tmp_path)
    four = np.random.default_rng(0).integers(0, 255, (4, 6, 4), np.uint8)
    save(tmp_path / "images/a.png", Image.fromarray(four))
    with pytest.raises(DataError, match="4 bands"):
        open_dataset(spec(tmp_path)).read_image("images/a.png")
    picked = open_dataset(spec(tmp_path, bands=[4, 1, 2]))
    np.testing.assert_array_equal(picked.read_image("images/a.png"), four[..., [3, 0, 1]])
    with pytest.raises(DataError, match="it has 3 bands, and `bands` asks for 4"):
        picked.read_image("images/b.png")


def test_the_fourth_band_of_a_tiff_is_seen(tmp_path):
    tree(tmp_path)
    four = np.random.default_rng(0).integers(0, 255, (4, 6, 4), np.uint8)
    path = save(tmp_path / "images/t.tif", Image.fromarray(four, "RGBA").convert("RGBX"))
    with pytest.raises(DataError, match="4 bands"):
        open_dataset(spec(tmp_path)).read_image_file(path)
    read = open_dataset(spec(tmp_path, bands=[3, 2, 1])).read_image_file(path)
    np.testing.assert_array_equal(read, four[..., [2, 1, 0]])


# ---- one's own VOC tree


def test_own_classes_lists_and_names_with_dots(tmp_path):
    rng = np.random.default_rng(0)
    names = ["street_jpg.rf.0a1b", "street_jpg.rf.2c3d", "v.rf.1"]
    for name in names:
        save(tmp_path / f"JPEGImages/{name}.png", rng.integers(0, 255, (4, 6, 3), np.uint8))
        save(tmp_path / f"SegmentationClass/{name}.png", np.full((4, 6, 3), (128, 0, 0), np.uint8))
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "mine.txt").write_text("\n".join(names[:2]))
    (lists / "test.txt").write_text(names[2] + ".png")
    (tmp_path / "labelmap.txt").write_text(LABEL_MAP)
    own = VocSpec.model_validate(
        {
            "name": "v", "kind": "voc", "root": str(tmp_path), "train": "mine", "val": "test",
            "colours": "labelmap.txt", "ignore": ["void"],
        }
    )  # fmt: skip
    dataset = open_dataset(own)
    assert dataset.classes == ("bg", "x", "y")
    assert ids(dataset) == [f"JPEGImages/{name}.png" for name in names[:2]]
    assert ids(dataset, Split.VAL) == [f"JPEGImages/{names[2]}.png"]
    assert dataset.read_mask(ids(dataset)[0]).tolist() == [[1] * 6] * 4
    missing = own.model_copy(update={"val": "none"})
    assert "Lists that are there: mine, test" in problem(open_dataset(missing), Split.VAL)
