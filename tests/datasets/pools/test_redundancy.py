from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from alspec.datasets.base import Frame, ImageId, Split
from alspec.datasets.kinds.toy import Spec, Toy
from alspec.datasets.pools.construction import build_pool, candidates
from alspec.datasets.pools.redundancy import (
    HIGH_SHARE,
    measured_redundancy,
    near_copy_share,
    thumbnails,
)
from alspec.spec.model import FollowingFrames


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), np.uint8)


def toy(**changes):
    size = {"sequences": 8, "frames": 60, "image_size": (64, 128)}
    return Toy(Spec(**{"name": "toy", "kind": "toy", **size, **changes}))


def test_unrelated_frames_share_nothing_and_equal_ones_everything():
    assert near_copy_share(noise(40), ["a"] * 40) == 0
    assert near_copy_share(np.repeat(noise(20), 2, axis=0), ["a"] * 40) == 1
    assert near_copy_share(np.repeat(noise(1), 30, axis=0), ["a"] * 30) == 1
    assert math.isnan(near_copy_share(noise(0), []))
    assert near_copy_share(noise(1), ["a"]) == 0


def test_the_share_counts_frames():
    frames = noise(40)
    frames[11] = frames[10]
    frames[21] = frames[22] = frames[20]
    assert near_copy_share(frames, ["a"] * 40) == pytest.approx(5 / 40)


def test_only_neighbours_of_one_sequence_count():
    frames = np.repeat(noise(20), 2, axis=0)
    assert near_copy_share(frames, ["a", "b"] * 20) == 0
    shifted = [str((place + 1) // 2) for place in range(40)]
    assert near_copy_share(frames, shifted) == 0


def test_what_all_frames_share_and_brightness_do_not_count():
    layout = 6 * np.arange(16)[None, :, None, None]
    frames = (noise(40) // 3 + layout).astype(np.uint8)
    assert near_copy_share(frames, ["a"] * 40) == 0
    pairs = np.repeat(noise(20) // 3, 2, axis=0)
    brighter = pairs + np.tile([0, 80], 20)[:, None, None, None].astype(np.uint8)
    assert near_copy_share(brighter, ["a"] * 40) == 1


def test_agrees_with_a_plain_reference():
    dataset = toy()
    pixels, names = thumbnails(dataset, candidates(dataset.frames(Split.POOL), 10))
    centred = [p.astype(float) - p.reshape(-1, 3).mean(0) for p in pixels]
    mean = sum(centred) / len(centred)
    flat = [(c - mean).ravel() for c in centred]

    def alike(i, j):
        if not (0 <= j < len(flat)) or names[i] != names[j]:
            return False
        return flat[i] @ flat[j] / math.sqrt((flat[i] @ flat[i]) * (flat[j] @ flat[j])) >= 0.7

    count = sum(alike(i, i - 1) or alike(i, i + 1) for i in range(len(flat)))
    assert near_copy_share(pixels, names) == pytest.approx(count / len(flat))
    assert 0 < count < len(flat)


def test_drawn_video_is_redundant_until_it_is_thinned():
    dataset = toy()
    frames = dataset.frames(Split.POOL)
    shares = [near_copy_share(*thumbnails(dataset, candidates(frames, n))) for n in (1, 5, 10, 20)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.95
    assert shares[-1] < 0.25
    assert measured_redundancy(dataset, frames)[1] == "high"
    assert measured_redundancy(dataset, candidates(frames, 20))[1] == "low"


def test_pools_of_the_papers_making():
    dataset = toy(frames=200)
    frames = dataset.frames(Split.POOL)
    shares = {}
    for consecutive in (0, 5):
        redundancy = FollowingFrames(kind="frames", size=48, consecutive=consecutive)
        pool = build_pool(redundancy, frames).frames
        shares[consecutive], level = measured_redundancy(dataset, pool)
        assert level == ("high" if consecutive else "low")
    assert shares[0] < HIGH_SHARE < shares[5]


def test_a_sample_takes_runs_of_neighbours():
    class Painted:
        def __init__(self):
            self.read = []

        def read_image(self, name):
            self.read.append(name)
            return np.zeros((4, 4, 3), np.uint8)

    dataset = Painted()
    frames = [Frame(ImageId(f"{s}/{i:04d}"), s) for s in "ab" for i in range(500)]
    pixels, names = thumbnails(dataset, frames, limit=120)
    assert pixels.shape == (len(names), 16, 16, 3)
    assert 100 <= len(names) <= 130
    assert len(set(dataset.read)) == len(names)
    for (one, first), (other, second) in pairwise(zip(dataset.read, names, strict=True)):
        if first == second:
            assert one[0] == other[0]
            assert int(other[2:]) == int(one[2:]) + 1
    assert {name[0] for name in dataset.read} == {"a", "b"}
    assert len(set(names)) == 10
    pixels, names = thumbnails(dataset, frames[:100], limit=120)
    assert names == ("a",) * 100


def test_a_sample_measures_what_the_whole_does():
    dataset = toy()
    frames = candidates(dataset.frames(Split.POOL), 4)
    whole = near_copy_share(*thumbnails(dataset, frames))
    part = near_copy_share(*thumbnails(dataset, frames, limit=60))
    assert part == pytest.approx(whole, abs=0.15)


def test_small_pools_are_not_judged():
    dataset = toy()
    few = dataset.frames(Split.POOL)[:19]
    assert measured_redundancy(dataset, few) == (None, None)
