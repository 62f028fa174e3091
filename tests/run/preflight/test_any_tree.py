"""Random trees and random specs for them: accepted and sound, or refused in words."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from alspec.datasets.base import IGNORE, Split
from alspec.datasets.kinds.folder import Spec
from alspec.datasets.open import open_dataset
from alspec.errors import DataError
from alspec.run.preflight.data import check_data

NAMES = ("road", "car", "sky")
CODES = (0, 1, 2, 4, 7, 254, 255)


def pick(rng, *options):
    return options[int(rng.integers(len(options)))]


def coloured(value):
    return (value * 31 % 256, value * 77 % 256, value)


def save_image(rng, path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "deep":
        Image.fromarray(rng.integers(0, 4096, (6, 8)).astype(np.uint16)).save(path)
    else:
        bands = {"grey": (), "rgb": (3,), "four": (4,)}[kind]
        Image.fromarray(rng.integers(0, 255, (6, 8, *bands), np.uint8)).save(path)


def save_mask(path, values, colours):
    path.parent.mkdir(parents=True, exist_ok=True)
    if colours:
        table = np.array([coloured(value) for value in range(256)], np.uint8)
        Image.fromarray(table[values]).save(path)
    else:
        Image.fromarray(values).save(path)


class RandomTree:
    """A tree on disk, a spec that may or may not fit it, and what each image's mask means."""

    def __init__(self, root, seed):
        rng = self.rng = np.random.default_rng(seed)
        self.root, self.colours = root, bool(rng.random() < 0.3)
        self.codes = rng.permutation(CODES)[: rng.integers(2, 5)].tolist()
        if rng.random() < 0.5:
            self.codes = [0, 1, 2, 255]
        self.kind = pick(rng, "rgb", "rgb", "grey", "four", "deep")
        self.end = pick(rng, "", "", "_mask")
        self.masks = {}
        self.split = pick(rng, "folders", "lists", "fraction", "sequences")
        halves = [("", 6), ("val/", 3)] if self.split == "folders" else [("", 9)]
        suffix = pick(rng, ".png", ".bmp", ".tif", *([] if self.colours else [".gif"]))
        for folder, count in halves:
            for number in range(count):
                self.put(folder, f"s{number % 3}_é{number}", suffix)

    def put(self, folder, name, suffix):
        rng = self.rng
        some = rng.permutation(self.codes)[: rng.integers(1, len(self.codes) + 1)]
        values = rng.choice(some, (6, 8)).astype(np.uint8)
        form = pick(rng, "NFC", "NFD")
        image = f"{folder}images/{unicodedata.normalize(form, name)}.png"
        save_image(rng, self.root / image, self.kind)
        save_mask(self.root / f"{folder}masks/{name}{self.end}{suffix}", values, self.colours)
        self.masks[image] = values

    def spec(self):
        rng = self.rng
        given = {
            "name": "d", "kind": "folder", "root": str(self.root), "image_size": [8, 8],
            "images": "images", "masks": "masks",
        }  # fmt: skip
        given |= self.labels() | self.halves()
        if self.end and rng.random() < 0.9:
            given["mask_name"] = "{stem}_mask"
        if self.kind == "four" and rng.random() < 0.9:
            given["bands"] = [4, 1, 2]
        if self.kind == "deep" and rng.random() < 0.9:
            given["range"] = [0, 4095]
        if rng.random() < 0.3:
            given["absent"] = [pick(rng, *NAMES)]
        if rng.random() < 0.3:
            given["ignored_share"] = float(rng.random())
        return given

    def labels(self):
        rng = self.rng
        named = {code: pick(rng, *NAMES) for code in self.codes if rng.random() < 0.85}
        ignored = [code for code in self.codes if code not in named and rng.random() < 0.9]
        if self.colours:
            found = {"colours": {self.hexed(code): name for code, name in named.items()}}
            return found | ({"ignore": [self.hexed(c) for c in ignored]} if ignored else {})
        if rng.random() < 0.5:
            return {"classes": list(NAMES)} | ({"ignore": ignored[0]} if ignored else {})
        return {"values": named} | ({"ignore": ignored} if ignored else {})

    def hexed(self, code):
        return "#" + bytes(coloured(code)).hex()

    def halves(self):
        if self.split == "folders":
            return {"val": {"images": "val/images", "masks": "val/masks"}}
        if self.split == "fraction":
            return {"val": {"fraction": 0.3, "seed": 1}}
        if self.split == "sequences":
            return {"val": {"sequences": ["s1"]}, "sequence": "^(s.)_"}
        names = [f"s{number % 3}_é{number}" for number in range(9)]
        cut = int(self.rng.integers(1, 9))
        for half, some in (("train", names[:cut]), ("val", names[cut:])):
            (self.root / f"{half}.txt").write_text("\n".join(some))
        return {"split": {"train": "train.txt", "val": "val.txt"}}

    def class_of(self, spec, code):
        """What a value of a mask means, by the spec alone; None for nothing."""
        if spec.colours:
            return spec.colours.get(self.hexed(code))
        if spec.values:
            return spec.values.get(code)
        ignored = code == IGNORE or code == spec.ignore
        return None if ignored else spec.classes[code]


@pytest.mark.parametrize("seed", range(250))
def test_what_is_accepted_has_every_class_and_means_what_the_spec_says(tmp_path, seed):
    tree = RandomTree(tmp_path / "tree", seed)
    try:
        spec = Spec.model_validate(tree.spec())
        check_data([spec], lambda *_: None)
    except (ValidationError, DataError) as refused:
        assert str(refused)  # noqa: PT017 - either may come, from either line
        return
    dataset = open_dataset(spec)
    ids = {split: [frame.id for frame in dataset.frames(split)] for split in Split}
    assert not set(ids[Split.POOL]) & set(ids[Split.VAL])
    for images in ids.values():
        seen = set()
        for image in images:
            assert dataset.read_image(image).shape == (6, 8, 3)
            read = dataset.read_mask(image)
            for code in np.unique(tree.masks[image]).tolist():
                name = tree.class_of(spec, code)
                number = IGNORE if name is None else dataset.classes.index(name)
                assert (read[tree.masks[image] == code] == number).all()
                seen.add(name)
        assert set(dataset.classes) - set(spec.absent) <= seen


def test_enough_of_them_are_accepted(tmp_path):
    accepted = 0
    for seed in range(250):
        try:
            check_data([Spec.model_validate(RandomTree(tmp_path / str(seed), seed).spec())], print)
        except (ValidationError, DataError):
            continue
        accepted += 1
    assert accepted >= 20
