"""Decodes images in threads before they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

WINDOW = 8
"""Images a thread may be ahead of what was taken: what the disk does not keep takes memory."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Prefetcher(Generic[_Key, _Value]):
    """Values made in threads in the order they are wanted in, a few ahead of what was taken."""

    def __init__(
        self,
        make: Callable[[_Key], _Value],
        wanted: Iterable[_Key],
        threads: int,
        is_there: Callable[[_Key], bool],
    ) -> None:
        """Nothing is made before the first `take`.

        Args:
            make: called in threads.
            wanted: what will be taken, in that order; read a little at a time.
            threads: at least one.
            is_there: what need not be made; asked just before.
        """
        self._make = make
        self._wanted = iter(wanted)
        self._is_there = is_there
        self._most = WINDOW * threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._made: dict[_Key, Future[_Value]] = {}

    def __enter__(self) -> Prefetcher[_Key, _Value]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def take(self, key: _Key) -> _Value | None:
        """What was made, once it is; None for what was not begun. Raises what making it raised."""
        self._go_on()
        made = self._made.pop(key, None)
        return made.result() if made else None

    def _go_on(self) -> None:
        while len(self._made) < self._most:
            key = next(self._wanted, None)
            if key is None:
                return
            if key not in self._made and not self._is_there(key):
                self._made[key] = self._threads.submit(self._make, key)
