"""Runs of near-copies: every bound is one, whatever the features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alspec.acquisition.runs import LONGEST, Runs


def video(rows=200, channels=24, noise=0.05):
    """Frames of 10 scenes, a few of them exact copies."""
    rng = np.random.default_rng(0)
    scenes = rng.standard_normal((10, channels)).repeat(rows // 10, axis=0)
    frames = scenes + noise * rng.standard_normal((rows, channels))
    frames[5] = frames[4]
    return frames


def squared(one, other):
    wide = one.astype(np.float64)[:, None] - other.astype(np.float64)[None]
    return np.square(wide).sum(axis=2)


FEATURES = {
    "float32": video().astype(np.float32),
    "float16": video().astype(np.float16),
    "float64": video(),
    "no near-copies": np.random.default_rng(1).standard_normal((50, 24)).astype(np.float32),
    "all equal": np.ones((40, 3), dtype=np.float32),
    "squares vanish": (video() * 1e-30).astype(np.float32),
    "squares overflow": (video() * 1e30).astype(np.float32),
    "one row": np.ones((1, 3), dtype=np.float32),
}


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES)
def test_no_distance_is_above_its_bound(features):
    runs = Runs(torch.from_numpy(features))
    centres = features[::7] * features.dtype.type(0.9)
    true = squared(features, centres)
    of_first = true[runs.first].argmin(axis=1)
    assert (runs.bounds(torch.from_numpy(centres), of_first) >= true.min(axis=1)).all()
    among = squared(features, features)
    for row in range(len(features)):
        run, bounds = runs.beside(row)
        assert run.start <= row < run.stop <= run.start + LONGEST
        assert (bounds >= among[run, row]).all()


def test_near_copies_are_bounded_by_the_centre_nearest_to_their_first():
    frames = FEATURES["float64"]
    centres = frames[::7] + 0.5
    true = squared(frames, centres)
    runs = Runs(torch.from_numpy(frames))
    bounds = runs.bounds(torch.from_numpy(centres), true[runs.first].argmin(axis=1))
    assert (bounds < 1.1 * true.min(axis=1)).all()


def test_scenes_are_cut_where_they_change():
    frames = video(rows=500)
    runs = Runs(torch.from_numpy(frames))
    scene = 50
    assert scene > LONGEST
    assert runs.first.tolist() == [
        at + part for at in range(0, 10 * scene, scene) for part in range(0, scene, LONGEST)
    ]
    run, bounds = runs.beside(scene + 3)
    assert (run.start, run.stop) == (scene, scene + LONGEST)
    assert bounds.max() < 0.1 * squared(*np.split(frames[[0, scene]], 2))


def test_rows_that_have_nothing_in_common_are_runs_of_one():
    runs = Runs(torch.from_numpy(FEATURES["no near-copies"]))
    assert not len(runs.first)
    assert all(runs.beside(row)[0] == slice(row, row + 1) for row in range(50))
