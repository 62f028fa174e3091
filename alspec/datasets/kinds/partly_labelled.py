"""The dataset kind `partly_labelled`: a folder of which some images have no mask yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from alspec.datasets.base import Frame, ImageId, Split
from alspec.datasets.files.inspectors import inspect_all
from alspec.datasets.files.listing import Pair
from alspec.datasets.files.split_fields import Half
from alspec.datasets.kinds import folder
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec

_READERS = 4


class Spec(folder.Spec):
    """What a labelling project says of its folder: as a study of it, but masks and `val` may lack.

    In a project's spec the kind is `folder`.
    """

    MASKS_CHANGE: ClassVar[bool] = True
    VAL_IS_NEEDED: ClassVar[bool] = False

    kind: Literal["folder", "partly_labelled"] = Field(  # type: ignore[assignment]
        default="partly_labelled", description="`folder` in a spec"
    )

    @field_validator("kind", mode="before")
    @classmethod
    def _of_this_kind(cls, kind: object) -> object:
        return "partly_labelled" if kind == "folder" else kind

    @field_validator("val", "split")
    @classmethod
    def _folders_alone(cls, given: object) -> object:
        if given is None or isinstance(given, Half):
            return given
        raise PydanticCustomError(
            "project", "a labelling project takes `val: {{images, masks}}`, or none", {}
        )


_Spec: TypeAlias = Spec  # in the class below, `Spec` is its attribute


class PartlyLabelled(folder.Folder):
    """Images in a folder, masks beside those that are labelled; the pool is all images.

    The pool's fingerprint is of the images alone, so that a new mask invalidates nothing: whoever
    reads masks names their SHA-256.
    """

    kind: ClassVar[str] = "partly_labelled"
    Spec: ClassVar[type[DatasetSpec]] = Spec
    PARTLY_LABELLED: ClassVar[bool] = True

    def __init__(self, spec: DatasetSpec) -> None:
        """Raises TypeError for the spec of another kind, which no project has."""
        if not isinstance(spec, _Spec):
            raise TypeError(f"{type(spec).__name__} is no spec of a partly labelled folder")
        super().__init__(spec)

    def frames(self, split: Split) -> tuple[Frame, ...]:
        """All images in time order; of `val` none where the spec has none."""
        if split is Split.VAL and self.spec.val is None:
            return ()
        return super().frames(split)

    def fingerprint(self, split: Split) -> str:
        """SHA-256 over names and sizes of the pool's images, or of val's images and masks."""
        if split is Split.VAL and self.spec.val is not None:
            return super().fingerprint(split)
        pairs = self._listed(Split.POOL).values() if split is Split.POOL else ()
        digest = hashlib.sha256()
        for name, size in sorted((str(pair.frame.id), pair.image.bytes) for pair in pairs):
            digest.update(f"{name}\0{size}\n".encode())
        return digest.hexdigest()

    def labelled(self) -> tuple[ImageId, ...]:
        """The images of the pool that have a mask, in time order."""
        pairs = self._listed(Split.POOL).values()
        return tuple(pair.frame.id for pair in pairs if pair.mask.state is not None)

    def image_file(self, image: ImageId) -> Path:
        """Where an image lies. Raises DataError for an unknown one."""
        return Path(self._pair(image).image.path)

    def mask_file(self, image: ImageId) -> Path:
        """Where its mask lies, or is to lie."""
        return Path(self._pair(image).mask.path)

    def digests(self, images: Iterable[ImageId]) -> dict[ImageId, tuple[str, str]]:
        """SHA-256 of the image file and of the mask file of labelled images, by id.

        Raises:
            DataError: a file is gone.
        """
        hashed = ((image, self.digests_of(image)) for image in images)
        return {image: (file.hex(), mask.hex()) for image, (file, mask) in hashed}

    def identity(self) -> str:
        """SHA-256 of what decides whether `check` finds anything: files, masks, and the spec."""
        fields = json.dumps(self.spec.recipe_fields("redundancy", "image_size"), sort_keys=True)
        parts = [str(self.spec.root), fields, *(self.fingerprint(split) for split in Split)]
        digest = hashlib.sha256("\0".join(parts).encode())
        for image, (file, mask) in sorted(self.digests(self.labelled()).items()):
            digest.update(f"{image}\0{file}\0{mask}\n".encode())
        return digest.hexdigest()

    def check(self) -> Iterator[Sequence[Problem]]:
        """Read every image, and the masks that are there."""
        labelled = self.labelled()
        measured = [frame.id for frame in self.frames(Split.VAL)]
        for found in inspect_all(self, [*labelled, *measured]):
            yield found.problems
        known = set(labelled)
        others = [frame.id for frame in self.frames(Split.POOL) if frame.id not in known]
        with ThreadPoolExecutor(_READERS, thread_name_prefix="check") as readers:
            yield from readers.map(self._problems_of, others)

    def _problems_of(self, image: ImageId) -> Sequence[Problem]:
        try:
            self.read_image(image)
        except DataError as err:
            return err.problems
        return ()

    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split in time order; none of a `val` that is not there."""
        if split is Split.VAL and self.spec.val is None:
            return []
        return super().list_split(split)
