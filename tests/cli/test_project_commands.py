"""The commands of a labelling project, in this process; nothing is trained."""

from __future__ import annotations

import json

import pytest
from factories import annotators
from factories.drawn_project import CLASSES, DrawnProject
from fakes.in_process import InProcess

from alspec.errors import ExitCode
from alspec.spec.load import dump_project


@pytest.fixture
def desk(tmp_path, cli):
    drawn = DrawnProject(tmp_path, 20, first="uniform")
    path = tmp_path / "project.yaml"
    path.write_text(dump_project(drawn.project))
    work = ("--work-dir", tmp_path / "work")

    def run(command, *arguments):
        return cli(command, path, *arguments, *work)

    run.drawn, run.root, run.path = drawn, tmp_path, path
    return run


def truths(desk):
    table = desk.root / "work" / "drawn" / "batches" / "01" / "batch.csv"
    return annotators.truths_of(table, desk.drawn.truths.__getitem__)


def test_a_round_goes_through_waiting_to_done(desk):
    code, out, _ = desk("select", "--to", "cvat")
    assert code == ExitCode.WAITING_FOR_LABELS
    assert "batch 1 made: 6 images, 3 of them to check with" in out
    assert f"alspec ingest {desk.path} EXPORT" in out
    code, out, _ = desk("select")
    assert code == ExitCode.WAITING_FOR_LABELS
    assert "batch 1 is open" in out
    assert "\n6 images wait for labels" in out

    some = dict(list(truths(desk).items())[:4])
    back = annotators.cvat_masks(desk.root / "back.zip", some, CLASSES, untouched=truths(desk))
    code, out, _ = desk("ingest", back)
    assert code == ExitCode.WAITING_FOR_LABELS
    assert "4 labelled" in out
    assert "2 images still wait for labels" in out
    back = annotators.folder_of_masks(desk.root / "rest", truths(desk), CLASSES)
    code, out, _ = desk("ingest", back)
    assert code == ExitCode.DONE
    assert "alspec run" in out
    code, out, _ = desk("ingest", back)
    assert code == ExitCode.DONE
    assert "nothing new" in out


def test_status_is_json_alone_and_says_by_its_code_that_labels_are_waited_for(desk, cli):
    code, out, _ = desk("status", "--json")
    assert (code, json.loads(out)["images"]["pool"]) == (0, 20)
    desk("select")
    code, out, _ = desk("status", "--json")
    assert code == ExitCode.WAITING_FOR_LABELS
    assert json.loads(out)["waiting"] is True
    code, out, _ = cli("status", "--work-dir", desk.root / "work")
    assert code == ExitCode.WAITING_FOR_LABELS
    assert "drawn: 14 pool, 6 asked" in out
    assert "no study" not in out
    code, out, _ = cli("status", "--json", "--work-dir", desk.root / "work")
    (told,) = json.loads(out)
    assert (code, told["project"], told["waiting"]) == (3, "drawn", True)


def test_refused_files_are_listed_with_their_reasons(desk):
    desk("select")
    back = annotators.folder_of_masks(desk.root / "back", truths(desk), CLASSES)
    (back / "stranger.png").write_bytes(b"no image")
    code, _, err = desk("ingest", back)
    assert code == ExitCode.DONE
    assert "stranger.png: refused: no image of this name was handed over" in err


def test_what_needs_a_model_says_how_to_get_one(desk):
    code, _, err = desk("predict", "-o", desk.root / "masks")
    assert code == ExitCode.BAD_INPUT
    assert "alspec select" in err
    code, _, err = desk("run")
    assert code == ExitCode.BAD_INPUT
    assert "no labelled image" in err
    assert "alspec select" in err


def test_run_waits_for_the_first_labels(desk):
    desk("select")
    code, _, err = desk("run")
    assert code == ExitCode.WAITING_FOR_LABELS
    assert "6 images of batch 1 wait for their labels" in err
    assert "alspec ingest" in err


def test_check_reads_all_and_writes_nothing(desk, cli):
    code, out, _ = cli("check", desk.path)
    assert (code, out) == (0, "drawn: good; 20 images, 0 masks\n")
    assert not (desk.root / "work").exists()
    image = next(iter(desk.drawn.truths))
    desk.drawn.label(image, desk.drawn.truths[image] + 7)
    code, _, err = cli("check", desk.path)
    assert code == ExitCode.BAD_INPUT
    assert "000.png" in err


def test_a_bad_image_is_found_before_a_batch_is_made(desk):
    (desk.root / "data" / "frames" / "seq0" / "000.png").write_bytes(b"no image")
    code, _, err = desk("select")
    assert code == ExitCode.BAD_INPUT
    assert "000.png" in err
    assert not (desk.root / "work" / "drawn" / "batches").exists()


def test_the_report_is_written_where_it_is_wanted(desk):
    desk("select")
    code, out, _ = desk("report", "-o", desk.root / "here.md")
    assert code == 0
    assert (desk.root / "here.md").read_text().startswith("# drawn\n")
    assert "here.md" in out
    code, _, err = desk("report", "-o", desk.root / "nowhere" / "here.md")
    assert code == ExitCode.BAD_INPUT
    assert "cannot be written" in err


def test_a_project_has_a_plan_its_next_batch(desk, cli):
    code, out, _ = cli("plan", desk.path, "--json")
    data = json.loads(out)
    assert (code, data["study"], data["trainings"], data["steps"]) == (0, "drawn", 0, 1)
    for image in sorted(desk.drawn.truths)[:8]:
        desk.drawn.label(image)
    code, out, _ = desk("plan", "--json")
    data = json.loads(out)
    assert (code, data["trainings"], data["steps"]) == (0, 1, 4)  # with pool, set and choice
    assert data["settings"][0]["labelled_images"] == [8]
    code, out, _ = desk("plan")
    assert (code, "1 run, 1 training" in out, "Time: not known" in out) == (0, True, True)
    code, out, _ = desk("explain")
    assert (code, "drawn: 0 of 4 steps done" in out) == (0, True)
    assert not (desk.root / "work" / "drawn").exists()


def test_run_refuses_what_only_studies_have(desk):
    desk.drawn.label(next(iter(desk.drawn.truths)))
    code, _, err = desk("run", "--only", "train", "--revise")
    assert code == ExitCode.BAD_INPUT
    assert "--revise, --only: a study's" in err


def test_recommend_measures_the_images_and_answers_both_arms(desk, monkeypatch):
    monkeypatch.setattr("alspec.run.executors.local.LocalExecutor", InProcess)
    code, out, _ = desk("recommend", "--json")
    data = json.loads(out)
    (measured,) = data["measured"]
    assert (code, measured["dataset"], measured["pool"]) == (0, "drawn", "all")
    assert measured["images"] == 20
    assert 0 < measured["distinct_views"] <= 20
    assert measured["level"] in ("high", "low", "unsure")
    assert {entry["ssl"] for entry in data["advice"]} == {False, True}
    code, out, _ = desk("recommend", "--redundancy", "low", "--budget", "low", "--no-ssl", "--json")
    (entry,) = json.loads(out)["advice"]
    assert (entry["redundancy"], entry["budget"], entry["ssl"]) == ("low", "low", False)
    code, out, _ = desk("recommend")
    assert (code, "distinct views" in out, "6 labels" in out) == (0, True, True)


def test_recommend_while_the_first_batch_is_the_whole_pool(desk, monkeypatch):
    monkeypatch.setattr("alspec.run.executors.local.LocalExecutor", InProcess)
    desk("select", "-n", "20")
    code, out, _ = desk("recommend")
    assert (code, "20 labels, 100.0 % of the images" in out) == (0, True)
    rejected = annotators.folder_of_masks(desk.root / "back", {}, CLASSES)
    names = [path.name for path in (desk.root / "work/drawn/batches/01/folder/images").iterdir()]
    (rejected / "rejected.txt").write_text("\n".join(names))
    desk("ingest", rejected)
    code, _, err = desk("recommend")
    assert (code, "all its images were rejected" in err) == (ExitCode.BAD_INPUT, True)


def test_commands_to_go_on_with_hold_for_paths_with_spaces(desk, cli):
    path = desk.root / "my drive.yaml"
    path.write_text(desk.path.read_text())
    work = ("--work-dir", desk.root / "work")
    assert f"alspec ingest '{path}' EXPORT" in cli("select", path, *work)[1]
    back = annotators.folder_of_masks(desk.root / "back", truths(desk), CLASSES)
    assert f"alspec run '{path}'" in cli("ingest", path, back, *work)[1]
    new = desk.root / "a spec.yaml"
    assert f"alspec check '{new}'" in cli("init", new)[1]


def test_a_file_without_a_partner_is_named(desk, cli, monkeypatch):
    monkeypatch.chdir(desk.root)
    text = desk.path.read_text()
    assert str(desk.root / "data") in text
    desk.path.write_text(text.replace(str(desk.root / "data"), "data"))
    twin = desk.root / "data" / "frames" / "seq0" / "000.jpg"
    twin.write_bytes(b"")
    code, _, err = cli("check", "project.yaml")
    assert (code, f"{twin.with_suffix('.png')}: it has the same name as" in err) == (2, True)
    twin.unlink()
    desk.drawn.label("frames/seq0/000.png")
    stranger = desk.drawn.mask_path("frames/seq0/000.png").rename(
        desk.root / "data" / "labels" / "zzz.png"
    )
    code, _, err = cli("check", "project.yaml")
    assert (code, f"{stranger}: this mask has no image" in err) == (2, True)
