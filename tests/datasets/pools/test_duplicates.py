from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from alspec.datasets.base import Frame, ImageId, Split
from alspec.datasets.kinds.toy import Spec, Toy
from alspec.datasets.open import open_dataset, pixels_identity
from alspec.datasets.pools.construction import build_pool, candidates, short_name
from alspec.datasets.pools.duplicates import Augmented, Change, duplicates_of, original_of
from alspec.datasets.pools.redundancy import measured_redundancy
from alspec.errors import DataError
from alspec.spec.model import AugmentedFrames

ID = "pool/seq01/000005"


def spec(**changes):
    redundancy = {"kind": "augmented", "size": 24, "duplicates": 3, **changes}
    return Spec(name="toy", kind="toy", image_size=(64, 128), redundancy=redundancy)


def change(**changes):
    same = {"side": 1.0, "place": (0, 0), "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0}
    return Change(**{**same, **changes})


def noise(height=32, width=48):
    return np.random.default_rng(0).integers(40, 200, (height, width, 3), np.uint8)


def test_each_frame_is_followed_by_its_duplicates():
    dataset = open_dataset(spec())
    frames = dataset.frames(Split.POOL)
    assert frames == Toy(spec()).frames(Split.POOL)
    pool = build_pool(dataset.spec.redundancy, frames).frames
    assert len(set(pool)) == 24
    for start in range(0, 24, 4):
        original, *duplicates = pool[start : start + 4]
        assert original in frames
        assert [frame.id for frame in duplicates] == [f"{original.id}#{n}" for n in (1, 2, 3)]
        assert {frame.sequence for frame in duplicates} == {original.sequence}
    originals = pool[::4]
    assert list(originals) == [frame for frame in frames if frame in set(originals)]
    assert candidates(pool, 1) == pool


def test_pools_follow_the_seed():
    frames = Toy(spec()).frames(Split.POOL)
    pools = [build_pool(spec(seed=seed).redundancy, frames) for seed in (0, 0, 1)]
    assert pools[0] == pools[1] != pools[2]


def test_names_of_duplicates():
    frame = Frame(ImageId("a/b.png"), "a")
    assert [d.id for d in duplicates_of(frame, 2)] == ["a/b.png#1", "a/b.png#2"]
    assert original_of(ImageId("a/b.png#12")) == ("a/b.png", 12)
    for name in ("a/b.png", "a#b.png", "a#0", "#1", "a#01"):
        assert original_of(ImageId(name)) is None
    assert short_name(spec(size=2640, duplicates=5).redundancy) == "aug-440x6"


def test_sizes_that_do_not_divide_or_fit():
    with pytest.raises(ValidationError, match=r"multiple of 4 .*nearest sizes: 20 and 24"):
        spec(size=23)
    with pytest.raises(ValidationError, match="crop_area"):
        spec(crop_area=1.2)
    frames = Toy(spec()).frames(Split.POOL)[:5]
    with pytest.raises(DataError, match=r"need 6 frames, but there are 5\. Use size 20") as caught:
        build_pool(spec().redundancy, frames)
    assert caught.value.problems[0].loc == ("redundancy", "size")


def test_ids_that_look_like_duplicates_are_refused():
    frames = [Frame(ImageId(f"x#{n}"), "") for n in range(10)]
    with pytest.raises(DataError, match="`x#1` reads as a duplicate"):
        build_pool(spec().redundancy, frames)


def test_a_duplicate_is_a_function_of_seed_frame_and_number():
    one, other = open_dataset(spec()), open_dataset(spec(size=8))
    assert isinstance(one, Augmented)
    np.testing.assert_array_equal(one.read_image(f"{ID}#2"), other.read_image(f"{ID}#2"))
    np.testing.assert_array_equal(one.read_mask(f"{ID}#2"), other.read_mask(f"{ID}#2"))
    different = [
        one.read_image(f"{ID}#1"),
        one.read_image(f"{ID}#2"),
        open_dataset(spec(seed=1)).read_image(f"{ID}#2"),
        open_dataset(spec(crop_area=0.5)).read_image(f"{ID}#2"),
        Toy(spec()).read_image(ID),
    ]
    assert len({image.tobytes() for image in different}) == 5
    np.testing.assert_array_equal(one.read_image(ID), different[-1])
    val = one.frames(Split.VAL)[0].id
    np.testing.assert_array_equal(one.read_mask(val), Toy(spec()).read_mask(val))


def test_golden_change():
    """Another draw for the same spec needs another GENERATOR version."""
    redundancy = AugmentedFrames(kind="augmented", size=6, duplicates=5, seed=0)
    drawn = Change.sample(redundancy, ImageId("a/000001.png"), 3)
    found = (
        drawn.side,
        *drawn.place,
        drawn.brightness,
        drawn.contrast,
        drawn.saturation,
        drawn.hue,
    )
    assert [round(value, 6) for value in found] == GOLDEN


GOLDEN = [0.921954, 0.029885, 0.492176, 0.925382, 1.133712, 0.903175, 0.045474]


def test_draws_stay_in_their_ranges_and_fill_them():
    redundancy = spec().redundancy
    drawn = [Change.sample(redundancy, ImageId(f"f{n}"), 1) for n in range(400)]
    for name, low, high in (
        ("brightness", 0.8, 1.2), ("contrast", 0.8, 1.2), ("saturation", 0.8, 1.2),
        ("hue", -0.05, 0.05),
    ):  # fmt: skip
        values = np.array([getattr(change, name) for change in drawn])
        assert values.min() >= low
        assert values.max() <= high
        assert values.std() == pytest.approx((high - low) / 12**0.5, rel=0.1)
    assert {round(change.side**2, 9) for change in drawn} == {0.85}


def test_the_crop_is_85_percent_of_the_area_and_masks_show_the_same_place():
    mask = np.arange(100, dtype=np.uint8)[:, None].repeat(100, 1)
    drawn = change(side=0.85**0.5, place=(1.0, 0.0))
    rows = np.unique(drawn.mask(mask))
    assert (rows.min(), rows.max()) == (8, 99)
    assert (len(rows) / 100) ** 2 == pytest.approx(0.85, abs=0.01)
    image = np.repeat(mask[..., None], 3, axis=2)
    shown = drawn.image(image)
    assert shown.shape == image.shape
    assert np.abs(shown[..., 0].astype(int) - drawn.mask(mask)).max() <= 1


def test_no_change_changes_nothing():
    image = noise()
    assert np.abs(change().image(image).astype(int) - image).max() <= 1
    mask = image[..., 0]
    np.testing.assert_array_equal(change().mask(mask), mask)


def grey(image):
    return image.astype(float) @ (0.299, 0.587, 0.114)


def test_each_colour_change_does_what_its_name_says():
    image = noise()
    brighter = change(brightness=1.2).image(image)
    np.testing.assert_allclose(brighter, np.minimum(1.2 * image, 255), atol=1)
    flatter = change(contrast=0.8).image(image)
    mean = grey(image).mean()
    np.testing.assert_allclose(flatter, mean + 0.8 * (image - mean), atol=1)
    paler = change(saturation=0.8).image(image)
    level = grey(image)[..., None]
    np.testing.assert_allclose(paler, level + 0.8 * (image - level), atol=1.5)
    turned = change(hue=0.05).image(image)
    np.testing.assert_allclose(grey(turned), grey(image), atol=2)
    assert np.abs(turned.astype(int) - image).mean() > 3


def test_masks_get_no_new_value():
    dataset = open_dataset(spec())
    plain = set(np.unique(dataset.read_mask(ID)))
    for number in (1, 2, 3):
        mask = dataset.read_mask(f"{ID}#{number}")
        assert mask.shape == (64, 128)
        assert set(np.unique(mask)) <= plain


def test_unknown_duplicates_are_data_errors():
    dataset = open_dataset(spec())
    with pytest.raises(DataError, match="each frame has 3 duplicates"):
        dataset.read_image(f"{ID}#4")
    with pytest.raises(DataError, match="no image"):
        dataset.read_mask("nothing#1")


def test_identities():
    plain = Toy(spec())
    dataset = open_dataset(spec())
    assert dataset.fingerprint(Split.VAL) == plain.fingerprint(Split.VAL)
    assert dataset.fingerprint(Split.POOL) != plain.fingerprint(Split.POOL)
    assert dataset.classes == plain.classes
    assert list(dataset.check()) == list(plain.check())
    every = Spec(name="t", kind="toy", image_size=(64, 128), redundancy={"kind": "every", "n": 2})
    whole = Spec(name="u", kind="toy", image_size=(64, 128))
    assert pixels_identity(every) == pixels_identity(whole) != pixels_identity(spec())
    assert pixels_identity(spec()) != pixels_identity(spec(seed=1))


def test_duplicates_are_near_copies():
    dataset = open_dataset(spec(size=36, duplicates=5))
    pool = build_pool(dataset.spec.redundancy, dataset.frames(Split.POOL)).frames
    assert measured_redundancy(dataset, pool).level == "high"
