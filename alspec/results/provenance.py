"""With which versions of what the finished trainings were made; no host and no path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alspec.store.store import Store

DESCRIBED = "train.json"


def versions_of(store: Store, keys: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The versions of Python and each library, by name; several where trainings differ.

    Args:
        store: of the trainings.
        keys: of train steps; those that are not done are left out.

    Raises:
        StoreError: an artifact is damaged.
    """
    found: dict[str, dict[str, None]] = {}
    for key in dict.fromkeys(keys):
        if store.holds(key, DESCRIBED):
            versions = store.read_json(key, DESCRIBED).get("versions")
            for name, version in versions.items() if isinstance(versions, Mapping) else ():
                found.setdefault(str(name), {})[str(version)] = None
    return {name: tuple(versions) for name, versions in sorted(found.items())}
