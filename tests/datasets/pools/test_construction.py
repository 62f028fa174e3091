from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alspec.datasets.base import Frame, ImageId
from alspec.datasets.pools.construction import build_pool, candidates, short_name
from alspec.errors import DataError
from alspec.spec.model import AllFrames, EveryNth, FollowingFrames, ListedFrames


def video(*lengths):
    return tuple(
        Frame(ImageId(f"s{sequence}/{place:05d}"), f"s{sequence}")
        for sequence, length in enumerate(lengths)
        for place in range(length)
    )


def following(size, consecutive, seed=0):
    return FollowingFrames(kind="frames", size=size, consecutive=consecutive, seed=seed)


def places(pool):
    """Sequence to the places chosen in it."""
    found = {}
    for frame in pool.frames:
        found.setdefault(frame.sequence, []).append(int(frame.id.split("/")[1]))
    return found


def test_all_and_every():
    frames = video(5, 2, 7)
    assert build_pool(AllFrames(), frames).frames == frames
    chosen = build_pool(EveryNth(kind="every", n=3), frames)
    assert places(chosen) == {"s0": [0, 3], "s1": [0], "s2": [0, 3, 6]}
    assert candidates(frames, 1) == frames
    assert candidates(chosen.frames, 2) == tuple(chosen.frames[i] for i in (0, 2, 3, 5))


def test_every_counts_inside_interleaved_sequences():
    frames = tuple(Frame(ImageId(f"{i}"), "ab"[i % 2]) for i in range(8))
    assert [frame.id for frame in candidates(frames, 2)] == ["0", "1", "4", "5"]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    consecutive=st.integers(0, 6),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 2**40),
)
def test_groups_are_whole_separate_and_always_found_when_they_fit(
    lengths, consecutive, share, seed
):
    frames = video(*lengths)
    length = consecutive + 1
    room = sum(n // length for n in lengths)
    if room == 0:
        with pytest.raises(DataError):
            build_pool(following(length, consecutive, seed), frames)
        return
    groups = max(1, round(room * share))
    pool = build_pool(following(groups * length, consecutive, seed), frames)
    assert len(pool.frames) == len(set(pool.frames)) == groups * length
    assert list(pool.frames) == [frame for frame in frames if frame in set(pool.frames)]
    for chosen in places(pool).values():
        runs = np.split(chosen, np.flatnonzero(np.diff(chosen) != 1) + 1)
        assert all(len(run) % length == 0 for run in runs)
    assert pool == build_pool(following(groups * length, consecutive, seed), frames)


def test_what_does_not_fit_is_told_with_the_number_that_does():
    frames = video(11, 5, 3)
    assert len(build_pool(following(12, 3), frames).frames) == 12
    with pytest.raises(DataError, match=r"4 groups, but only 3 fit.*size 12") as caught:
        build_pool(following(16, 3), frames)
    assert caught.value.problems[0].loc == ("redundancy", "size")


def test_every_arrangement_of_groups_in_a_sequence_is_equally_likely():
    frames = video(7)
    arrangements = [
        (a, b) for a, b in combinations(range(6), 2) if b - a >= 2
    ]  # starts of two pairs in 7 frames
    starts = Counter()
    draws = 2000
    for seed in range(draws):
        chosen = places(build_pool(following(4, 1, seed), frames))["s0"]
        starts[(chosen[0], chosen[2])] += 1
    assert set(starts) == set(arrangements)
    expected = draws / len(arrangements)
    assert sum((n - expected) ** 2 / expected for n in starts.values()) < 27.9  # 0.1 %, 9 d.o.f.


def test_single_frames_are_a_plain_random_sample():
    frames = video(2, 6, 4)
    counts = Counter()
    draws = 1500
    for seed in range(draws):
        counts.update(build_pool(following(3, 0, seed), frames).frames)
    expected = draws * 3 / len(frames)
    assert len(counts) == len(frames)
    assert max(abs(n - expected) for n in counts.values()) < 5 * expected**0.5


def test_sequences_share_groups_by_their_room():
    shares = [
        len(places(build_pool(following(20, 1, seed), video(60, 20))).get("s0", ())) / 20
        for seed in range(300)
    ]
    assert np.mean(shares) == pytest.approx(0.75, abs=0.02)


def test_golden_pools():
    """Fixed forever: a pool must be the same next year (numpy's Generator, PCG64)."""
    assert places(build_pool(following(6, 2, seed=0), video(10, 8))) == GOLDEN[0]
    assert places(build_pool(following(5, 0, seed=7), video(10, 8))) == GOLDEN[1]
    assert places(build_pool(following(12, 1, seed=3), video(9, 9, 9))) == GOLDEN[2]


GOLDEN = (
    {"s0": [0, 1, 2, 3, 4, 5]},
    {"s0": [2, 6, 7], "s1": [1, 6]},
    {"s0": [2, 3], "s1": [2, 3, 5, 6], "s2": [0, 1, 2, 3, 6, 7]},
)


def listed(path):
    return ListedFrames(kind="list", path=str(path))


def test_a_list_keeps_time_order_and_counts_repeats_once(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# my pool\r\ns1/00001\r\n\r\n  s0/00002 \r\ns1/00001\r\ns0/00002\r\ns0/00000"
    )
    pool = build_pool(listed(path), video(3, 3))
    assert [frame.id for frame in pool.frames] == ["s0/00000", "s0/00002", "s1/00001"]
    (note,) = pool.notes
    assert "mine.txt: 2 repeated lines" in note
    assert "line 5, which repeats line 2" in note
    path.write_text("s1/00001\n")
    assert build_pool(listed(path), video(3, 3)).notes == ()


def test_unknown_ids_are_told_with_their_lines(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("s0/00000\nnot/there\n" + "".join(f"x{i}\n" for i in range(30)))
    with pytest.raises(DataError) as caught:
        build_pool(listed(path), video(3))
    problems = caught.value.problems
    assert problems[0].where == f"{path}:2"
    assert "not/there" not in problems[0].what, "a list is a file that may hold a secret"
    assert "s0/00000" in problems[0].what
    assert len(problems) == 21
    assert "11 more" in problems[-1].what


def test_lists_that_cannot_be_read(tmp_path):
    for content, word in ((b"\n# nothing\n", "no image"), (b"\xff\xfe\0", "UTF-8")):
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(DataError, match=word) as caught:
            build_pool(listed(tmp_path / "a.txt"), video(3))
        assert caught.value.problems[0].loc == ("redundancy", "path")
    with pytest.raises(DataError, match="No such file"):
        build_pool(listed(tmp_path / "missing.txt"), video(3))


def test_short_names():
    assert short_name(AllFrames()) == "all"
    assert short_name(EveryNth(kind="every", n=5)) == "every-5"
    assert short_name(following(2640, 5)) == "frames-440x6"
    assert short_name(listed("some/pool_11f.txt")) == "list-pool_11f"
