"""The datasets of a study and how much of their video each pool holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from alspec.spec.budget import Budgets
from alspec.spec.fields import Frozen, Name, OptionalPath, PathText, Size
from alspec.spec.validation import (
    distinct,
    of_its_kind,
    plugin_model,
    tag_missing,
    together,
    validate_plugin,
)


class AllFrames(Frozen):
    """Every frame of the dataset is in the pool."""

    kind: Literal["all"] = Field(default="all", description="how the pool is made")


class EveryNth(Frozen):
    """Every n-th frame of each sequence, the first included."""

    kind: Literal["every"] = Field(description="how the pool is made")
    n: int = Field(ge=1, description="distance between two frames of the pool")


class FollowingFrames(Frozen):
    """Random frames, each with the frames that follow it (the paper's Pool-0f to Pool-21f)."""

    kind: Literal["frames"] = Field(description="how the pool is made")
    size: int = Field(ge=1, description="images in the pool")
    consecutive: int = Field(ge=0, description="consecutive frames taken from each random frame on")
    seed: int = Field(default=0, ge=0, description="draws the pool; one pool for all study seeds")

    @model_validator(mode="after")
    def _whole_groups(self) -> FollowingFrames:
        _require_whole_groups(self.size, self.consecutive, "followers")
        return self


class AugmentedFrames(Frozen):
    """Random frames, each with changed copies of itself (the paper's Pool-Aug)."""

    kind: Literal["augmented"] = Field(description="how the pool is made")
    size: int = Field(ge=1, description="images in the pool, duplicates included")
    duplicates: int = Field(ge=1, description="changed copies of each random frame")
    crop_area: float = Field(
        default=0.85, gt=0, le=1, description="fraction of the frame's area that a copy shows"
    )
    seed: int = Field(default=0, ge=0, description="draws frames, crops and colours")

    @model_validator(mode="after")
    def _whole_groups(self) -> AugmentedFrames:
        _require_whole_groups(self.size, self.duplicates, "duplicates")
        return self


def _require_whole_groups(size: int, others: int, name: str) -> None:
    group = others + 1
    if size % group:
        raise PydanticCustomError(
            "groups",
            "size {size} is not a multiple of {group} (a frame and its {others} {name}); "
            "nearest sizes: {below} and {above}",
            {
                "size": size,
                "group": group,
                "others": others,
                "name": name,
                "below": size // group * group,
                "above": (size // group + 1) * group,
            },
        )


class ListedFrames(Frozen):
    """The frames named in a text file, one id a line; repeated lines count once."""

    kind: Literal["list"] = Field(description="how the pool is made")
    path: PathText = Field(description="the text file")


Redundancy: TypeAlias = Annotated[
    AllFrames | EveryNth | FollowingFrames | AugmentedFrames | ListedFrames,
    Field(discriminator="kind"),
    of_its_kind(AllFrames, EveryNth, FollowingFrames, AugmentedFrames, ListedFrames),
]


_NO_PIXELS = frozenset({"name", "root", "budgets", "absent", "ignored_share", "follow_links"})
"""Fields that say nothing of what an image or a label is."""


class DatasetSpec(Frozen):
    """What every dataset kind has; a kind adds its own fields in a subclass named `Spec`.

    Attributes:
        VALIDATION_ONLY: fields that say nothing of the pool: with other values of these the same
            trainings are measured on other images.
        MASKS_CHANGE: whether masks come and change while images stay, as in a labelling project;
            the fingerprint of the pool then says nothing of masks.
        LATER: fields that came after version 0.1, for `recipe_fields`.
        LISTING_ONLY: fields that decide which files are listed and nothing besides, so that the
            fingerprint says all of them.
    """

    VALIDATION_ONLY: ClassVar[frozenset[str]] = frozenset()
    MASKS_CHANGE: ClassVar[bool] = False
    LATER: ClassVar[frozenset[str]] = frozenset({"absent", "ignored_share"})
    LISTING_ONLY: ClassVar[frozenset[str]] = frozenset()

    def recipe_fields(self, *apart: str) -> dict[str, object]:
        """The fields that decide images and labels beside the files themselves, as plain data.

        A field that came after version 0.1 says nothing where it has its default, so that the keys
        of finished steps hold; one that only allows or refuses data never does.

        Args:
            apart: fields to leave out besides.
        """
        away = {*_NO_PIXELS, *self.LISTING_ONLY, *self.later_defaults(), *apart}
        return self.model_dump(mode="json", exclude=away)

    def with_revisions(self, revisions: Mapping[str, str]) -> Self:
        """The same, of files that hold something else than a store first saw, by split."""
        copy = self.model_copy()
        copy._revisions = dict(revisions)
        return copy

    @property
    def revisions(self) -> Mapping[str, str]:
        """What the files of a split hold where that is not what a store first saw."""
        return self._revisions

    def resolved(self) -> DatasetSpec:
        """The spec with the small files that it names read; raises DataError for what is wrong."""
        return self

    def later_defaults(self) -> set[str]:
        """Fields that came after version 0.1 and have their default."""
        fields = type(self).model_fields
        return {name for name in self.LATER if getattr(self, name) == fields[name].get_default()}

    _revisions: dict[str, str] = PrivateAttr(default_factory=dict)

    name: Name = Field(description="label in tables")
    kind: str = Field(description="toy, folder, or the name of another dataset kind")
    root: OptionalPath = Field(default=None, description="folder that holds the dataset")
    image_size: Size | None = Field(
        default=None,
        description="height, width that images are resized to; none keeps each image's own size",
    )
    redundancy: Redundancy = Field(
        default_factory=AllFrames, description="which frames of the dataset the pool holds"
    )
    budgets: Budgets | None = Field(
        default=None, description="of this dataset alone; the study's where there are none"
    )
    absent: Annotated[tuple[str, ...], distinct("class")] = Field(
        default=(), description="classes that may lack pixels in the pool or in val"
    )
    ignored_share: float = Field(
        default=0.5, ge=0, le=1, description="highest share of ignored pixels in a split"
    )


def _dataset_of_its_kind(value: object) -> object:
    """Validate with the model of the kind it names, found through the plugin door."""
    if not isinstance(value, Mapping):
        return value
    common = {key: given for key, given in value.items() if key in DatasetSpec.model_fields}
    kind = value.get("kind")
    if "kind" not in value:
        others = _errors_of({**common, "kind": "unknown"})
        raise together([tag_missing("kind", value, common), *others])
    if not isinstance(kind, str):
        return DatasetSpec.model_validate(common)
    try:
        model = plugin_model("alspec.datasets", kind, "Spec", "kind")
    except ValidationError as unknown:
        raise together([unknown, *_errors_of(common)]) from None
    return validate_plugin(model, value, "kind")


def _errors_of(common: Mapping[str, object]) -> list[ValidationError]:
    try:
        DatasetSpec.model_validate(common)
    except ValidationError as err:
        return [err]
    return []


AnyDataset: TypeAlias = Annotated[
    SerializeAsAny[DatasetSpec], BeforeValidator(_dataset_of_its_kind)
]
