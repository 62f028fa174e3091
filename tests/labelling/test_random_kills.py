"""`select`, `ingest` and `predict` with a real model, killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import pytest
from factories import annotators
from factories.drawn_project import CLASSES, DrawnProject
from factories.project_place import Place
from fakes.in_process import InProcess, predict_here
from PIL import Image

from alspec.labelling.batches import read_batches

pytestmark = pytest.mark.slow

MOMENTS = 50
ACTIONS = {"select": "select_and_label", "ingest": "ingest", "predict": "predict"}
"""What is killed, and what is done then to the end; the annotator is not disturbed."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A project that nobody disturbs: what each action makes, and how long it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alspec.labelling.masks.predict_images", predict_here)
        patch.setattr("alspec.labelling.hand_over.predict_images", predict_here)
        patch.setattr("os.fsync", lambda _: None)
        whole = Round(tmp_path_factory.mktemp("model"))
        seconds = {}
        for name, action in ACTIONS.items():
            began = time.monotonic()
            getattr(whole, action)()
            seconds[name] = time.monotonic() - began
        yield whole, seconds


class Round:
    """One more batch of a project with six labels: selected, given back, predicted."""

    def __init__(self, root):
        self.root = root
        self.drawn = DrawnProject(root, 14, labelled=4)
        self.place = Place(root / "work", InProcess)
        self.folder = self.place.folder(self.drawn.project)

    def select(self):
        self.place.select(self.drawn.project, to="cvat")

    def select_and_label(self):
        self.select()
        table = self.folder.batch(1).table
        truths = annotators.truths_of(table, self.drawn.truths.__getitem__)
        annotators.folder_of_masks(self.root / "back", truths, CLASSES)

    def ingest(self):
        back = self.root / "back"
        self.place.ingest(self.drawn.project, back, accept_unchanged=True)

    def predict(self):
        self.place.predict(self.drawn.project, self.root / "masks")

    def killed(self, action, seconds):
        """Do something in a process that is killed after a time; whether it was killed."""
        fork = os.fork()
        if fork == 0:
            code = 3
            try:
                getattr(self, action)()
                code = 0
            finally:
                os._exit(code)
        time.sleep(seconds)
        os.kill(fork, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_whatever_is_killed_the_same_call_ends_in_the_same_place(moment, model, tmp_path):
    whole, seconds = model
    rng = random.Random(moment)
    one = Round(tmp_path)
    for name, action in ACTIONS.items():
        one.killed(name, rng.uniform(0, seconds[name]))
        getattr(one, action)()
    (batch,) = read_batches(one.folder)
    (wanted,) = read_batches(whole.folder)
    assert [row.id for row in batch.rows] == [row.id for row in wanted.rows]
    assert batch.about["train"] == wanted.about["train"]
    for image, mask in one.drawn.labelled().items():
        np.testing.assert_array_equal(mask, one.drawn.truths[image])
    for path in sorted((whole.root / "masks").rglob("*.png")):
        own = one.root / "masks" / path.relative_to(whole.root / "masks")
        np.testing.assert_array_equal(np.array(Image.open(own)), np.array(Image.open(path)))
