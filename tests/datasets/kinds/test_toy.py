from __future__ import annotations

import hashlib

import numpy as np
import pytest
from pydantic import ValidationError

from alspec.datasets.base import Dataset, Split
from alspec.datasets.kinds.toy import Spec, Toy
from alspec.datasets.open import open_dataset
from alspec.errors import DataError

CITYSCAPES = (
    "road sidewalk building wall fence pole traffic_light traffic_sign vegetation terrain sky "
    "person rider car truck bus train motorcycle bicycle"
)


def toy(**changes):
    return Toy(Spec(**{"name": "toy", "kind": "toy", "image_size": (64, 128), **changes}))


def test_classes_are_cityscapes_in_train_id_order():
    assert toy().classes == tuple(name.replace("_", " ") for name in CITYSCAPES.split())


def test_chosen_classes_have_labels_and_other_pixels_are_ignored():
    whole, some = toy(), toy(classes=("sky", "traffic light", "road"))
    assert some.classes == ("sky", "traffic light", "road")
    for name in ("pool/seq00/000003", "val/seq01/000000"):
        mask, fewer = whole.read_mask(name), some.read_mask(name)
        expected = np.full_like(mask, 255)
        for place, label in enumerate((10, 6, 0)):
            expected[mask == label] = place
        np.testing.assert_array_equal(fewer, expected)
        np.testing.assert_array_equal(whole.read_image(name), some.read_image(name))
    for split in Split:
        assert whole.fingerprint(split) != some.fingerprint(split)
    with pytest.raises(ValidationError, match="Did you mean `road`"):
        toy(classes=("sky", "rod"))


def test_frames_come_in_time_order():
    dataset: Dataset = open_dataset(toy(sequences=3, frames=4).spec)
    frames = dataset.frames(Split.POOL)
    assert len(frames) == 12
    assert frames[0].id == "pool/seq00/000000"
    assert frames[7].id == "pool/seq01/000003"
    assert frames[7].sequence == "pool/seq01"
    assert [f.id for f in frames] == sorted(f.id for f in frames)
    val = toy(val_sequences=1, val_frames=2).frames(Split.VAL)
    assert [f.id for f in val] == ["val/seq00/000000", "val/seq00/000001"]


def test_root_and_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="root"):
        Spec(name="t", kind="toy", image_size=(64, 64), root="/data")
    with pytest.raises(ValidationError, match="sequnces"):
        Spec(name="t", kind="toy", image_size=(64, 64), sequnces=3)


@pytest.mark.parametrize("size", [(64, 128), (50, 30), (8, 8), (97, 203)])
def test_any_size(size):
    dataset = toy(image_size=size)
    image, mask = (read("pool/seq01/000005") for read in (dataset.read_image, dataset.read_mask))
    assert image.shape == (*size, 3)
    assert mask.shape == size
    assert image.dtype == mask.dtype == np.uint8
    assert mask.max() <= 18
    assert image.flags.writeable
    assert mask.flags.writeable


def test_a_frame_is_a_function_of_its_name_and_the_seed():
    forwards, backwards = toy(), toy(frames=90, sequences=9)
    names = ["pool/seq02/000031", "pool/seq00/000000", "val/seq01/000011"]
    first = [forwards.read_image(name) for name in names]
    np.random.seed(3)  # noqa: NPY002 - the global state must not matter
    again = [backwards.read_image(name) for name in reversed(names)][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], toy(seed=1).read_image(names[0]))
    pool, val = (forwards.read_mask(f"{split}/seq00/000000") for split in ("pool", "val"))
    assert not np.array_equal(pool, val)


def test_golden_frame():
    """Another picture for the same spec needs another GENERATOR version."""
    mask = toy().read_mask("pool/seq02/000010")
    assert hashlib.sha256(mask.tobytes()).hexdigest()[:16] == GOLDEN_MASK


GOLDEN_MASK = "a994cd1ac2230fec"


def agreement(dataset, one, other):
    return float((dataset.read_mask(one) == dataset.read_mask(other)).mean())


def test_neighbours_overlap_and_sequences_do_not():
    dataset = toy()
    near = [
        agreement(dataset, f"pool/seq0{s}/{f:06d}", f"pool/seq0{s}/{f + 1:06d}")
        for s in range(6)
        for f in (0, 19, 38)
    ]
    across = [
        agreement(dataset, f"pool/seq0{a}/000010", f"pool/seq0{b}/000010")
        for a in range(6)
        for b in range(a)
    ]
    assert min(near) > 0.88
    assert np.mean(near) > 0.93
    assert max(across) < min(near)
    assert np.mean(across) < 0.8


def pixels_by_class(dataset, split):
    counts = {}
    for frame in dataset.frames(split)[::4]:
        found = np.bincount(dataset.read_mask(frame.id).ravel(), minlength=19)
        counts[frame.sequence] = counts.get(frame.sequence, 0) + found
    return np.stack(list(counts.values()))


@pytest.mark.parametrize("seed", range(4))
def test_every_class_is_in_both_splits_and_rare_ones_in_some_sequences(seed):
    dataset = toy(seed=seed)
    pool, val = (pixels_by_class(dataset, split) for split in Split)
    assert (pool.sum(0) > 0).all()
    assert (val.sum(0) > 0).all()
    present = (pool > 0).sum(0)
    for one, other in (("truck", "bus"), ("wall", "fence"), ("traffic light", "rider")):
        shares = present[dataset.classes.index(one)], present[dataset.classes.index(other)]
        assert min(shares) >= 1
        assert sum(shares) <= len(pool)
    assert present[dataset.classes.index("road")] == len(pool)


def test_classes_can_be_told_from_colour_and_place():
    """A nearest-mean classifier on colour and row beats the commonest class, and is not perfect."""
    dataset = toy()

    def samples(split):
        found = [
            (dataset.read_image(f.id)[::2, ::2], dataset.read_mask(f.id)[::2, ::2])
            for f in dataset.frames(split)[::8]
        ]
        rows = np.broadcast_to(np.arange(32)[:, None] * 8.0, (32, 64))
        x = np.concatenate([np.dstack([image, rows]).reshape(-1, 4) for image, _ in found])
        return x.astype(float), np.concatenate([mask.ravel() for _, mask in found])

    x, y = samples(Split.POOL)
    means = np.stack([x[y == c].mean(0) if (y == c).any() else np.full(4, 1e6) for c in range(19)])
    x, y = samples(Split.VAL)
    right = (((x[:, None] - means) ** 2).sum(2).argmin(1) == y).mean()
    commonest = np.bincount(y).max() / len(y)
    assert commonest + 0.05 < right < 0.95


def test_fingerprints_follow_what_is_drawn():
    base = toy()
    same = toy(name="other", redundancy={"kind": "every", "n": 2})
    assert base.fingerprint(Split.POOL) == same.fingerprint(Split.POOL)
    assert len(base.fingerprint(Split.POOL)) == 64
    others = [
        toy(**change).fingerprint(Split.POOL)
        for change in ({"seed": 1}, {"frames": 41}, {"sequences": 7}, {"image_size": (64, 64)})
    ]
    assert len({base.fingerprint(Split.POOL), base.fingerprint(Split.VAL), *others}) == 6
    assert toy(val_frames=3).fingerprint(Split.POOL) == base.fingerprint(Split.POOL)


@pytest.mark.parametrize(
    "name", ["pool/seq06/000000", "pool/seq00/000040", "val/seq02/000000", "x", "pool/seq0/1", ""]
)
def test_unknown_images_are_data_errors(name):
    with pytest.raises(DataError, match="no image"):
        toy().read_image(name)


def test_check_finds_nothing_and_draws_nothing(monkeypatch):
    dataset = toy(frames=1000)
    monkeypatch.setattr(dataset, "read_image", None)
    assert list(dataset.check()) == [()] * (6 * 1000 + 2 * 20)
