"""What the dataset kinds share that have an image file and a mask file for each frame."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from alspec.datasets.base import Frame, Image, ImageId, Mask, Split, resolve
from alspec.datasets.files.contents import ListedFile, sha256_of_file
from alspec.datasets.files.decoding import read_rgb
from alspec.datasets.files.inspectors import inspect_all
from alspec.datasets.files.links import refuse_outside
from alspec.datasets.files.listing import Pair
from alspec.datasets.files.listing_cache import KnownListing, ListingCache
from alspec.datasets.files.unchanged import WatchedFiles
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec, OptionalPath


class RootedSpec(DatasetSpec):
    """A dataset that is a tree of files, so that it needs a root."""

    HOLDS: ClassVar[str]
    """What the root holds, in words."""

    root: OptionalPath = Field(
        default=None, validate_default=True, description="folder that holds the dataset"
    )

    follow_links: bool = Field(
        default=False, description="read files that links lead to outside of the root"
    )

    @field_validator("root")
    @classmethod
    def _root_is_needed(cls, root: str | None) -> str:
        if root is None:
            raise PydanticCustomError(
                "root", "`root` is needed: the folder that holds {holds}", {"holds": cls.HOLDS}
            )
        return root


class PairedFiles(ABC):
    """Lists its pairs of files once, and reads them one by one; a kind says where they lie."""

    kind: ClassVar[str]
    Spec: ClassVar[type[DatasetSpec]]
    spec: RootedSpec

    def __init__(self, spec: RootedSpec) -> None:
        self.spec = spec
        self._pairs: dict[Split, dict[ImageId, Pair]] = {}
        self._known: dict[Split, KnownListing] = {}
        self._watched = WatchedFiles()

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the class id."""

    @abstractmethod
    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split in time order. Raises DataError, all problems at once."""

    @abstractmethod
    def read_mask_file(self, path: Path) -> Mask:
        """A mask file as class ids and `IGNORE`, (H, W). Raises DataError naming the file."""

    def read_image_file(self, path: Path) -> Image:
        """An image file as RGB, (H, W, 3). Raises DataError naming the file."""
        return read_rgb(path)

    @property
    def reads_by_path(self) -> bool:
        """Whether paths and the spec are all that reading takes, so that any process can."""
        kind = type(self)
        own_image = kind.read_image is PairedFiles.read_image
        return own_image and kind.read_mask is PairedFiles.read_mask

    @property
    def reads_as_is(self) -> bool:
        """Whether images are shown as their files are, so that any decoder may read them."""
        return type(self).read_image_file is PairedFiles.read_image_file

    @property
    def root(self) -> Path:
        """The folder that the spec names."""
        return resolve(self.spec.root, "")

    def frames(self, split: Split) -> tuple[Frame, ...]:
        """All frames of a split in time order; the files are listed once.

        Raises:
            DataError: a folder is missing or empty, or names do not pair; all of it at once.
        """
        return self._known_listing(split).frames

    def fingerprint(self, split: Split) -> str:
        """SHA-256 over names and sizes of the split's files, and nothing of the spec."""
        return self._known_listing(split).fingerprint

    def listed_folders(self, split: Split) -> tuple[str, ...]:
        """The folders below the root that decide a split, for a cached listing; none for no cache.

        A kind that names them lists from these folders and its spec alone.
        """
        return ()

    def _known_listing(self, split: Split) -> KnownListing:
        if split in self._known:
            return self._known[split]
        cache = None
        if split not in self._pairs and (folders := self.listed_folders(split)):
            key = f"{split.value} {self.spec.model_dump_json(exclude={'name', 'budgets'})}"
            with suppress(OSError):  # a folder is missing: listing says which
                cache = ListingCache(str(self.root), folders, key)
        known = cache.find() if cache else None
        if known is None:
            frames = tuple(pair.frame for pair in self._listed(split).values())
            known = KnownListing(frames, self._fingerprint(split))
            if cache:
                cache.save(known)
        self._known[split] = known
        return known

    def _fingerprint(self, split: Split) -> str:
        files = [
            named_bytes
            for pair in self._listed(split).values()
            for named_bytes in (
                (str(pair.frame.id), pair.image.bytes),
                (pair.mask.name, pair.mask.bytes),
            )
        ]
        digest = hashlib.sha256()
        for name, size in sorted(files):
            digest.update(f"{name}\0{size}\n".encode())
        return digest.hexdigest()

    def files(self, split: Split) -> tuple[tuple[ListedFile, ListedFile], ...]:
        """The image file and the mask file of each frame of a split, in time order."""
        return tuple((pair.image, pair.mask) for pair in self._listed(split).values())

    def files_of(self, image: ImageId) -> tuple[ListedFile, ListedFile]:
        """The image file and the mask file of an image."""
        pair = self._pair(image)
        return pair.image, pair.mask

    def digests_of(self, image: ImageId) -> tuple[bytes, bytes]:
        """SHA-256 of both files of an image, hashed now. Raises DataError if one is gone."""
        first, second = self.files_of(image)
        return sha256_of_file(first.path), sha256_of_file(second.path)

    def read_image(self, image: ImageId) -> Image:
        """The image at its own size, (H, W, 3). Raises DataError naming the file."""
        path = self._pair(image).image.path
        with self._watched.reading(path):
            return self.read_image_file(Path(path))

    def read_mask(self, image: ImageId) -> Mask:
        """The labels at their own size, (H, W). Raises DataError naming the file."""
        path = self._pair(image).mask.path
        with self._watched.reading(path):
            return self.read_mask_file(Path(path))

    def watch(self, split: Split) -> WatchedFiles:
        """Have the reading of a file of a split fail that changed since it was listed."""
        for pair in self._listed(split).values():
            self._watched.add((pair.image, pair.mask))
        return self._watched

    def mask_place(self, image: ImageId) -> str:
        """Where the mask of an image lies, for messages."""
        return self._pair(image).mask.path

    def check(self) -> Iterator[Sequence[Problem]]:
        """Read every file of both splits; yields once for each image, its problems or nothing."""
        images = [image for split in Split for image in self._listed(split)]
        for found in inspect_all(self, images):
            yield found.problems

    def _listed(self, split: Split) -> dict[ImageId, Pair]:
        if split not in self._pairs:
            pairs = self.list_split(split)
            if not self.spec.follow_links:
                listed = (file for pair in pairs for file in (pair.image, pair.mask))
                refuse_outside(self.root, listed)
            self._pairs[split] = {pair.frame.id: pair for pair in pairs}
        return self._pairs[split]

    def _pair(self, image: ImageId) -> Pair:
        for split in sorted(Split, key=lambda split: split not in self._pairs):  # listed ones first
            pair = self._listed(split).get(image)
            if pair is not None:
                return pair
        what = f"it has no image `{image}`; the pool was made of another tree"
        raise DataError.at(self.root.absolute(), what)
