"""Names of image and mask files: what they share, and what only one of them has."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

_STEM = "{stem}"


@dataclass(frozen=True, slots=True)
class NamePattern:
    """What a file's name has before and behind the part that image and mask share.

    Attributes:
        before: text before it.
        after: text behind it, without extension.
        suffix: the only extension that counts, in lower case; empty for any.
    """

    before: str = ""
    after: str = ""
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """The pattern of `{stem}_mask` or `{stem}_mask.png`."""
        before, _, behind = text.partition(_STEM)
        after, dot, suffix = behind.rpartition(".")
        return cls(before, after, f".{suffix.lower()}") if dot else cls(before, behind)

    def key(self, path: str, suffixes: Collection[str]) -> str | None:
        """What a file shares with its partner, folders included; None for other files.

        Args:
            path: below the folder of images or masks.
            suffixes: extensions in lower case that count.
        """
        folder, slash, name = path.rpartition("/")
        stem, end = os.path.splitext(name)  # noqa: PTH122 - 80,000 Path objects are slow
        if end.lower() not in suffixes or (self.suffix and end.lower() != self.suffix):
            return None
        inner = stem[len(self.before) : len(stem) - len(self.after)]
        if not inner or not (stem.startswith(self.before) and stem.endswith(self.after)):
            return None
        return f"{folder}{slash}{inner}"

    def path(self, key: str, suffix: str = "") -> str:
        """The path of a key's file, below the folder."""
        folder, slash, name = key.rpartition("/")
        return f"{folder}{slash}{self.before}{name}{self.after}{self.suffix or suffix}"


def _with_a_stem(value: str) -> str:
    rest = value.replace(_STEM, "", 1)
    if _STEM not in value or re.search(r"[{}/\\]", rest):
        raise PydanticCustomError(
            "name",
            '`{value}` has to name the shared part once, in a file\'s name, as "{{stem}}_mask"',
            {"value": value},
        )
    return value


FileName: TypeAlias = Annotated[str, AfterValidator(_with_a_stem)]


def _below_root(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or PureWindowsPath(value).drive or "\\" in value or ".." in path.parts:
        raise PydanticCustomError(
            "folder",
            "`{value}` is not a folder below `root`; write it as `train/images`",
            {"value": value},
        )
    return path.as_posix()


RelativeFolder: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_below_root)]


def overlap(first: str, second: str) -> bool:
    """Whether one folder is, or lies in, the other."""
    one, other = PurePosixPath(first), PurePosixPath(second)
    return one == other or one in other.parents or other in one.parents


def below(folder: str, path: str) -> str:
    """A path below the root as one below a folder of it, where `.` is the root itself."""
    return path if folder == "." else path.removeprefix(f"{folder}/")
