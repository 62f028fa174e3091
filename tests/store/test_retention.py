from __future__ import annotations

import os

import pytest

from alspec.store.retention import Retention


@pytest.fixture
def kept(tmp_path):
    return Retention(tmp_path / "retention")


def done(*keys):
    return set(keys).__contains__


def test_where_no_study_spoke_everything_may_go(kept):
    assert kept.may_drop("a", done())
    assert not kept.folder.exists()


def test_a_study_keeps_its_weights_until_it_says_otherwise(kept):
    kept.register("mine", {"a", "b"}, {})
    assert [kept.may_drop(key, done()) for key in "abc"] == [False, False, True]
    kept.register("other", (), {})
    assert not kept.may_drop("a", done())
    kept.register("mine", {"b"}, {})
    assert [kept.may_drop(key, done()) for key in "abc"] == [True, False, True]


def test_weights_stay_until_all_their_readers_are_done(kept):
    kept.register("mine", (), {"a": ("r", "s"), "b": ()})
    assert not kept.may_drop("a", done())
    assert not kept.may_drop("a", done("r"))
    assert kept.may_drop("a", done("r", "s"))
    assert kept.may_drop("b", done())


def test_a_study_that_says_the_same_again_writes_nothing(kept):
    kept.register("mine", ["b", "a"], {"a": ("s", "r")})
    path = kept.folder / "mine.json"
    os.utime(path, (1, 1))
    kept.register("mine", {"a", "b"}, {"a": ("r", "s")})
    assert path.stat().st_mtime == 1
    kept.register("mine", {"a"}, {"a": ("r", "s")})
    assert path.stat().st_mtime > 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", '{"keeps": []}', '{"keeps": [], "readers": []}',
             '{"keeps": [], "readers": {"a": 1}}', '{"keeps": null, "readers": {}}'],
)  # fmt: skip
def test_what_cannot_be_understood_keeps_everything_until_the_study_speaks(kept, text):
    kept.folder.mkdir()
    (kept.folder / "mine.json").write_text(text)
    assert not kept.may_drop("a", done())
    kept.register("mine", (), {})
    assert kept.may_drop("a", done())
