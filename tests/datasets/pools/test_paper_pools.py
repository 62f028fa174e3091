"""The paper's pools of A2D2, from a listing of its size and from the authors' own lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alspec.datasets.base import Frame, ImageId
from alspec.datasets.pools.construction import build_pool, short_name
from alspec.spec.model import AugmentedFrames, FollowingFrames, ListedFrames

SEQUENCES = 22
FRAMES = 40_135
LISTS = Path(__file__).resolve().parents[4] / "shared" / "data" / "a2d2_pool_lists"


def listing():
    """22 sequences of different length, one in three with a second camera."""
    rng = np.random.default_rng(0)
    lengths = 300 + rng.multinomial(FRAMES - 300 * SEQUENCES, rng.dirichlet(np.ones(SEQUENCES)))
    frames = []
    for number, length in enumerate(lengths.tolist()):
        name = f"2018{number + 1:04d}_120000"
        side = length // 4 if number % 3 == 0 else 0
        for camera, count in (("cam_front_center", length - side), ("cam_side_left", side)):
            short = camera.removeprefix("cam_").replace("_", "")
            frames += [
                Frame(
                    ImageId(
                        f"{name}/camera/{camera}/"
                        f"{name.replace('_', '')}_camera_{short}_{place:09d}.png"
                    ),
                    f"{name}/{camera}",
                )
                for place in range(count)
            ]
    return tuple(frames)


@pytest.fixture(scope="module")
def frames():
    found = listing()
    assert len(found) == FRAMES
    assert len({frame.id.partition("/")[0] for frame in found}) == SEQUENCES
    return found


@pytest.mark.parametrize(("consecutive", "groups"), [(0, 2640), (5, 440), (11, 220), (21, 120)])
def test_groups_of_following_frames(frames, consecutive, groups):
    length = consecutive + 1
    redundancy, other = (
        FollowingFrames(kind="frames", size=2640, consecutive=consecutive, seed=seed)
        for seed in (0, 1)
    )
    pool = build_pool(redundancy, frames).frames
    assert len(pool) == len({frame.id for frame in pool}) == 2640 == groups * length
    assert short_name(redundancy) == f"frames-{groups}x{length}"
    place = {frame: number for number, frame in enumerate(frames)}
    for start in range(0, 2640, length):
        group = pool[start : start + length]
        first = place[group[0]]
        assert group == frames[first : first + length]
        assert len({frame.sequence for frame in group}) == 1
    assert build_pool(redundancy, frames).frames == pool
    assert build_pool(other, frames).frames != pool
    assert len({frame.id.partition("/")[0] for frame in pool}) > SEQUENCES // 2


def test_440_frames_with_2200_duplicates(frames):
    redundancy, other = (
        AugmentedFrames(kind="augmented", size=2640, duplicates=5, seed=seed) for seed in (0, 1)
    )
    pool = build_pool(redundancy, frames).frames
    assert len(pool) == len({frame.id for frame in pool}) == 2640
    known = set(frames)
    originals = [frame for frame in pool if frame in known]
    assert len(originals) == 440
    assert pool[::6] == tuple(originals)
    assert build_pool(redundancy, frames).frames == pool
    assert build_pool(other, frames).frames != pool
    assert short_name(redundancy) == "aug-440x6"


@pytest.mark.skipif(not LISTS.is_dir(), reason="the paper's A2D2 pool lists are not here")
@pytest.mark.parametrize(
    ("name", "different"), [("0f", 2640), ("5f", 2400), ("11f", 2407), ("21f", 2430)]
)
def test_the_papers_own_lists(name, different):
    path = LISTS / f"pool_{name}.txt"
    lines = path.read_text().split()
    known = [Frame(ImageId(line), line.split("/")[0]) for line in sorted(set(lines))]
    extra = [Frame(ImageId("z/1.png"), "z")]
    pool = build_pool(ListedFrames(kind="list", path=str(path)), [*known, *extra])
    assert list(pool.frames) == known
    assert len(pool.frames) == different
    assert bool(pool.notes) == (len(lines) > different)
    if pool.notes:
        assert f"{len(lines) - different} repeated lines" in pool.notes[0]
