"""Runs a network again only from its first dropout on: what comes before is the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias, TypeGuard

from torch import Tensor, nn

Output: TypeAlias = "Tensor | list[Output] | tuple[Output, ...]"
"""What a module gives that can be copied."""


class CachedPrefix:
    """What a network computes before its first dropout layer, cached between passes.

    The first pass records the outputs of all modules that end before a module in training mode is
    called (while sampling, those are the dropout layers alone), outermost ones only. Later passes
    replay these outputs in the order of the calls and compute the rest. Whatever lies
    between modules is computed in every pass, so any network will do whose modules are called in
    the same order on the same inputs.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._outputs: list[tuple[nn.Module, Output]] = []
        self._recorded = False

    @contextmanager
    def reused(self) -> Iterator[None]:
        """For one pass over the network; the modules are as they were when the block ends."""
        run: Callable[..., object] = (
            _Replay(self._outputs) if self._recorded else _Record(self._outputs)
        )
        before = [(module, vars(module).get("forward")) for module in self._network.modules()]
        for module, _ in before:
            vars(module)["forward"] = partial(run, module, module.forward)
        try:
            yield
            self._recorded = True
        finally:
            if not self._recorded:
                self._outputs = []
            for module, forward in before:
                del vars(module)["forward"]
                if forward is not None:
                    vars(module)["forward"] = forward


class _Record:
    """Runs modules, and records outputs until the first module in training mode is called."""

    def __init__(self, outputs: list[tuple[nn.Module, Output]]) -> None:
        self._outputs = outputs
        self._open = True

    def __call__(
        self, module: nn.Module, forward: Callable[..., object], *args: object, **kwargs: object
    ) -> object:
        self._open = self._open and not module.training
        inner = len(self._outputs)
        output = forward(*args, **kwargs)
        if self._open and _can_be_copied(output):
            self._outputs[inner:] = [(module, _copy(output))]
        return output


class _Replay:
    """Replays recorded outputs, call by call, and runs what is left."""

    def __init__(self, outputs: list[tuple[nn.Module, Output]]) -> None:
        self._outputs = iter(outputs)
        self._next = next(self._outputs, None)

    def __call__(
        self, module: nn.Module, forward: Callable[..., object], *args: object, **kwargs: object
    ) -> object:
        if self._next is None or self._next[0] is not module:
            return forward(*args, **kwargs)
        output = _copy(self._next[1])
        self._next = next(self._outputs, None)
        return output


def _can_be_copied(output: object) -> TypeGuard[Output]:
    if isinstance(output, (list, tuple)) and type(output) in (list, tuple):
        return all(_can_be_copied(item) for item in output)
    return isinstance(output, Tensor)


def _copy(output: Output) -> Output:
    """A copy, since what follows may change it in place."""
    if isinstance(output, Tensor):
        return output.clone()
    if isinstance(output, list):
        return [_copy(item) for item in output]
    return tuple(_copy(item) for item in output)
