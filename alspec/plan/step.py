"""A step: what it computes, from what, and the key that names its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from alspec.plan.kinds import KINDS, Kind
from alspec.store.manifest import LocalPaths, Recipe, StepRecord

_DEVICES = "devices"
"""The parameter of a step that several devices do together."""

StepKey = NewType("StepKey", str)
"""64 hexadecimal digits: the SHA-256 of a step's recipe."""


@dataclass(frozen=True)
class Step:
    """One node of the plan.

    Attributes:
        kind: what is computed.
        params: everything that changes the result, plain data.
        inputs: role to the key of the step whose artifacts are read.
        local_paths: dataset root and files on this machine; never in the key.
        label: how people call it: `toy 10-10 entropy ssl seed 0 cycle 2`.
        key: SHA-256 of kind, version, params and inputs; derived.
    """

    kind: Kind
    params: Mapping[str, object]
    inputs: Mapping[str, StepKey] = field(default_factory=dict)
    local_paths: LocalPaths = field(default_factory=dict)
    label: str = ""
    key: StepKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _key(self.recipe))

    @property
    def devices(self) -> int:
        """How many devices do it together."""
        devices = self.params.get(_DEVICES)
        return devices if isinstance(devices, int) else 1

    @property
    def seed_key(self) -> str:
        """What its random numbers come from: the key, but the same for any number of devices."""
        if _DEVICES not in self.params:
            return self.key
        recipe = self.recipe
        recipe["params"] = {k: v for k, v in self.params.items() if k != _DEVICES}
        return _key(recipe)

    @property
    def recipe(self) -> Recipe:
        """What the key is made of."""
        return {
            "kind": self.kind.name,
            "version": self.kind.version,
            "params": dict(self.params),
            "inputs": dict(self.inputs),
        }

    def to_json(self) -> StepRecord:
        """All a worker needs to know, as plain data."""
        return {
            "key": self.key,
            "recipe": self.recipe,
            "places": dict(self.local_paths),
            "label": self.label,
        }

    @classmethod
    def from_json(cls, data: StepRecord) -> Step:
        """The step that `to_json` described."""
        recipe = data["recipe"]
        return cls(
            kind=KINDS[recipe["kind"]],
            params=recipe["params"],
            inputs={role: StepKey(key) for role, key in recipe["inputs"].items()},
            local_paths=data["places"],
            label=data["label"],
        )


def _key(recipe: Recipe) -> StepKey:
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return StepKey(hashlib.sha256(text.encode()).hexdigest())


def seed_of(key: str, role: str) -> int:
    """The seed of one role of one step, 63 bits; the step's key holds the study's seed."""
    digest = hashlib.sha256(f"{key}/{role}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
