"""The dataset kind `folder`: a tree of images and a tree of masks, whatever their names."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic import (
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from alspec.datasets.base import Image, ImageId, Mask, Split
from alspec.datasets.files.decoding import read_rgb
from alspec.datasets.files.label_fields import Classes, LabelFields, MaskReader, with_colours_read
from alspec.datasets.files.listing import (
    IMAGE_SUFFIXES,
    LOSSY_SUFFIXES,
    MASK_SUFFIXES,
    Files,
    Pair,
    Tree,
    join,
    list_pairs,
)
from alspec.datasets.files.naming import FileName, NamePattern, below, overlap
from alspec.datasets.files.paired import PairedFiles, RootedSpec
from alspec.datasets.files.split_fields import (
    AnyVal,
    Half,
    PixelFields,
    SequencePattern,
    SplitLists,
)
from alspec.datasets.files.splitting import ListedNames, divided, sequence_of
from alspec.errors import DataError, Problem
from alspec.spec.model import DatasetSpec
from alspec.spec.validation import failure


class Spec(Half, LabelFields, PixelFields, RootedSpec):
    """A tree that any person has; image and mask have the same path but for what is named here."""

    HOLDS: ClassVar[str] = "`images` and `masks`"
    VALIDATION_ONLY: ClassVar[frozenset[str]] = frozenset({"val"})
    VAL_IS_NEEDED: ClassVar[bool] = True
    LISTING_ONLY: ClassVar[frozenset[str]] = frozenset({"split"})
    LATER: ClassVar[frozenset[str]] = RootedSpec.LATER | {
        "values", "colours", "bands", "range", "image_name", "mask_name", "split",
    }  # fmt: skip

    kind: Literal["folder"] = Field(description="images and masks in folders of your own")
    classes: Classes = Field(
        default=(), validate_default=True, description="names; the position is the value in masks"
    )
    image_name: FileName = Field(
        default="{stem}", description='how images are named, as "{stem}_image"'
    )
    mask_name: FileName = Field(
        default="{stem}", description='how masks are named, as "{stem}_mask"; the extension is free'
    )
    sequence: SequencePattern | None = Field(
        default=None,
        description="regular expression with one group, searched in an image's path without "
        "extension: the video it belongs to; none: all images are one sequence, ordered by name",
    )
    split: SplitLists | None = Field(
        default=None, description="in place of `val`: lists of the images of each half"
    )
    val: AnyVal = Field(
        default=None,
        validate_default=True,
        description="what measures: {images, masks}, {sequences: [...]} or {fraction: 0.2}",
    )

    @field_validator("classes", mode="wrap")
    @classmethod
    def _classes_are_known(
        cls, given: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> object:
        if given not in ((), []):  # a list where the spec comes back from JSON
            return handler(given)
        if all(name in info.data and info.data[name] is None for name in ("values", "colours")):
            raise PydanticKnownError("missing")
        return ()

    @field_validator("val")
    @classmethod
    def _apart(cls, val: object, info: ValidationInfo) -> object:
        if (
            val is None
            and cls.VAL_IS_NEEDED
            and "split" in info.data
            and info.data["split"] is None
        ):
            raise PydanticKnownError("missing")
        images = info.data.get("images")
        if isinstance(val, Half) and images is not None and overlap(images, val.images):
            raise PydanticCustomError(
                "folder",
                "val.images `{val}` and images `{images}` share files, so the model would be "
                "measured on what it was trained on; put them into two folders",
                {"val": val.images, "images": images},
            )
        return val

    @model_validator(mode="after")
    def _whole(self) -> Spec:
        if self.val is not None and self.split is not None:
            why = "`val` and `split` are both given; leave one of them out"
            raise failure("val_twice", None, ("split",), {"why": why})
        if self.image_name == self.mask_name:
            _require_apart(self, ("masks",))
            if isinstance(self.val, Half):
                _require_apart(self.val, ("val", "masks"))
        return self

    def resolved(self) -> Spec:
        """The spec with its colour file read and its lists' paths made absolute."""
        changes = with_colours_read(self, self.root)
        if self.split is not None:
            lists = {
                half: str(_below_or_here(self.root, path).absolute())
                for half, path in self.split.model_dump().items()
            }
            changes["split"] = SplitLists(**lists)
        return self.model_copy(update=changes) if changes else self


def _require_apart(half: Half, loc: tuple[str, ...]) -> None:
    if overlap(half.images, half.masks):
        why = (
            f"images `{half.images}` and masks `{half.masks}` share a folder; put them into two, "
            'or say how they are named, as `mask_name: "{stem}_mask"`'
        )
        raise failure("folder", half.masks, loc, {"why": why})


def _below_or_here(root: str | None, path: str) -> Path:
    inside = Path(root or ".") / path
    return inside if inside.is_file() else Path(path)


_Spec: TypeAlias = Spec  # in the class below, `Spec` is its attribute


class Folder(PairedFiles):
    """Images and masks in folders; see `Spec` for what the user says about them."""

    kind: ClassVar[str] = "folder"
    Spec: ClassVar[type[DatasetSpec]] = Spec
    PARTLY_LABELLED: ClassVar[bool] = False
    """Whether images without a mask are listed in the pool as well."""

    spec: _Spec

    def __init__(self, spec: _Spec) -> None:
        super().__init__(spec)
        self._masks = MaskReader(spec)
        self._halves: dict[Split, list[Pair]] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the position is the class id."""
        return self.spec.class_names

    def list_split(self, split: Split) -> list[Pair]:
        """The pairs of a split in time order. Raises DataError, all problems at once."""
        spec = self.spec
        if spec.split is not None:
            return self._named(split)
        if spec.val is None or isinstance(spec.val, Half):
            if split is Split.VAL and spec.val is not None:
                return list_pairs(self._tree(spec.val, split, ("val",)))
            return list_pairs(self._tree(spec, split, ()))
        if not self._halves:
            whole = list_pairs(self._tree(spec, Split.POOL, ()))
            self._halves = divided(whole, spec.val, has_sequences=spec.sequence is not None)
        return self._halves[split]

    def listed_folders(self, split: Split) -> tuple[str, ...]:
        """The folders of images and masks of a split that has its own."""
        val = self.spec.val
        if self.PARTLY_LABELLED or not isinstance(val, Half):
            return ()
        half = val if split is Split.VAL else self.spec
        return half.images, half.masks

    def read_image_file(self, path: Path) -> Image:
        """An image file as RGB, (H, W, 3). Raises DataError naming the file."""
        return read_rgb(path, self.spec.bands, self.spec.range)

    @property
    def reads_as_is(self) -> bool:
        """Whether images are shown as their files are: neither bands nor a range are chosen."""
        own = type(self).read_image_file is Folder.read_image_file
        return own and self.spec.bands is None and self.spec.range is None

    def read_mask_file(self, path: Path) -> Mask:
        """A mask file as class ids and `IGNORE`, (H, W). Raises DataError naming the file."""
        return self._masks.read(path)

    def _named(self, split: Split) -> list[Pair]:
        """The pairs that a list names; other images of the tree are passed over."""
        half = "train" if split is Split.POOL else "val"
        names = ListedNames(Path(getattr(self.spec.split, half)), ("split", half))
        pairs = list_pairs(self._tree(self.spec, split, (), names))
        problems = names.problems()
        if split is Split.VAL and not problems:
            problems = _in_both(self._listed(Split.POOL), [pair.frame.id for pair in pairs])
        if problems:
            raise DataError(problems)
        return pairs

    def _tree(
        self, half: Half, split: Split, loc: tuple[str, ...], names: ListedNames | None = None
    ) -> Tree:
        pattern = self.spec.sequence
        of_images = NamePattern.parse(self.spec.image_name)
        of_masks = NamePattern.parse(self.spec.mask_name)
        together = overlap(half.images, half.masks)

        def image_key(path: str) -> str | None:
            inner = below(half.images, path)
            if together and of_masks.key(below(half.masks, path), MASK_SUFFIXES) is not None:
                return None
            key = of_images.key(inner, IMAGE_SUFFIXES)
            return key if names is None or key is None or names.has(path, half.images) else None

        def sequence(key: str) -> str | None:
            found = sequence_of(pattern, key)
            return "" if found is None and split is Split.VAL else found

        kinds = f"({', '.join(sorted(IMAGE_SUFFIXES))})"
        return Tree(
            root=self.root,
            images=Files(
                folders=(half.images,),
                key=image_key,
                path=lambda key: join(half.images, of_images.path(key)),
                what=f"images in this folder {kinds}",
                loc=(*loc, "images"),
            ),
            masks=Files(
                folders=(half.masks,),
                key=lambda path: of_masks.key(below(half.masks, path), MASK_SUFFIXES),
                path=lambda key: join(half.masks, of_masks.path(key, ".png")),
                what=f"masks in this folder ({', '.join(sorted(MASK_SUFFIXES))})",
                loc=(*loc, "masks"),
                lossy=lambda path: of_masks.key(below(half.masks, path), LOSSY_SUFFIXES),
            ),
            sequence=sequence,
            no_video=lambda key: (
                f"`sequence` {pattern} does not match `{key}`; every image needs a sequence"
            ),
            is_pool=split is Split.POOL,
            partly_labelled=self.PARTLY_LABELLED and split is Split.POOL,
            some_masks=names is not None,
        )


def _in_both(pool: dict[ImageId, Pair], val: list[ImageId]) -> list[Problem]:
    both = [image for image in val if image in pool]
    if not both:
        return []
    what = (
        f"{len(both):,} of {len(val):,} images are in `split.train` too, as `{both[0]}`, so the "
        "model would be measured on what it was trained on"
    )
    return [Problem("split", what, loc=("split", "val"))]
