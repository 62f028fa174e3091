"""Makes `import mmseg` work without mmcv's compiled ops; import this before any mmseg module."""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from importlib.machinery import ModuleSpec
from typing import NoReturn

from alspec.models.nets import yapf_cache  # isort: skip  (needed by the imports of mmengine)

__all__ = ["import_mmseg", "use_mmseg_scope", "yapf_cache"]

_EXT = "mmcv._ext"


def _stand_in() -> types.ModuleType:
    """A module that has every op by name; calling one says what is missing."""
    module = types.ModuleType(_EXT)
    module.__spec__ = ModuleSpec(_EXT, None)

    def op(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_args: object, **_kwargs: object) -> NoReturn:
            raise RuntimeError(
                f"this model calls the compiled op `{name}`, which mmcv-lite does not have. "
                "Install the full mmcv (>=2.0.0rc4,<2.2) in place of mmcv-lite, or choose another "
                "model"
            )

        return missing

    module.__getattr__ = op  # type: ignore[method-assign]
    return module


def import_mmseg() -> None:
    """Import mmseg's models once, quietly, with a placeholder for the ops where there are none.

    The placeholder is removed again: mmengine looks later for compiled ops, and must find none.
    """
    if "mmseg.models" in sys.modules:
        return
    import mmcv  # noqa: F401

    compiled = importlib.util.find_spec(_EXT) is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not compiled:
            sys.modules[_EXT] = _stand_in()
        try:
            import mmseg.models
            import mmseg.structures  # noqa: F401
        finally:
            if not compiled:
                del sys.modules[_EXT]


def use_mmseg_scope() -> None:
    """Let mmengine's registries look names up in mmseg, and its logger say errors only."""
    from mmengine.logging import MMLogger
    from mmengine.registry import DefaultScope

    DefaultScope.get_instance("alspec", scope_name="mmseg")
    MMLogger.get_instance("alspec", log_level="ERROR")


import_mmseg()
use_mmseg_scope()
