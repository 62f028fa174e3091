from __future__ import annotations

import pytest

from alspec.errors import SpecError
from alspec.spec.load import dump_project, load_project, load_spec, load_study
from alspec.spec.model import Study
from alspec.spec.project import Project

TEXT = """\
project: night-drive
dataset:
  {name: drive, kind: folder, root: "${DRIVE_ROOT:-data}", images: frames, masks: labels,
   classes: [road, car], image_size: [64, 128]}
"""


@pytest.fixture
def load(tmp_path):
    def loaded(text, reader=load_project, overrides=()):
        path = tmp_path / "project.yaml"
        path.write_text(text)
        return reader(path, overrides)

    return loaded


def test_defaults_are_those_of_the_contract(load):
    project = load(TEXT)
    assert (project.batch, project.check, project.first) == (50, 0.2, "herding")
    assert (project.method, project.ssl, project.seed) == ("auto", "auto", 0)
    assert (project.dataset.kind, project.dataset.root) == ("partly_labelled", "data")
    assert project.check_share == 0.2


def test_a_val_leaves_no_check_share(load):
    project = load(TEXT.replace("kind: folder", "kind: folder, val: {images: v, masks: m}"))
    assert project.has_val
    assert project.check_share == 0


def test_a_spec_is_a_project_by_its_key(load):
    assert isinstance(load(TEXT, load_spec), Project)
    toy = "{name: t, kind: toy, image_size: [16, 32]}"
    study = f"study: s\ndatasets: [{toy}]\nbudgets: [10-10]\nmethods: [random]\n"
    assert isinstance(load(study, load_spec), Study)
    with pytest.raises(SpecError, match="no labelling project"):
        load(study)
    with pytest.raises(SpecError, match="is a labelling project, not a study"):
        load(TEXT, load_study)


def test_dump_reads_back_equal(load):
    project = load(TEXT + "method: {name: bald, passes: 4}\nssl: true\nunlabelled: road\n")
    assert load(dump_project(project)) == project


@pytest.mark.parametrize(
    ("line", "where", "what"),
    [
        ("batches: 3", ":5:1", "Did you mean `batch`"),
        ("first: hurding", ":5:8", "Did you mean `herding`"),
        ("method: entropi", ":5:9", "Did you mean `entropy`"),
        ("ssl: maybe", ":5:6", "auto"),
        ("check: 1", ":5:8", "less than 1"),
        ("unlabelled: sky", ":1:1", "no class"),
        ("training: {epoch: 3}", ":5:12", "Did you mean `epochs`"),
    ],
)
def test_problems_have_their_line_and_a_hint(line, where, what, load):
    with pytest.raises(SpecError, match=what) as caught:
        load(f"{TEXT}{line}\n")
    assert where in str(caught.value)


def test_a_project_takes_a_folder_alone(load):
    with pytest.raises(SpecError, match="`kind: folder`"):
        load(TEXT.replace("kind: folder", "kind: toy"))
    with pytest.raises(SpecError, match="imagess"):
        load(TEXT.replace("images: frames", "imagess: frames"))
