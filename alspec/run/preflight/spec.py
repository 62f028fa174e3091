"""Whose folder it is: one study's results, selections and retention belong to one spec.

The spec that a study was run with last is recorded in the store. The same file may be edited, and
goes on as a revision; another file that has the same name under `study`, and says something else,
is refused unless the user says that it revises that study.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from alspec.errors import InputError
from alspec.spec.load import dump_project, dump_study, dump_without_paths
from alspec.spec.model import Study
from alspec.spec.project import Project
from alspec.store.study_folder import StudyFolder
from alspec.system.atomic import json_text, write_json, write_text

SHOWN = 8
"""Differences that are listed."""

_NOTHING = object()


def require_own_folder(study: Study, folder: StudyFolder, *, revise: bool) -> None:
    """Refuse a study whose folder belongs to another spec.

    Args:
        study: what is to be run, with absolute paths.
        folder: the study's.
        revise: the user continues that study with this spec.

    Raises:
        InputError: the folder belongs to another file's spec, which differs; the message lists how.
    """
    before = _recorded(folder)
    file = _file_of(study)
    if revise or before is None or not file:
        return
    if file in (before["file"], str(folder.spec.absolute())):
        return
    differences = list(_differences(before["spec"], _plain(study)))
    if not differences:
        return
    more = len(differences) - SHOWN
    listed = "; ".join(differences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
    raise InputError.at(
        folder.root,
        f"belongs to {before['file']}, and {file} names its study `{study.study}` as well, but "
        f"differs: {listed}. Give it another name under `study`, or continue that study with it: "
        "--revise",
    )


def write_spec(spec: Study | Project, folder: StudyFolder, *, full_paths: bool = False) -> None:
    """Write the resolved spec, and beside it where this machine has the files that it names.

    Args:
        spec: with absolute paths.
        folder: where; files that say this already stay.
        full_paths: name them in the spec itself.
    """
    text, paths = dump_without_paths(spec)
    if full_paths:
        text, paths = dump_study(spec) if isinstance(spec, Study) else dump_project(spec), {}
    folder.root.mkdir(parents=True, exist_ok=True)
    known = json_text(paths) if paths else ""
    for file, content in ((folder.paths, known), (folder.spec, text)):
        if not content:
            file.unlink(missing_ok=True)
        elif not file.is_file() or file.read_text("utf-8") != content:
            write_text(file, content)


def record_spec(study: Study, folder: StudyFolder) -> None:
    """Note which spec a study's folder belongs to. Raises OSError if it cannot be written."""
    record = {"file": _file_of(study), "spec": _plain(study)}
    before = _recorded(folder)
    if record["file"] and (before is None or record["spec"] != before["spec"]):
        path = folder.store.folders.specs / f"{folder.study}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)


def _recorded(folder: StudyFolder) -> dict[str, object] | None:
    """The file and the spec that the folder belongs to; None where nothing readable says so."""
    path = folder.store.folders.specs / f"{folder.study}.json"
    try:
        record = json.loads(path.read_text("utf-8"))
        return {"file": str(record["file"]), "spec": dict(record["spec"])}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _file_of(study: Study) -> str:
    """The spec's file; empty for a study that was read from none."""
    return str(study._origin.path.absolute()) if study._origin else ""


def _plain(study: Study) -> dict[str, object]:
    """The spec without where its data lie and where it runs."""
    data = study.model_dump(mode="json", exclude={"execution"})
    for dataset in data["datasets"]:
        dataset.pop("root", None)
    if (devices := study.execution.devices_a_training) > 1:
        data["execution"] = {"devices": devices}
    return data


def _differences(before: object, now: object, where: str = "") -> Iterator[str]:
    """Each value that is another one, as `seeds.1 is 4, there 2`."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            inner = (before.get(key, _NOTHING), now.get(key, _NOTHING))
            yield from _differences(*inner, f"{where}.{key}" if where else str(key))
    elif isinstance(before, list) and isinstance(now, list):
        for index in range(max(len(before), len(now))):
            first = before[index] if index < len(before) else _NOTHING
            second = now[index] if index < len(now) else _NOTHING
            yield from _differences(first, second, f"{where}.{index}")
    elif before != now:
        yield f"{where} is {_in_words(now)}, there {_in_words(before)}"


def _in_words(value: object) -> str:
    if value is _NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
