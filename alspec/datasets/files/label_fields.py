"""What a spec says of the masks of a tree: which value or colour means which class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from alspec.datasets.base import IGNORE, Mask
from alspec.datasets.cityscapes19 import Colour
from alspec.datasets.files.decoding import read_colours, read_labels
from alspec.datasets.files.label_maps import LARGEST, ColourTable, ValueTable
from alspec.errors import DataError, Problem
from alspec.spec.fields import PathText
from alspec.spec.model import Frozen
from alspec.spec.validation import distinct, failure
from alspec.system.reading import read_text_file

_HEX = re.compile(r"#[0-9a-f]{6}")


def _as_colour(value: str) -> str:
    """`#ff8000`, whatever case it was written in."""
    colour = value.lower()
    if not _HEX.fullmatch(colour):
        raise PydanticCustomError(
            "colour", '`{value}` is no colour; write it as "#ff8000"', {"value": value}
        )
    return colour


def _as_values(given: object) -> object:
    """Mask values as numbers; YAML and JSON have text where a mapping's keys are."""
    if not isinstance(given, Mapping):
        return given
    wrong = next((key for key in given if not re.fullmatch(r"[0-9]{1,5}", str(key))), None)
    if wrong is not None:
        raise PydanticCustomError(
            "values", "`{key}` is no value of a mask; write 0 to 65535", {"key": str(wrong)}
        )
    return {int(key): name for key, name in given.items()}


ClassName: TypeAlias = Annotated[str, Field(min_length=1)]
HexColour: TypeAlias = Annotated[str, AfterValidator(_as_colour)]
Classes: TypeAlias = Annotated[
    tuple[ClassName, ...], Field(min_length=2, max_length=IGNORE), distinct("class")
]
MaskValue: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST)]
ByValue: TypeAlias = Annotated[dict[MaskValue, ClassName], BeforeValidator(_as_values)]
ByColour: TypeAlias = dict[HexColour, ClassName]
Ignored: TypeAlias = MaskValue | ClassName


class LabelFields(Frozen):
    """Classes, and how masks name them; without `values` and `colours` by their position."""

    values: Annotated[ByValue, Field(min_length=1)] | None = Field(
        default=None,
        description="mask value to class, as {0: background, 255: lesion}; other values are "
        "errors, or in `ignore`",
    )
    colours: ByColour | PathText | None = Field(
        default=None,
        description='colour to class, as {"#804080": road}, or the path of a labelmap.txt, below '
        "`root` or not",
    )
    classes: Classes = Field(default=(), description="names, by class id")
    ignore: Ignored | tuple[Ignored, ...] | None = Field(
        default=None,
        description="mask value that counts for nothing, or several; with `colours` colours or "
        "labels. Without `values` and `colours` 255 is ignored by itself",
    )

    @model_validator(mode="before")
    @classmethod
    def _classes_by_name(cls, data: object) -> object:
        """`classes: {bg: 0, x: 4}` or `{bg: "#000000"}` says `classes` and `values` in one."""
        if not isinstance(data, Mapping) or not isinstance(data.get("classes"), Mapping):
            return data
        classes = data["classes"]
        as_colours = any(isinstance(code, str) for code in classes.values())
        key = "colours" if as_colours else "values"
        if data.get("values") is not None or data.get("colours") is not None:
            raise PydanticCustomError(
                "classes", "`classes` names {key} already; leave it a list of names", {"key": key}
            )
        return {**data, "classes": list(classes), key: {c: name for name, c in classes.items()}}

    @model_validator(mode="after")
    def _one_meaning(self) -> LabelFields:
        if self.values is not None and self.colours is not None:
            raise PydanticCustomError(
                "labels", "`values` and `colours` are both given; a mask has the one or the other"
            )
        named = self.values or (self.colours if isinstance(self.colours, dict) else None)
        if named is not None:
            names = tuple(dict.fromkeys(named.values()))
            _require_same(self.classes, names)
            # Said as a list from here on: their order makes the ids, and JSON, which keys are made
            # of and workers read, does not keep that of a mapping.
            object.__setattr__(self, "classes", self.classes or names)
            _require_several(self.classes)
        self._check_ignored()
        return self

    def _check_ignored(self) -> None:
        for item in self.ignored:
            name = self._named(item)
            if self.colours is None and not isinstance(item, int):
                why = f"expected a whole number, got the text `{item}`"
            elif isinstance(self.colours, dict) and not _HEX.fullmatch(str(item).lower()):
                why = f'expected a colour as "#ff8000", got `{item}`'
            elif name is not None:
                why = f"`{item}` is the class `{name}`; leave it out here, or take the class away"
            else:
                continue
            raise failure("ignore", item, ("ignore",), {"why": why})

    def _named(self, item: int | str) -> str | None:
        """The class of an ignored value or colour."""
        if self.values is not None and isinstance(item, int):
            return self.values.get(item)
        if isinstance(self.colours, dict):
            return self.colours.get(str(item).lower())
        return None  # a class that `ignore` takes by its position lacks pixels, which is reported

    @property
    def ignored(self) -> tuple[int | str, ...]:
        """What `ignore` says, as a tuple."""
        if self.ignore is None:
            return ()
        return self.ignore if isinstance(self.ignore, tuple) else (self.ignore,)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes by id: as listed, or in the order in which values or colours name them."""
        if self.classes:
            return self.classes
        named = self.values or (self.colours if isinstance(self.colours, dict) else {})
        return tuple(dict.fromkeys(named.values()))


def _require_same(classes: tuple[str, ...], named: tuple[str, ...]) -> None:
    """`classes`, where given, and what values or colours name are the same."""
    if not classes:
        return
    for name in named:
        if name not in classes:
            raise PydanticCustomError(
                "labels", "`{name}` is not among `classes`; add it, or correct it", {"name": name}
            )
    for name in classes:
        if name not in named:
            raise PydanticCustomError(
                "labels", "the class `{name}` has no value or colour; give it one", {"name": name}
            )


def _require_several(names: tuple[str, ...]) -> None:
    """What values or colours name is a number of classes that `classes` may have."""
    if not 2 <= len(names) <= IGNORE:
        raise PydanticCustomError(
            "labels",
            "values or colours name {count} classes; name 2 to {most}",
            {"count": len(names), "most": IGNORE},
        )


def with_colours_read(fields: LabelFields, root: str | None) -> dict[str, object]:
    """What a spec changes when its colour file is read: `colours` and `ignore` in full.

    Args:
        fields: the spec's.
        root: of the dataset; the file may lie below it.

    Raises:
        DataError: the file cannot be read, is no label map, or lacks a class.
    """
    if not isinstance(fields.colours, str):
        return {}
    path = Path(fields.colours)
    below = Path(root or ".") / path
    path = below if below.is_file() else path
    labels = read_label_map(path)
    known = {name: colour for colour, name in labels.items()}
    ignored = tuple(known.get(str(item), str(item).lower()) for item in fields.ignored)
    used = {colour: name for colour, name in labels.items() if colour not in ignored}
    classes = fields.classes or tuple(dict.fromkeys(used.values()))
    wrong = [name for name in used.values() if name not in classes]
    wrong += [name for name in classes if name not in used.values()]
    wrong += [item for item in ignored if not _HEX.fullmatch(item)]
    if wrong:
        what = (
            f"`{wrong[0]}` is in the label map or in the spec alone. Name in `classes` and "
            f"`ignore` what the label map has: {', '.join(dict.fromkeys(labels.values()))}"
        )
        raise DataError([Problem(str(path.absolute()), what, loc=("colours",))])
    return {"colours": used, "ignore": ignored or None, "classes": classes}


def read_label_map(path: Path) -> dict[str, str]:
    """Colour to label of a labelmap.txt, as CVAT and VOC exports have it.

    Lines are `label:red,green,blue:parts:actions`; those that begin with # are passed over.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    try:
        lines = read_text_file(path).splitlines()
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        what = f"the label map cannot be read: {reason}. Correct `colours`"
        raise DataError([Problem(str(path.absolute()), what, loc=("colours",))]) from err
    labels: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r"(.+?):\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(:.*)?", line.strip())
        rgb = [int(part) for part in found.group(2, 3, 4)] if found else []
        if not found or max(rgb) > 255:
            what = "expected `label:red,green,blue::`, as CVAT and VOC write it"
            raise DataError([Problem(f"{path}:{number}", what, loc=("colours",))])
        colour = "#" + bytes(rgb).hex()
        if colour in labels:
            what = f"`{found[1]}` has the colour {colour} of `{labels[colour]}`"
            raise DataError([Problem(f"{path}:{number}", what, loc=("colours",))])
        labels[colour] = found[1]
    if len(labels) < 2:
        what = "it names fewer than two labels"
        raise DataError([Problem(str(path.absolute()), what, loc=("colours",))])
    return labels


class MaskReader:
    """Mask files to class ids, as a spec with `LabelFields` says.

    Args:
        fields: whose colour file has been read (`with_colours_read`).
        default_meaning: for the message where neither values nor colours are given; None describes
            the classes.
    """

    def __init__(self, fields: LabelFields, default_meaning: str | None = None) -> None:
        ids = {name: number for number, name in enumerate(fields.class_names)}
        self._colours: ColourTable | None = None
        self._values: ValueTable | None = None
        if isinstance(fields.colours, dict):
            table = {_rgb(colour): ids[name] for colour, name in fields.colours.items()}
            table |= {_rgb(str(item)): IGNORE for item in fields.ignored}
            meaning = f"`colours` names {len(table)}. Name what is missing, there or in `ignore`"
            self._colours = ColourTable(table, meaning)
            return
        ignored = {int(item): IGNORE for item in fields.ignored}
        if fields.values is not None:
            meaning = (
                f"`values` names {', '.join(map(str, sorted(fields.values)))}. Name what is "
                "missing, there or in `ignore`"
            )
            known = {value: ids[name] for value, name in fields.values.items()}
            self._values = ValueTable(known | ignored, meaning, ignore_255=False)
            return
        last = len(ids) - 1
        nothing = " and ".join(str(value) for value in sorted({*ignored, IGNORE}))
        meaning = default_meaning or (
            f"`classes` has {len(ids)} names, so 0 to {last} are valid, and {nothing} count for "
            "nothing. Name the classes that are missing, give masks with other numbers `values: "
            "{0: background, 4: lesion}`, or set `ignore`"
        )
        self._values = ValueTable({value: value for value in range(len(ids))} | ignored, meaning)

    def read(self, path: Path) -> Mask:
        """A mask file as class ids and `IGNORE`, (H, W). Raises DataError naming the file."""
        if self._colours is not None:
            return self._colours.apply(read_colours(path), path)
        assert self._values is not None  # noqa: S101 - the one or the other
        return self._values.apply(read_labels(path), path)


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
