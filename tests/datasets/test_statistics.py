from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from factories.official_trees import drawn, ids, opened, save
from typer.testing import CliRunner

from alspec.cli import datasets as commands
from alspec.cli.main import app
from alspec.datasets.base import Split
from alspec.datasets.kinds.toy import Spec, Toy
from alspec.datasets.statistics import survey
from alspec.errors import DataError, InputError


@pytest.fixture
def tree(tmp_path):
    return drawn("cityscapes", tmp_path / "cityscapes")


def surveyed(dataset):
    seen = []
    return survey(dataset, seen.append), seen


def test_counts_sizes_and_shares(tree):
    dataset = opened("cityscapes", tree)
    found, seen = surveyed(dataset)
    assert found.problems == ()
    assert seen == list(range(1, 17))
    assert found.classes == dataset.classes
    facts = found.splits[Split.POOL]
    assert (facts.images, facts.sequences, facts.sizes) == (12, 4, {(24, 40): 12})
    expected = np.zeros(256, int)
    for image in ids(dataset):
        expected += np.bincount(dataset.read_mask(image).ravel(), minlength=256)
    assert facts.pixels.tolist() == [*expected[:19], expected[255]]
    np.testing.assert_allclose(facts.shares, expected[:19] / expected[:19].sum())
    assert facts.ignored == 0


def test_ignored_pixels_are_a_share_of_all(tree):
    masks = sorted((tree / "gtFine/train").rglob("*.png"))
    for path in masks:
        save(path, np.where(np.arange(960).reshape(24, 40) < 240, 0, 26))
    facts = surveyed(opened("cityscapes", tree))[0].splits[Split.POOL]
    assert facts.ignored == 0.25
    assert facts.shares[13] == 1


def test_every_fault_is_found_and_the_rest_is_counted(tree):
    images = sorted((tree / "leftImg8bit/train").rglob("*.png"))
    masks = sorted((tree / "gtFine/train").rglob("*.png"))
    images[0].write_bytes(images[0].read_bytes()[:200])
    masks[1].write_bytes(b"")
    save(masks[2], np.full((24, 40), 40))
    save(masks[3], np.full((12, 40), 7))
    found, _ = surveyed(opened("cityscapes", tree))
    said = {problem.where: problem.what for problem in found.problems}
    assert set(said) == {str(images[0]), *map(str, masks[1:4])}
    assert "truncated" in said[str(images[0])]
    assert "empty" in said[str(masks[1])]
    assert "values 40" in said[str(masks[2])]
    assert "12x40" in said[str(masks[3])]
    assert found.splits[Split.POOL].sizes == {(24, 40): 11}


def test_a_split_that_cannot_be_listed_does_not_hide_the_other(tree):
    next((tree / "gtFine/train").rglob("*.png")).unlink()
    found, _ = surveyed(opened("cityscapes", tree))
    assert list(found.splits) == [Split.VAL]
    assert "no mask" in found.problems[0].what
    shutil.rmtree(tree)
    found, _ = surveyed(opened("a2d2", tree))
    assert found.splits == {}
    assert len(found.problems) == 1


def test_a_kind_without_files():
    found, _ = surveyed(Toy(Spec(name="t", kind="toy", image_size=(8, 16), frames=2)))
    assert found.splits[Split.POOL].images == 12
    assert found.problems == ()


# ---- the commands


@pytest.mark.parametrize("kind", ["cityscapes", "voc", "a2d2"])
def test_made_trees_are_good(tmp_path, kind):
    place = str(tmp_path / "made")
    size = ["--images", "12", "--height", "24", "--width", "40", "--seed", "5"]
    made = CliRunner().invoke(app, ["datasets", "make", kind, place, *size])
    assert made.exit_code == 0
    assert "16 images rendered, 12 to label" in made.output
    checked = CliRunner().invoke(app, ["datasets", "check", kind, place])
    assert checked.exit_code == 0
    assert f"{kind}: good" in checked.output
    assert "%" in checked.output


def test_a_spec_is_checked_with_its_places(tree, tmp_path):
    spec = tmp_path / "study.yaml"
    dataset = {"name": "mini", "kind": "cityscapes", "root": str(tree), "image_size": [24, 40]}
    study = {"study": "s", "datasets": [dataset], "budgets": ["10-10"], "methods": ["random"]}
    spec.write_text(yaml.safe_dump(study))
    commands.check(str(spec), None, ())
    shutil.rmtree(tree)
    with pytest.raises(DataError) as caught:
        commands.check(str(spec), None, ())
    assert str(caught.value).startswith(f"{spec}:")
    assert str(tree) in str(caught.value)


def test_problems_are_told_after_the_table(tree, capsys):
    masks = sorted((tree / "gtFine/train").rglob("*.png"))
    masks[0].write_bytes(b"")
    with pytest.raises(DataError, match="is empty or not an image"):
        commands.check("cityscapes", tree, ())
    assert "vegetation" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "word"), [("folder", "classes"), ("nothing", "nothing")])
def test_kinds_that_a_root_does_not_describe(tmp_path, kind, word):
    with pytest.raises(InputError, match=word):
        commands.check(kind, tmp_path, ())
