"""A training's checkpoints on disk: safetensors and JSON, whole or not at all, the newest two."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from alspec.errors import StoreError
from alspec.models.ranks import Ranks
from alspec.system import failpoints
from alspec.system.atomic import sha256_of, sync, write_bytes

RETAINED = 2
_ENDING = ".safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training, each a file that its own name gives the SHA-256 of.

    Attributes:
        folder: theirs alone; made when the first is written.
        training: names what is trained, on which images; written into each file, so that another
            training's checkpoint is none of this one's wherever its file comes to lie.
    """

    folder: Path
    training: str = ""

    def save(self, position: int, state: Mapping[str, object]) -> None:
        """Write a checkpoint; the older ones are removed once the new one reads back right.

        Args:
            position: iterations done.
            state: plain data and tensors, nested in mappings, lists and tuples.

        Raises:
            OSError: it cannot be written; the older ones stay.
            StoreError: what was written does not read back; the older ones stay.
        """
        failpoints.at("checkpoint.state", self.folder)
        data = _to_bytes(state, self._about(position))
        failpoints.at("checkpoint.hash", self.folder)
        digest = hashlib.sha256(data).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*"):  # a write that was killed
            left.unlink(missing_ok=True)
        path = self.folder / f"{position:010d}-{digest}{_ENDING}"
        failpoints.at("checkpoint.write", path)
        write_bytes(path, data)
        sync(self.folder)
        failpoints.at("checkpoint.verify", path)
        if sha256_of(path) != digest:
            path.unlink()
            raise StoreError(f"{path}: does not read back as it was written; is the disk sound?")
        for older in self._newest_first()[RETAINED:]:
            failpoints.at("checkpoint.remove", older)
            older.unlink(missing_ok=True)
        failpoints.at("checkpoint.saved", path)

    def valid(self) -> Iterator[dict[str, Any]]:
        """The states to resume from, the newest first.

        Files that are corrupt, or of another training or position than their place says, are
        removed.
        """
        for path in self._newest_first():
            try:
                failpoints.at("checkpoint.read", path)
                position, _, digest = path.name.removesuffix(_ENDING).partition("-")
                sound = not path.is_symlink() and sha256_of(path) == digest
                state = _from_file(path, self._about(int(position))) if sound else None
            except (OSError, SafetensorError, ValueError, KeyError, TypeError):
                state = None
            if isinstance(state, dict):
                yield state
            else:
                _remove(path)

    def clear(self) -> None:
        """Forget them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _about(self, position: int) -> dict[str, str]:
        return {"training": self.training, "position": str(position)}

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob(f"[0-9]*{_ENDING}"), reverse=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def shared(state: Mapping[str, object] | None, ranks: Ranks) -> dict[str, Any] | None:
    """The state that the first process has read, in all of them; None if it has none."""
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(None if state is None else _plain(state, tensors))
    plain = ranks.of_first(plain.encode()).decode()
    # As they lie in the message, tensors are not aligned as torch's generators read them.
    tensors = {name: t.clone() for name, t in load(ranks.of_first(save(tensors))).items()}
    restored = json.loads(plain)
    return None if restored is None else cast("dict[str, Any]", _restored(restored, tensors))


def _to_bytes(state: Mapping[str, object], about: Mapping[str, str]) -> bytes:
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_plain(state, tensors))
    data: bytes = save(tensors, {"state": plain, **about})
    return data


def _from_file(path: Path, about: Mapping[str, str]) -> object:
    """The state in a file; None if it is about something else."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        if any(metadata.get(name) != value for name, value in about.items()):
            return None
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return _restored(json.loads(metadata["state"]), tensors)


def _plain(value: object, tensors: dict[str, Tensor]) -> object:
    """A value as JSON; mappings keep the type of their keys, tensors are put aside by number."""
    if isinstance(value, Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _plain(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_plain(item, tensors) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint holds plain data and tensors, not {type(value).__name__}")


def _restored(value: object, tensors: Mapping[str, Tensor]) -> object:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _restored(item, tensors) for key, item in content}
    items = [_restored(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
