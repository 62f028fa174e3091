"""Which process works on which step: one file a lease, no locks, so it holds on network disks.

A lease is made by linking a file that says who holds it to the first free number of its key, then
looking whether another living process has announced one as well. Of two that do so at the same time
at least one sees the other and steps back. The lease of a dead process is passed over by a number
above it and then removed.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from alspec.store.drafts import sweep
from alspec.system import failpoints
from alspec.system.processes import boot, here, is_alive, process_tag, start_of

HEARTBEAT_SECONDS = 15.0
"""How often a living process touches its leases."""

STALE_SECONDS = 90.0
"""A lease from another machine that was not touched for this long is that of a dead process."""


EMPTY_SECONDS = 10.0
"""An empty lease is one that a power cut left: a live one is filled at once."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease.

    Attributes:
        host: its machine's name.
        here: its machine and process numbers, hashed.
        boot: when that machine was started, as the system names it.
        process: its number.
        start: when it was started, as the system counts.
        age: seconds since it last touched the lease.
        ahead: seconds that the lease is dated in the future, by the disk's clock.
    """

    host: str
    here: str
    boot: str
    process: int
    start: str
    age: float = 0.0
    ahead: float = 0.0

    @classmethod
    def me(cls) -> Holder:
        """This process."""
        return cls(socket.gethostname(), here(), boot(), os.getpid(), start_of(os.getpid()))

    @property
    def lives(self) -> bool:
        """Whether the process is there; of another machine's, whether it was heard of lately.

        Where the system hides other users' processes, one of this number is there, and may be a
        later one: then too it counts when it was heard of.
        """
        if (self.here, self.boot) != (here(), boot()):
            return self.age < STALE_SECONDS
        start = start_of(self.process)
        if not start or not self.start:
            return is_alive(self.process) and self.age < STALE_SECONDS
        return is_alive(self.process) and start == self.start

    def __str__(self) -> str:
        if self.ahead:
            return (
                f"process {self.process} on {self.host}, whose lease is dated {self.ahead:.0f} s "
                f"in the future: a clock was set; it is taken over if it does not change for "
                f"{STALE_SECONDS:.0f} s,"
            )
        return f"process {self.process} on {self.host}, last heard of {self.age:.0f} s ago"


@dataclass
class Leases:
    """The leases of this process below one folder; released in the end by `close`."""

    folder: Path
    _mine: dict[str, Path] = field(default_factory=dict)
    _ahead: dict[Path, tuple[int, float]] = field(default_factory=dict)
    _closed: threading.Event = field(default_factory=threading.Event)
    _beating: threading.Thread | None = None

    def take(self, key: str) -> Holder | None:
        """Claim a step.

        Returns:
            None if it is this process's now, else the living process that holds it.
        """
        if key in self._mine:
            return None
        if self._beating is None:
            self._begin()
        mine = self.folder / f"asked.{process_tag()}"
        failpoints.at("lease.write", mine)
        try:
            _write_synced(mine, json.dumps(asdict(Holder.me())))
            now = mine.stat().st_mtime  # the disk's clock, not this machine's
            return self._link(key, mine, now)
        finally:
            with suppress(OSError):
                mine.unlink(missing_ok=True)

    def _link(self, key: str, mine: Path, now: float) -> Holder | None:
        found = self._numbered(key)
        for path in found.values():
            if (holder := self._holder(path, now)) and holder.lives:
                return holder
        lease = self.folder / f"{key}.{max(found, default=0) + 1}"
        failpoints.at("lease.link", lease)
        if not _announced(mine, lease):
            holder = self._holder(lease, now)
            return holder if holder and holder.lives else self._link(key, mine, now)
        failpoints.at("lease.linked", lease)
        for path in self._numbered(key).values():
            if path == lease:
                continue
            if (holder := self._holder(path, now)) and holder.lives:
                lease.unlink(missing_ok=True)
                return holder
            with suppress(PermissionError):  # somebody else's, in a folder where each has his own
                path.unlink(missing_ok=True)
        self._mine[key] = lease
        return None

    def release(self, key: str) -> None:
        """Give a step free, done or not."""
        path = self._mine.pop(key, None)
        if path is not None:
            failpoints.at("lease.release", path)
            path.unlink(missing_ok=True)

    def keys(self) -> set[str]:
        """The keys that have a lease, whoever holds it."""
        names = (path.name.rpartition(".") for path in self.folder.glob("*.*"))
        return {key for key, _, number in names if number.isdigit()}

    def clear(self) -> None:
        """Remove what dead processes left; each lease is taken first, so none is pulled away."""
        if not self.folder.is_dir():
            return
        for key in sorted({path.name.rpartition(".")[0] for path in self.folder.glob("*.*")}):
            if not key.startswith("asked") and self.take(key) is None:
                self.release(key)

    def close(self) -> None:
        """Give everything free."""
        self._closed.set()
        for key in list(self._mine):
            with suppress(OSError):
                self.release(key)

    def touch(self) -> None:
        """Renew the heartbeat, so that other machines see that this process lives."""
        for path in list(self._mine.values()):
            with suppress(OSError):
                os.utime(path)

    def _holder(self, path: Path, now: float) -> Holder | None:
        """Who holds a lease; None if it is gone. One that says nothing is as old as it looks."""
        try:
            about = path.stat()
        except FileNotFoundError:
            return None
        age = now - about.st_mtime
        ahead = max(0.0, -age) if age < -1 else 0.0
        if ahead:  # dated by another clock: it ages by ours, from when it was first seen like this
            seen = self._ahead.get(path)
            if seen is None or seen[0] != about.st_mtime_ns:
                seen = self._ahead[path] = (about.st_mtime_ns, time.monotonic())
            age = time.monotonic() - seen[1]
        age = max(0.0, age)
        try:
            text = path.read_text("utf-8")
            return Holder(**{**json.loads(text), "age": age, "ahead": ahead})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            empty = about.st_size == 0 and age >= EMPTY_SECONDS
            age = max(age, STALE_SECONDS) if empty else age
            return Holder("a machine unknown", "", "?", 0, "", age, ahead)

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            self.touch()

    def _numbered(self, key: str) -> dict[int, Path]:
        return dict(self._leases_of(key))

    def _leases_of(self, key: str) -> Iterator[tuple[int, Path]]:
        for path in self.folder.glob(f"{key}.*"):
            number = path.name.rpartition(".")[2]
            if number.isdigit():
                yield int(number), path


def _write_synced(path: Path, text: str) -> None:
    """Write a file that is on the disk before anything refers to it."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _announced(mine: Path, lease: Path) -> bool:
    """Put a lease in its place, unless one is there."""
    try:
        os.link(mine, lease)
    except FileExistsError:  # network disks say so of a link that was asked for twice, too
        try:
            return lease.samefile(mine)
        except FileNotFoundError:  # its holder has released it meanwhile
            return False
    except OSError as err:
        if err.errno not in _NO_LINKS:
            raise
        try:
            with lease.open("x", encoding="utf-8") as file:
                file.write(mine.read_text("utf-8"))
        except FileExistsError:
            return False
    return True
