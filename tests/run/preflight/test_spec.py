"""A study's folder belongs to one spec: another file of the same study name is refused."""

from __future__ import annotations

import pytest
import yaml
from factories.toy import TOY
from fakes.trainer import FakeTrainer

from alspec import api
from alspec.errors import InputError
from alspec.store.study_folder import StudyFolder


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Runs a spec of some name and changes with a made-up trainer; the study's folder."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("alspec.report.album.Album.draw", lambda _: {})

    def run(name, revise=False, **changes):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({**TOY, **changes}))
        study = api.load(path)
        made = lambda place: FakeTrainer(place)  # noqa: E731
        work_dir = tmp_path / "w"
        api.run(study, devices="cpu:2", work_dir=work_dir, executor=made, revise=revise)
        return StudyFolder(work_dir, study.study)

    return run


def test_another_file_of_the_same_study_name_is_refused_with_the_difference(ran):
    """Two specs under one name mixed their results, selections and retention."""
    folder = ran("a.yaml")
    before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as caught:
        ran("b.yaml", seeds=[0, 7], keep="none")
    said = str(caught.value)
    assert "a.yaml" in said
    assert 'keep is "none"' in said
    assert "seeds.1 is 7, there" in said
    assert "--revise" in said
    assert before == {path: path.read_bytes() for path in before}


def test_it_goes_on_as_a_revision_when_the_user_says_so(ran):
    ran("a.yaml")
    folder = ran("b.yaml", seeds=[7], revise=True)
    assert "seeds: [7]" in folder.spec.read_text()
    ran("b.yaml", seeds=[7, 8])  # it is this file's now
    with pytest.raises(InputError, match="belongs to"):
        ran("a.yaml")


def test_the_same_file_may_be_edited_and_the_same_spec_copied(ran, tmp_path):
    folder = ran("a.yaml")
    ran("elsewhere/copy.yaml")
    ran("a.yaml", seeds=[0, 1])
    study = api.load(folder.spec, ["seeds=[3]"])  # the folder's own, resolved
    api.run(study, devices="cpu:2", work_dir=tmp_path / "w", executor=FakeTrainer)


def test_many_differences_are_counted(ran):
    ran("a.yaml")
    with pytest.raises(InputError, match=r"; and \d+ more\. Give it"):
        ran("b.yaml", seeds=list(range(20, 40)))


def test_a_record_that_cannot_be_read_refuses_nobody(ran):
    folder = ran("a.yaml")
    (folder.store.folders.specs / f"{folder.study}.json").write_text("{")
    ran("b.yaml", seeds=[7])


def test_selections_of_runs_and_cycles_that_left_the_study_move_away(ran):
    folder = ran("a.yaml")
    before = {path.relative_to(folder.selections) for path in folder.selections.glob("*/*.txt")}
    kept = {path for path in before if path.parts[0].split("_")[-3:] and "random" in str(path)}
    assert before > kept
    ran("a.yaml", methods=["random"])
    assert {p.relative_to(folder.selections) for p in folder.selections.glob("*/*.txt")} == kept
    aside = folder.root / "selections_before"
    assert {path.relative_to(aside) for path in aside.glob("*/*.txt")} == before - kept
