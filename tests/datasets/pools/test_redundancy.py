"""Distinct views and near-copies against plain references, on noise, drawn video and real data."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.datasets.base import Frame, ImageId, Split
from alspec.datasets.files.decoding import pillow_resize, read_rgb
from alspec.datasets.files.loose_images import LooseImages
from alspec.datasets.kinds.toy import Spec, Toy
from alspec.datasets.pools import near_copies as compared
from alspec.datasets.pools.construction import build_pool, candidates
from alspec.datasets.pools.near_copies import correlated, distinct_views, near_copies
from alspec.datasets.pools.redundancy import Measured, measure, measured_redundancy, thumbnails
from alspec.errors import DataError, InputError
from alspec.spec.model import FollowingFrames

DATA = Path(os.environ.get("ALSPEC_REAL_DATA") or Path(__file__).parents[4] / "shared" / "data")
REAL = {
    # folder, its sequence, V / N, level
    "camvid/train": (lambda name: name.rpartition("_")[0], 0.36, "high"),
    "vocalfolds/images": (lambda name: name.rpartition("_")[0], 0.27, "high"),
    "dhcn/images": (lambda name: "", 0.06, "high"),
    "dsb2018/images": (lambda name: name, 1.00, "low"),
}


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), np.uint8)


def frames_of(sequences):
    return [Frame(ImageId(f"{place:05d}"), name) for place, name in enumerate(sequences)]


def measured(pixels, sequences=None):
    return measure(pixels, frames_of(sequences or ["a"] * len(pixels)))


def toy(**changes):
    size = {"sequences": 8, "frames": 60, "image_size": (64, 128)}
    return Toy(Spec(**{"name": "toy", "kind": "toy", **size, **changes}))


def plain_own(pixels):
    """Unit vectors by the definition, in float64."""
    centred = [p.astype(float) - p.reshape(-1, 3).mean(0) for p in pixels]
    mean = sum(centred) / len(centred)
    flat = [(c - mean).ravel() for c in centred]
    return np.array([f / math.sqrt(f @ f) for f in flat])


def plain_views(alike):
    """Greedy cover by its definition: a set after another, the lowest of the largest."""
    left, views = set(range(len(alike))), 0
    while left:
        gains = [sum(alike[u][x] for x in left) for u in range(len(alike))]
        best = gains.index(max(gains))
        left -= {x for x in left if alike[best][x]}
        views += 1
    return views


def test_unrelated_images_are_each_a_view_and_equal_ones_together_one():
    found = measured(noise(40))
    assert (found.distinct_views, found.neighbours, found.anywhere) == (40, 0, 0)
    assert (found.views_at, found.level) == ((1, 1), "low")
    found = measured(np.repeat(noise(20), 2, axis=0))
    assert (found.distinct_views, found.neighbours, found.anywhere) == (20, 1, 1)
    found = measured(np.repeat(noise(1), 30, axis=0))
    assert (found.distinct_views, found.neighbours, found.level) == (1, 1, "high")
    assert measured(noise(1)).distinct_views == 1
    assert measured(noise(0)).images == 0


def test_neighbours_are_those_in_time_of_one_sequence():
    pixels = noise(40)
    pixels[11] = pixels[10]
    pixels[21] = pixels[22] = pixels[20]
    assert measured(pixels).neighbours == pytest.approx(5 / 40)
    twice = np.repeat(noise(20), 2, axis=0)
    apart = measured(twice, ["a", "b"] * 20)
    assert (apart.neighbours, apart.anywhere, apart.across_sequences) == (0, 1, 1)
    beside = measured(twice, ["a"] * 20 + ["b"] * 20)
    assert (beside.neighbours, beside.anywhere, beside.across_sequences) == (1, 1, 0)
    assert measured(twice).across_sequences is None


def test_the_order_of_files_decides_neighbours_alone():
    pixels = np.repeat(noise(30), 3, axis=0)
    frames = frames_of(["a"] * 90)
    turned = np.random.default_rng(1).permutation(90)
    first, second = measure(pixels, frames), measure(pixels[turned], [frames[t] for t in turned])
    assert (first.distinct_views, first.views_at) == (second.distinct_views, second.views_at)
    assert first.anywhere == second.anywhere == 1
    assert first.neighbours == 1 > second.neighbours


def test_what_all_images_share_and_brightness_do_not_count():
    layout = 6 * np.arange(16)[None, :, None, None]
    assert measured((noise(40) // 3 + layout).astype(np.uint8)).distinct_views == 40
    pairs = np.repeat(noise(20) // 3, 2, axis=0)
    brighter = pairs + np.tile([0, 80], 20)[:, None, None, None].astype(np.uint8)
    assert measured(brighter).distinct_views == 20


@pytest.mark.parametrize("listed", [10**9, 150, 0])
@pytest.mark.parametrize("block", [512, 7])
def test_agrees_with_a_plain_reference(monkeypatch, listed, block):
    monkeypatch.setattr(compared, "LISTED", listed)
    monkeypatch.setattr(compared, "BLOCK", block)
    dataset = toy(sequences=4, frames=40)
    frames = candidates(dataset.frames(Split.POOL), 2)
    pixels = thumbnails(dataset, frames)
    found, own = measure(pixels, frames), plain_own(pixels)
    products = own @ own.T
    for threshold, views in zip(
        (0.6, 0.7, 0.8), (found.views_at[0], found.views_per_image, found.views_at[1]), strict=True
    ):
        assert views == plain_views(products >= threshold) / len(pixels)
    alike = (products >= 0.7) & ~np.eye(len(own), dtype=bool)
    names = np.array([frame.sequence for frame in frames])
    assert found.anywhere == alike.any(axis=1).mean()
    assert found.across_sequences == (alike & (names[:, None] != names)).any(axis=1).mean()
    beside = np.abs(np.subtract.outer(np.arange(len(own)), np.arange(len(own)))) == 1
    assert found.neighbours == (alike & beside & (names[:, None] == names)).any(axis=1).mean()
    assert 0.05 < found.views_per_image < 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.integers(1, 4))
def test_greedy_cover_is_that_of_the_definition(seed, count, kinds):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(kinds, 6))
    own = base[rng.integers(0, kinds, count)] + 0.5 * rng.normal(size=(count, 6))
    own = (own / np.linalg.norm(own, axis=1, keepdims=True)).astype(np.float32)
    copies = near_copies(own, ["a"] * count)
    for level, threshold in enumerate(compared.THRESHOLDS):
        alike = (own @ own.T >= threshold) | np.eye(count, dtype=bool)
        assert distinct_views(copies, level) == plain_views(alike.tolist())


def test_blank_images_are_copies_of_one_another_alone():
    pixels = np.full((30, 16, 16, 3), 90, np.uint8)
    assert measured(pixels).distinct_views == 1
    own = correlated(pixels)
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), 1)


@pytest.mark.parametrize(
    ("views", "images", "level"),
    [
        (40, 100, "high"),
        (41, 100, "unsure"),
        (54, 100, "unsure"),
        (55, 100, "low"),
        (2, 19, "unsure"),
    ],
)
def test_levels(views, images, level):
    found = Measured(images, views, (0.1, 0.9), 0.5, 0.6, None)
    assert found.level == level
    assert f"{views} distinct views in {images} images" in found.in_words()


def test_drawn_pools_of_longer_groups_show_fewer_views():
    dataset = toy(sequences=10, frames=220)
    frames = dataset.frames(Split.POOL)
    found = []
    for following in (0, 5, 11, 21):
        spec = FollowingFrames(kind="frames", size=264, consecutive=following)
        found.append(measured_redundancy(dataset, build_pool(spec, frames).frames))
    shares = [one.views_per_image for one in found]
    assert shares == sorted(shares, reverse=True)
    assert shares == pytest.approx([0.44, 0.14, 0.11, 0.08], abs=0.04)
    assert [one.level for one in found[1:]] == ["high"] * 3
    assert found[0].neighbours < found[1].neighbours


def test_reading_is_told_and_a_fault_names_its_file():
    class Painted:
        def read_image(self, name):
            if name == "00007":
                raise DataError.at(name, "is damaged")
            return np.full((4, 4, 3), int(name), np.uint8)

    seen = []
    pixels = thumbnails(Painted(), frames_of("a" * 7), lambda *now: seen.append(now))
    assert seen == [(done, 7) for done in range(1, 8)]
    assert [int(p[0, 0, 0]) for p in pixels] == list(range(7))
    with pytest.raises(DataError, match="00007"):
        thumbnails(Painted(), frames_of("a" * 9))


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    for folder, words in ((tmp_path, "holds no image"), (tmp_path / "gone", "is no folder")):
        with pytest.raises(InputError, match=words) as caught:
            LooseImages(folder).frames()
        assert caught.value.problems[0].where == "--images"


@pytest.mark.parametrize("name", REAL)
def test_real_data_measure_as_they_are_known_to(name):
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not here; set ALSPEC_REAL_DATA to the folder of such data")
    sequence, views, level = REAL[name]
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pixels = np.stack([pillow_resize(read_rgb(path), (16, 16)) for path in paths])
    frames = [Frame(ImageId(path.name), sequence(path.stem)) for path in paths]
    found = measure(pixels, frames)
    assert found.views_per_image == pytest.approx(views, abs=0.02)
    assert found.level == level
    order = np.random.default_rng(0).permutation(len(paths))
    renamed = [Frame(ImageId(f"{place:06d}"), "") for place in range(len(paths))]
    shuffled = measure(pixels[order], renamed)
    assert shuffled.views_per_image == pytest.approx(found.views_per_image, abs=0.01)
    assert shuffled.level == level


@pytest.mark.slow
def test_forty_thousand_thumbnails_take_seconds_and_little_memory():
    """In a process of its own: the peak is that of nothing else."""
    import subprocess
    import sys

    code = """
import resource, time
import numpy as np
from alspec.datasets.base import Frame
from alspec.datasets.pools.redundancy import measure
pixels = np.random.default_rng(0).integers(0, 256, (40_000, 16, 16, 3), np.uint8)
pixels[:10_000] = np.repeat(pixels[:500], 20, axis=0)
started = time.process_time()
found = measure(pixels, [Frame(f"{n:06d}", "a") for n in range(len(pixels))])
seconds = (time.process_time() - started) / 2
print(found.distinct_views, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    views, seconds, peak = int(said[0]), float(said[1]), int(said[2])
    assert views == 30_500
    assert seconds <= 30, "of two cores"
    assert peak < 700e6, "40,000 x 40,000 would be 6.4 GB"
