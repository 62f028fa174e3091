"""A user's own features of images."""

from __future__ import annotations

import numpy as np
import pytest

from alspec.errors import InputError
from alspec.labelling.thumbnails import own_features

IDS = ["frames/a.png", "frames/b.png", "frames/c.png"]


def written(path, ids):
    np.savez(path, ids=np.array(ids), vectors=np.arange(2.0 * len(ids)).reshape(-1, 2))
    return path


def test_vectors_are_found_by_their_ids(tmp_path):
    found = own_features(written(tmp_path / "f.npz", IDS), [IDS[2], IDS[0]])
    np.testing.assert_array_equal(found, [[4, 5], [0, 1]])


def test_an_id_that_is_there_twice_is_refused(tmp_path):
    path = written(tmp_path / "f.npz", [*IDS, IDS[1]])
    with pytest.raises(InputError, match=r"f\.npz: 1 of 4 ids .* first frames/b\.png"):
        own_features(path, IDS)
