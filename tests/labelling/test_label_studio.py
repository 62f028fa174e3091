"""A hand-over through a real Label Studio: imported, labelled through its API, exported, ingested.

`LABEL_STUDIO` names its executable, or it is on the PATH: `python3.11 -m venv label-studio;
label-studio/bin/pip install label-studio`. The server gets an SQLite file and a port of its own on
the loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from factories.drawn_project import CLASSES
from factories.labelling_desk import Desk

from alspec import projects
from alspec.labelling.export.labelstudio import regions
from alspec.labelling.hand_over import handed_images

EXECUTABLE = os.environ.get("LABEL_STUDIO") or shutil.which("label-studio")
TOKEN = "0123456789abcdef0123456789abcdef01234567"

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not EXECUTABLE, reason="LABEL_STUDIO names no executable, and none is on the PATH"
    ),
]


class Server:
    """Label Studio on a free port; `call` is its REST API with a token."""

    def __init__(self, data, served):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(served),
            "LABEL_STUDIO_BASE_DATA_DIR": str(data),
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "PYTHONUNBUFFERED": "1",
        }
        options = {
            "data-dir": data,
            "internal-host": "127.0.0.1",
            "port": port,
            "username": "person@example.org",
            "password": "a-password-of-a-test",
            "user-token": TOKEN,
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        self.log = data / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [EXECUTABLE, "start", "--no-browser", "--enable-legacy-api-token", *flags],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self):
        """Until it serves; making its database takes a minute, on busy cores many."""
        end = time.monotonic() + 1800
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.call("GET", "/health")
            except (OSError, AssertionError):
                time.sleep(1)
            else:
                return
        raise AssertionError(self.log.read_text()[-4000:])

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def call(self, method, path, data=None):
        """What it answers, as bytes."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if data is None else json.dumps(data).encode(),
            headers={"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.read()
        except urllib.error.HTTPError as err:
            raise AssertionError(f"{method} {path}: {err.code} {err.read()[:2000]}") from None

    def ask(self, method, path, data=None):
        return json.loads(self.call(method, path, data))


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """A batch of eight images with proposals for all but the last two, handed over."""
    desk = Desk(tmp_path_factory.mktemp("project"), batch=8, check=0)
    desk.select()
    rng = np.random.default_rng(0)
    for stem, truth in list(desk.truths().items())[:6]:
        proposal = truth.copy()
        proposal[rng.random(truth.shape) < 0.1] = 1
        desk.propose(stem, proposal)
    made = projects.select(desk.project, to="labelstudio", work_dir=desk.folder.work_dir)
    return desk, made.hand_over


@pytest.fixture(scope="module")
def server(handed, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("label-studio"), handed[1].absolute())
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def imported(server, hand_over):
    """A project with the hand-over as HOW-TO.md says; its number, and its tasks by flat name."""
    config = (hand_over / "config.xml").read_text()
    number = server.ask("POST", "/api/projects/", {"title": "drawn", "label_config": config})["id"]
    path = str((hand_over / "images").absolute())
    storage = {"project": number, "path": path, "use_blob_urls": True, "title": "images"}
    server.ask("POST", "/api/storages/localfiles/", storage)
    tasks = json.loads((hand_over / "tasks.json").read_text())
    taken = server.ask("POST", f"/api/projects/{number}/import", tasks)
    assert (taken["task_count"], taken["prediction_count"]) == (8, 6)
    found = server.ask("GET", f"/api/tasks?project={number}&fields=all")["tasks"]
    return number, {task["data"]["alspec_name"].rpartition(".")[0]: task for task in found}


def test_every_pixel_comes_back_through_a_real_server(server, handed):
    desk, hand_over = handed
    number, tasks = imported(server, hand_over)
    truths = desk.truths()
    accepted, corrected, skipped, rejected, *others = truths
    assert tasks.keys() == truths.keys()
    for stem, task in tasks.items():
        served = server.call("GET", task["data"]["image"])
        (file,) = (hand_over / "images").glob(f"{stem}.*")
        assert served == file.read_bytes()
    proposal = tasks[accepted]["predictions"][0]

    def annotate(stem, result, **more):
        answer = {"result": result, "lead_time": 30.0, **more}
        server.ask("POST", f"/api/tasks/{tasks[stem]['id']}/annotations/", answer)

    annotate(accepted, proposal["result"], parent_prediction=proposal["id"])
    for stem in (corrected, *others):
        annotate(stem, regions(truths[stem], CLASSES))
    annotate(skipped, [], was_cancelled=True)
    verdict = {"type": "choices", "from_name": "verdict", "to_name": "image",
               "value": {"choices": ["reject"]}}  # fmt: skip
    annotate(rejected, [verdict])

    export = desk.root / "export.json"
    query = "exportType=JSON&download_all_tasks=true"
    export.write_bytes(server.call("GET", f"/api/projects/{number}/export?{query}"))
    given = projects.ingest(desk.project, export, work_dir=desk.folder.work_dir)

    (batch,) = given.state.batches
    ids = {row.stem: row.id for row in batch.rows}
    assert given.state.rejected.keys() == {ids[rejected]}
    assert given.state.waiting(batch) == [ids[skipped]]
    on_disk = desk.drawn.labelled()
    assert on_disk.keys() == {ids[stem] for stem in (accepted, corrected, *others)}
    for stem in (corrected, *others):
        np.testing.assert_array_equal(on_disk[ids[stem]], truths[stem])
    (seen,) = (i.proposal for i in handed_images(given.state, batch) if i.id == ids[accepted])
    np.testing.assert_array_equal(on_disk[ids[accepted]], seen)  # a person submitted it
    hours = projects.status(desk.project, work_dir=desk.folder.work_dir).summary.batches[0].hours
    assert hours == pytest.approx(7 * 30 / 3600)  # of the skipped image nobody counts them
