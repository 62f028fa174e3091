"""Good specs: what they become, paths, dump and reload, problems found later."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from alspec import plugins
from alspec.errors import Problem, SpecError
from alspec.spec.fields import Frozen, Template
from alspec.spec.load import dump_study, load_study, located
from alspec.spec.model import DatasetSpec, OptionalPath, PathText, Study

FULL = Path(__file__).parent / "full.yaml"
SMALL = """\
study: small
datasets:
  - {name: video, kind: toy, image_size: [32, 64]}
budgets: [10-10]
methods: [random]
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str, *overrides: str) -> Study:
        path = tmp_path / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        return load_study(path, overrides)

    return load


def test_the_paper_is_the_default(load):
    study = load(SMALL)
    assert (study.training.epochs, study.training.batch_size, study.training.lr) == (100, 8, 0.001)
    assert (study.ssl, study.seeds, study.baselines) == ((False, True), (0, 1, 2), ("full",))
    assert (study.s4gan.threshold, study.model) == (0.6, "deeplabv3plus_wrn38")
    assert study.budgets[0].labelled_images(200) == (20, 40, 60, 80, 100)
    assert study.pretrained is None


def test_full_example_is_read_as_written():
    study = load_study(FULL)
    assert [dataset.kind for dataset in study.datasets] == ["toy", "folder"]
    assert study.datasets[0].redundancy.model_dump() == {
        "kind": "frames",
        "size": 44,
        "consecutive": 10,
        "seed": 1,
    }
    assert study.budgets[1].labelled_images(100) == (4, 6, 8)
    assert [method.label for method in study.methods] == ["random", "sparse", "bald"]
    assert study.methods[2].params == {"passes": 20}
    assert study.methods[1].candidates is not None
    assert study.training.lr == 1e-3
    assert study.training.scale == (0.5, 2.0)


@pytest.mark.parametrize("text", ["2-2", "2.5-2.5", "10-10", "'20-20'", "1-1", "99-0.25"])
def test_percent_budgets(load, text):
    first, step = (float(part) for part in text.strip("'").split("-"))
    budget = load(SMALL.replace("10-10", text)).budgets[0]
    assert (budget.initial, budget.step, budget.cycles) == (first, step, 5)


def test_ssl_may_be_one_value(load):
    assert load(SMALL + "ssl: true\n").ssl == (True,)


# ---- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("${HERE}/a", "/data/a"),
        ("x${HERE}y${HERE}", "x/datay/data"),
        ("${UNSET:-other}/a", "other/a"),
        ("${EMPTY:-other}", "other"),
        ("${HERE:-other}", "/data"),
        ("~/a", "/home/ada/a"),
        ("plain $HERE", "plain $HERE"),
        ("${EMPTY}", None),
        ("${UNSET:-}", None),
        ("''", None),
    ],
)
def test_variables_in_paths(load, monkeypatch, written, expanded):
    monkeypatch.setenv("HERE", "/data")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("UNSET", raising=False)
    assert load(SMALL + f"pretrained: {written}\n").pretrained == expanded


def test_variables_in_every_path_of_the_spec(load, monkeypatch):
    monkeypatch.setenv("HERE", "/data")
    text = FULL.read_text().replace("my.py", "${HERE}/my.py")
    frames = "{kind: frames, size: 44, consecutive: 10, seed: 1}"
    text = text.replace(frames, "{kind: list, path: '${HERE}/list.txt'}")
    study = load(text.replace("${ALSPEC_TEST_ROOT:-data}", "${HERE}"))
    assert study.model.config == "/data/my.py"
    assert study.datasets[0].redundancy.path == "/data/list.txt"
    assert study.datasets[1].root == "/data/camvid"


class PluginSpec(DatasetSpec):
    annotations: PathText
    extra: OptionalPath = None
    title: str = "none"
    anything: Any = Field(default=None)


def test_declared_type_decides_in_plugins(load, monkeypatch):
    monkeypatch.setenv("HERE", "/data")
    monkeypatch.setattr(plugins, "load", lambda group, name: _Plugin)
    text = SMALL.replace("kind: toy", "kind: mine, annotations: '${HERE}/a', extra: '${HERE}'")
    study = load(text)
    assert study.datasets[0].annotations == "/data/a"
    assert study.datasets[0].extra == "/data"
    for key in ("title", "anything"):
        with pytest.raises(SpecError, match="is allowed in paths only"):
            load(text.replace("extra:", f"{key}:"))


class _Plugin:
    Spec = PluginSpec
    Params = Frozen


def test_a_plugin_whose_validation_breaks_is_named(load, monkeypatch):
    class Broken(DatasetSpec):
        def model_post_init(self, context: Any, /) -> None:
            raise TypeError("oops")

    monkeypatch.setattr(plugins, "load", lambda group, name: type("P", (), {"Spec": Broken}))
    with pytest.raises(SpecError, match=r"datasets\.0\.kind: .*Broken broke: TypeError: oops"):
        load(SMALL)
    monkeypatch.setattr(plugins, "load", lambda group, name: object())
    with pytest.raises(SpecError, match="has no pydantic model named `Spec`"):
        load(SMALL)


def test_template_looks_names_up_where_it_is_told():
    assert Template("${A}/${B:-b}").expand({"A": "a"}) == "a/b"


# ---- dump -------------------------------------------------------------------------------------


def test_dump_reads_back_equal(load):
    study = load_study(FULL)
    text = dump_study(study)
    assert "passes: 20" in text
    assert "params" not in text
    again = load(text)
    assert again == study
    assert dump_study(again) == text


awkward = st.sampled_from(["1e3", "010", "0x1F", "1", "5.", "7e-2", "12-30", "null", "No", "true"])


def with_rate(training, lr):
    """A learning rate where the spec has it: of the paper's SGD, or of the optimizer named."""
    if training.optimizer is None:
        return {"lr": lr}
    return {"lr": lr, "optimizer": training.optimizer.model_copy(update={"lr": lr})}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=awkward | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._+-]{0,20}\Z"),
    root=st.none()
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(lambda t: "./" + t),
    lr=st.floats(1e-300, 1e300),
)
def test_dump_of_any_text_and_number_reads_back_equal(tmp_path_factory, name, root, lr):
    if root is not None and "${" in root:
        return
    study = load_study(FULL)
    study = study.model_copy(
        update={
            "study": name,
            "pretrained": root,
            "training": study.training.model_copy(update=with_rate(study.training, lr)),
        }
    )
    path = tmp_path_factory.mktemp("dump") / "spec.yaml"
    path.write_text(dump_study(study), encoding="utf-8")
    assert load_study(path) == study


def test_a_dumped_study_validates_as_data():
    study = load_study(FULL)
    assert Study.model_validate(study.model_dump(mode="json")) == study


# ---- problems found later ---------------------------------------------------------------------


def test_located(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(SMALL)
    found = located(
        path,
        [
            Problem("", "wrong size", loc=("datasets", 0, "image_size", 1)),
            Problem("", "no such folder", loc=("datasets", 0, "root")),
            Problem("", "too few epochs", loc=("training", "epochs")),
            Problem("elsewhere", "as it was"),
        ],
        ["training.epochs=3"],
    )
    assert [problem.where for problem in found] == [
        f"{path}:3:47",
        f"{path}:3:5",
        "--set training.epochs=3",
        "elsewhere",
    ]
    assert found[0].excerpt.splitlines() == [
        "    3 |   - {name: video, kind: toy, image_size: [32, 64]}",
        "      |                                               ^^",
    ]
    assert [problem.what for problem in found][-1] == "as it was"


def test_located_without_a_place_is_the_top_of_the_file(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(SMALL)
    (problem,) = located(path, [Problem("", "too small", loc=("training", "crop"))])
    assert problem.where == f"{path}:1:1"
