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
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from alspec.store.drafts import sweep
from alspec.system import failpoints
from alspec.system.mounts import is_on_network
from alspec.system.processes import boot, cluster_job, here, is_alive, process_tag, start_of

HEARTBEAT_SECONDS = 15.0
"""How often a living process touches its leases."""

STALE_SECONDS = 90.0
"""A lease from another machine that was not touched for this long is that of a dead process."""

NETWORK_STALE_SECONDS = 180.0
"""The same on a network disk: a machine may see a file's time as it was a minute ago, and a server
that is started anew is silent for another minute."""

CLOCK_SECONDS = 60.0
"""Between two looks at the disk's clock; in between it goes as fast as this machine's."""

EMPTY_SECONDS = 10.0
"""An empty lease is one that a power cut left: a live one is filled at once."""

MOST_REMEMBERED = 10_000
"""Leases whose text is cached in memory."""

Listed: TypeAlias = Mapping[str, Sequence[Path]]
"""The files of leases by key."""

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
        job: the job of a cluster that it is part of, as `slurm-123_4`; empty for none.
        since: when it took the lease, by the disk's clock; 0 where that is not known.
        limit: age from which a process of another machine counts as dead.
    """

    host: str
    here: str
    boot: str
    process: int
    start: str
    age: float = 0.0
    ahead: float = 0.0
    job: str = ""
    since: float = 0.0
    limit: float = STALE_SECONDS

    @classmethod
    def me(cls, since: float = 0.0) -> Holder:
        """This process."""
        process = os.getpid()
        me = cls(socket.gethostname(), here(), boot(), process, start_of(process))
        return replace(me, job=cluster_job(), since=since)

    @property
    def lives(self) -> bool:
        """Whether the process is there; of another machine's, whether it was heard of lately.

        Where the system hides other users' processes, one of this number is there, and may be a
        later one: then too it counts when it was heard of.
        """
        if (self.here, self.boot) != (here(), boot()):
            return self.age < self.limit
        start = start_of(self.process)
        if not start or not self.start:
            return is_alive(self.process) and self.age < self.limit
        return is_alive(self.process) and start == self.start

    @property
    def name(self) -> str:
        """The process, its machine and its job, as people call them."""
        job = f" ({self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}"

    def __str__(self) -> str:
        if self.ahead:
            return (
                f"{self.name}, whose lease is dated {self.ahead:.0f} s in the future: a clock was "
                f"set; it is taken over if it does not change for {self.limit:.0f} s,"
            )
        return f"{self.name}, last heard of {self.age:.0f} s ago"


def stale_seconds(folder: Path) -> float:
    """The age from which a lease in a folder is that of a dead process, by its file system."""
    return NETWORK_STALE_SECONDS if is_on_network(folder) else STALE_SECONDS


def living_holders(folder: Path, keys: Collection[str]) -> dict[str, Holder]:
    """The living processes that hold some steps, by key; takes nothing and changes nothing.

    Args:
        folder: of the leases.
        keys: of the steps.
    """
    leases, found = Leases(folder), {}
    for key, paths in leases.listed().items():
        if key in keys:
            for holder in filter(None, (leases.seen(path) for path in paths)):
                if holder.lives:
                    found[key] = holder
    return found


@dataclass
class Leases:
    """The leases of this process below one folder; released in the end by `close`.

    Attributes:
        folder: of all leases of a store.
        limit: age from which a process of another machine counts as dead; None as
            `stale_seconds` says.
        died: hears of each dead process whose lease was taken over, while the lease is this
            process's: a step's key, and who it was.
    """

    folder: Path
    limit: float | None = None
    died: Callable[[str, Holder], None] = lambda _key, _holder: None
    _said: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = field(default_factory=dict)
    _clock: tuple[float, float] | None = None
    _mine: dict[str, Path] = field(default_factory=dict)
    _ahead: dict[Path, tuple[int, float]] = field(default_factory=dict)
    _closed: threading.Event = field(default_factory=threading.Event)
    _beating: threading.Thread | None = None

    def take(self, key: str, listed: Listed | None = None) -> Holder | None:
        """Claim a step.

        Args:
            key: the step's.
            listed: what `listed` returned a moment ago, so that of many keys not each is looked
                for in the folder; before anything is claimed, the folder is asked anew.

        Returns:
            None if it is this process's now, else the living process that holds it.
        """
        if key in self._mine:
            return None
        if self._beating is None:
            self._begin()
        there = self._numbered(key).values() if listed is None else listed.get(key, ())
        for path in there:  # to look costs less than to ask
            if (holder := self.seen(path)) and holder.lives:
                return holder
        mine = self.folder / f"asked.{process_tag()}"
        failpoints.at("lease.write", mine)
        try:
            now = _write_synced(mine)  # the disk's clock, not this machine's
            self._clock = (now, time.monotonic())
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
        dead: list[Holder] = []
        for path in self._numbered(key).values():
            if path == lease:
                continue
            if (holder := self._holder(path, now)) and holder.lives:
                lease.unlink(missing_ok=True)
                return holder
            dead += [holder] if holder else []
            with suppress(PermissionError):  # somebody else's, in a folder where each has his own
                path.unlink(missing_ok=True)
        self._mine[key] = lease
        for holder in dead:
            self.died(key, holder)
        return None

    def release(self, key: str) -> None:
        """Give a step free, done or not."""
        path = self._mine.pop(key, None)
        if path is not None:
            failpoints.at("lease.release", path)
            path.unlink(missing_ok=True)

    def listed(self) -> Listed:
        """The leases by key, whoever holds them: one look at the folder."""
        found: dict[str, list[Path]] = {}
        for path in self.folder.glob("*.*"):
            key, _, number = path.name.rpartition(".")
            if number.isdigit():
                found.setdefault(key, []).append(path)
        there = {path for paths in found.values() for path in paths}
        for remembered in (self._said, self._ahead):  # a study has thousands, one after another
            for path in remembered.keys() - there:
                del remembered[path]
        return found

    def keys(self) -> set[str]:
        """The keys that have a lease, whoever holds it."""
        return set(self.listed())

    def seen(self, path: Path) -> Holder | None:
        """Who holds a lease, as it looks without writing anything; None if it is gone."""
        return self._holder(path, self.now())

    def now(self) -> float:
        """The disk's clock, as it was when something was last written, and the time since."""
        if self._clock is None or time.monotonic() - self._clock[1] > CLOCK_SECONDS:
            self._clock = (_clock_of(self.folder), time.monotonic())
        return self._clock[0] + time.monotonic() - self._clock[1]

    def clear(self) -> None:
        """Remove what dead processes left; each lease is taken first, so none is pulled away."""
        if not self.folder.is_dir():
            return
        listed = self.listed()
        for key in sorted(listed):
            if self.take(key, listed) is None:
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
        limit = self._limit()
        try:
            fields = self._text(path, (about.st_ino, about.st_mtime_ns))
            return Holder(**{**fields, "age": age, "ahead": ahead, "limit": limit})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            empty = about.st_size == 0 and age >= EMPTY_SECONDS
            age = max(age, limit) if empty else age
            return Holder("a machine unknown", "", "?", 0, "", age, ahead, limit=limit)

    def _text(self, path: Path, version: tuple[int, int]) -> dict[str, Any]:
        """What a lease says, read again when it was touched: another may have taken its name."""
        known = self._said.get(path)
        if known is None or known[0] != version:
            if len(self._said) > MOST_REMEMBERED:
                self._said.clear()
            known = self._said[path] = (version, json.loads(path.read_text("utf-8")))
        return known[1]

    def _limit(self) -> float:
        if self.limit is None:
            self.limit = stale_seconds(self.folder)
        return self.limit

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            self.touch()

    def _numbered(self, key: str) -> dict[int, Path]:
        found = {path.name.rpartition(".")[2]: path for path in self.folder.glob(f"{key}.*")}
        return {int(number): path for number, path in found.items() if number.isdigit()}


def _write_synced(path: Path) -> float:
    """Write who this process is, on the disk before anything refers to it; the disk's time then."""
    with path.open("w", encoding="utf-8") as file:
        since = os.fstat(file.fileno()).st_mtime
        file.write(json.dumps(asdict(Holder.me(since))))
        file.flush()
        os.fsync(file.fileno())
    return path.stat().st_mtime


def _clock_of(folder: Path) -> float:
    """What a file has for a time that is written now; this machine's time where none can be."""
    probe = folder / f"asked.{process_tag()}"
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


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
