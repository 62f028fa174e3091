from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from factories.official_trees import SMALL, drawn, ids, opened

from alspec.datasets import miniature
from alspec.datasets.base import Split
from alspec.datasets.miniature import make
from alspec.errors import InputError

KINDS = ("cityscapes", "voc", "a2d2")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_counts_sizes_and_seed(tmp_path, kind):
    assert make(kind, tmp_path / "a", SMALL) == 16
    make(kind, tmp_path / "deep/er/b", SMALL)
    make(kind, tmp_path / "c", replace(SMALL, seed=4))
    assert contents(tmp_path / "a") == contents(tmp_path / "deep/er/b") != contents(tmp_path / "c")
    dataset = opened(kind, tmp_path / "a")
    assert len(ids(dataset)) == 12
    assert len(ids(dataset, Split.VAL)) == 4
    assert not any(dataset.check())
    if kind != "voc":
        assert dataset.read_image(ids(dataset)[0]).shape == (24, 40, 3)
        assert len({frame.sequence for frame in dataset.frames(Split.POOL)}) == 4
    pixels = {
        dataset.read_image(image).tobytes() for split in Split for image in ids(dataset, split)
    }
    assert len(pixels) == 16


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_images(tmp_path, kind):
    assert make(kind, tmp_path / "a", replace(SMALL, images=14)) == 18
    assert len(ids(opened(kind, tmp_path / "a"))) == 14


def test_a_folder_that_is_not_empty_stays_as_it_is(tmp_path):
    (tmp_path / "empty").mkdir()
    assert drawn("voc", tmp_path / "empty")
    before = contents(tmp_path)
    for place in (tmp_path / "empty", tmp_path / "empty/VOCdevkit"):
        with pytest.raises(InputError, match="not empty"):
            make("a2d2", place, SMALL)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        make("a2d2", tmp_path / "file", SMALL)
    assert contents(tmp_path) == {**before, "file": b"mine"}


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    saved = []

    def breaks(path, image):
        saved.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        if len(saved) == 5:
            raise OSError(28, os.strerror(28))
        return path

    monkeypatch.setattr(miniature, "_save", breaks)
    with pytest.raises(InputError, match="No space left"):
        make("cityscapes", tmp_path / "new", SMALL)
    assert len(saved) == 5
    assert list(tmp_path.iterdir()) == []


def test_other_kinds_and_too_few_images(tmp_path):
    with pytest.raises(InputError, match="cityscapes, voc, a2d2"):
        make("toy", tmp_path / "a", SMALL)
    with pytest.raises(InputError, match="at least 12"):
        make("voc", tmp_path / "a", replace(SMALL, images=11))
    assert list(tmp_path.iterdir()) == []
