"""Calls of a plugin's code from a step: whatever it raises names the plugin and its package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from alspec import plugins
from alspec.errors import AlspecError, PluginError


@contextmanager
def blamed_on(method: str) -> Iterator[None]:
    """Turn what an acquisition function raises in the block into an error that names its package.

    Memory that runs out is not its fault alone: that passes through, for the worker to explain.

    Args:
        method: the function's name on the entry point `alspec.acquisition`.

    Raises:
        PluginError: with the exception's type and text, from it.
    """
    try:
        yield
    except AlspecError:
        raise
    except (Exception, SystemExit) as err:
        if isinstance(err, (MemoryError, torch.OutOfMemoryError)) or _is_of_memory(err):
            raise
        raise PluginError(
            f"{plugins.maker('alspec.acquisition', method)} raised {type(err).__name__}: {err}; "
            "nothing was selected. The log has its traceback; `alspec plugins check` tries it alone"
        ) from err


def _is_of_memory(err: BaseException) -> bool:
    return isinstance(err, RuntimeError) and "memory" in str(err).lower()
