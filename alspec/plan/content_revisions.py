"""What the files of a dataset contained when a store first saw them, and whether they still do.

A dataset's fingerprint is of names and sizes: cheap, and the same in every version. So that labels
rewritten at the same size are noticed all the same, a store records the SHA-256 over all files at
first sight of a fingerprint. While they hold the same, keys are as they always were; once they hold
something else, keys have that SHA-256 as their `content`, and steps are recomputed. What a store
has of the first content stays, and is right again when the files are put back.
"""

from __future__ import annotations

from alspec.datasets.base import Dataset, Split
from alspec.datasets.files.contents import FileContents, combined
from alspec.datasets.files.paired import PairedFiles
from alspec.errors import InputError
from alspec.store.store import Store
from alspec.system.array_cache import ArrayCache


class ContentRevisions:
    """Compares the files of datasets with what a store recorded of them.

    Args:
        store: whose records count.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache = ArrayCache.of_user(store.folders.checked)
        self._contents: dict[str, FileContents] = {}
        self._known: dict[tuple[str, str], str] = {}

    def of(self, dataset: Dataset) -> dict[str, str]:
        """The SHA-256 of the content of each split that is not the recorded one, by split.

        Files are hashed only where there is a record, and then only those that were touched.

        Raises:
            DataError: a file cannot be read.
        """
        found = {}
        for split in Split:
            recorded = self._store.recorded_content(dataset.fingerprint(split))
            content = self._content(dataset, split) if recorded else None
            if content and content != recorded:
                found[split.value] = content
        return found

    def record(self, dataset: Dataset, revisions: dict[str, str]) -> None:
        """Record what files hold whose fingerprint the store has not seen.

        Args:
            dataset: with its files.
            revisions: as `of` gave them for the plan that is about to run.

        Raises:
            InputError: another process recorded other contents, or files changed, since then.
        """
        for split in Split:
            content = self._content(dataset, split)
            if content is None:
                continue
            first = self._store.record_content(dataset.fingerprint(split), content)
            if (None if content == first else content) != revisions.get(split.value):
                what = "its files changed since the plan was made; run again"
                raise InputError.at(dataset.spec.name, what)

    def _content(self, dataset: Dataset, split: Split) -> str | None:
        """SHA-256 over the files of a split; None for a kind that has none, or whose masks come."""
        files = getattr(dataset, "original", dataset)
        if not isinstance(files, PairedFiles) or files.spec.MASKS_CHANGE:
            return None
        key = (str(files.root), files.fingerprint(split))
        if key not in self._known:
            listed = [file for pair in files.files(split) for file in pair]
            contents = self._contents.setdefault(key[0], FileContents(self._cache, files.root))
            digests = contents.digests(listed)
            contents.save(self._cache)
            named = zip((file.name for file in listed), digests, strict=True)
            self._known[key] = combined(named)
        return self._known[key]
