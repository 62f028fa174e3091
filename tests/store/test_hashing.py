"""A file is hashed once a process for as long as nothing touches it."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from alspec.errors import StoreError
from alspec.store import hashing as hashed
from alspec.store.store import Store

KEY = "a" * 64


@pytest.fixture
def reads(monkeypatch):
    """The files that were read to be hashed."""
    found, real = [], hashed.sha256_of

    def noting(path):
        found.append(path.name)
        return real(path)

    monkeypatch.setattr(hashed, "sha256_of", noting)
    return found


@pytest.fixture
def later(monkeypatch):
    """Has the files of this test look as if they were written a while ago."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + hashed.SETTLED_SECONDS + 1)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def edited(path):
    path.write_bytes(b"two")


def replaced(path):
    beside = path.with_name("beside")
    beside.write_bytes(b"two")
    beside.replace(path)


def edited_with_its_old_times(path):
    about = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.parametrize("change", [edited, replaced, edited_with_its_old_times])
def test_a_file_is_read_again_when_it_was_touched(tmp_path, reads, later, change):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    for _ in range(3):
        assert hashed.sha256_once(path) == sha256(path)
    assert reads == ["a.txt"]
    change(path)
    assert hashed.sha256_once(path) == sha256(path) == hashlib.sha256(b"two").hexdigest()
    assert reads == ["a.txt"] * 2


def test_a_file_that_may_still_change_unseen_is_read_every_time(tmp_path, reads):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    hashed.sha256_once(path)
    hashed.sha256_once(path)
    assert reads == ["a.txt"] * 2


def test_what_a_run_verified_it_does_not_read_again(tmp_path, reads, later):
    store = Store(tmp_path / "store")
    with store.draft(KEY, {}) as draft:
        (draft / "a.txt").write_text("one")
        (draft / "b.txt").write_text("two")
    store.verify(KEY)
    assert sorted(reads) == ["a.txt", "b.txt"]
    Store(store.root).read_lines(KEY, "a.txt")
    Store(store.root).verify(KEY)
    assert sorted(reads) == ["a.txt", "b.txt"]
    (store.home(KEY) / "a.txt").write_text("six")
    with pytest.raises(StoreError, match="SHA-256"):
        Store(store.root).read_lines(KEY, "a.txt")
