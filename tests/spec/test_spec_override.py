"""`--set`: what overrides change, and where their mistakes are reported."""

from pathlib import Path

import pytest

from alspec.errors import SpecError
from alspec.spec.load import load_study

FULL = Path(__file__).parent / "full.yaml"


def test_overrides_are_typed_by_yaml_and_win_in_order():
    study = load_study(
        FULL,
        [
            "training.epochs=7",
            "training.epochs=8",
            "training.lr=1e-4",
            "datasets.0.redundancy={kind: every, n: 2}",
            "datasets.0.redundancy.n=3",
            "seeds=[5]",
            "pretrained=",
            "study=no",
        ],
    )
    assert (study.training.epochs, study.training.lr) == (8, 1e-4)
    assert study.training.batch_size == 4
    assert study.datasets[0].redundancy.n == 3
    assert (study.seeds, study.study, study.pretrained) == ((5,), "no", None)


def test_star_is_every_item():
    study = load_study(FULL, ["datasets.*.image_size=[16, 32]", "datasets.0.image_size=[8, 8]"])
    assert [dataset.image_size for dataset in study.datasets] == [(8, 8), (16, 32)]


def test_items_do_not_share_a_starred_value():
    star = "datasets.*.redundancy={kind: every, n: 2}"
    study = load_study(FULL, [star, "datasets.0.redundancy.n=3"])
    assert [dataset.redundancy.n for dataset in study.datasets] == [3, 2]


def test_sections_that_the_file_lacks_are_made(tmp_path):
    path = tmp_path / "spec.yaml"
    text = FULL.read_text()
    path.write_text(text[: text.index("training:")] + "s4gan:\n")
    study = load_study(path, ["training.crop=[16, 16]", "s4gan.threshold=0.5"])
    assert (study.training.crop, study.s4gan.threshold) == ((16, 16), 0.5)


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("training.epohs=1", "training.epohs: unknown key. Did you mean `epochs`?"),
        ("trainin.epochs=1", "trainin: unknown key. Did you mean `training`?"),
        ("training.epochs=1.5", "training.epochs: expected a whole number, got 1.5"),
        ("training.epochs=yes", "training.epochs: expected a whole number, got the text `yes`"),
        ("model=wrn38", "Did you mean `deeplabv3plus_wrn38`?"),
        ("datasets.1.val.mask=x", "datasets.1.val.mask: unknown key. Did you mean `masks`?"),
        ("datasets.9.root=x", "`datasets` is a list; name an item, 0 to 1, or `*` for all"),
        ("datasets.root=x", "`datasets` is a list"),
        ("methods.0.passes=3", "`methods.0` is `random`, without keys of its own"),
        ("seeds=[1", "not valid YAML"),
        ("seeds=!x [1]", "the tag `!x` is not allowed"),
        ("study=${HOME}", "is allowed in paths only"),
        ("pretrained=${NOT_SET_ANYWHERE}", "`NOT_SET_ANYWHERE` is not set"),
        ("datasets.0.redundancy={n: 2}", "datasets.0.redundancy: the key `kind` is missing"),
        ("training", "write `--set key.key=value`"),
        ("=1", "write `--set key.key=value`"),
        ("training..lr=1", "write `--set key.key=value`"),
    ],
)
def test_mistakes_point_at_the_argument(override, what):
    with pytest.raises(SpecError) as caught:
        load_study(FULL, [override])
    (problem,) = caught.value.problems
    assert problem.where == f"--set {override}"
    assert what in problem.what
    assert not problem.excerpt


def test_mistakes_of_file_and_arguments_come_together(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(FULL.read_text().replace("keep: last", "keep: lst"))
    with pytest.raises(SpecError) as caught:
        load_study(path, ["training.lr=-1", "nonsense"])
    assert sorted(problem.where.split(":")[0] for problem in caught.value.problems) == sorted(
        ["--set training.lr=-1", "--set nonsense", str(path)]
    )
