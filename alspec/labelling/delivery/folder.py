"""A delivery of plain mask files, named like the images."""

from __future__ import annotations

from collections.abc import Mapping

from alspec.datasets.base import Mask
from alspec.datasets.files.decoding import Labels
from alspec.datasets.files.palette import BLACK, Colour, colour_of, first_colours
from alspec.labelling.delivery.base import Delivered, Delivery, Expectation, stem_of
from alspec.labelling.delivery.pixels import Pixels, by_colour, by_value, decoded, values_in
from alspec.labelling.delivery.source import Source, ending
from alspec.labelling.delivery.values import ids, meaning

REJECTED = "rejected.txt"

_MASKS = (".png", ".bmp", ".tif", ".tiff")
_NO_MASKS = (".jpg", ".jpeg", ".gif", ".webp")


def is_one(source: Source, expected: Expectation) -> bool:
    """Whether a file is named like a mask of a batch, or lists images that were rejected."""
    names = {stem_of(file) for file in mask_files(source)}
    return bool(names & expected.images.keys() or ending(source.files, REJECTED))


def read(source: Source, expected: Expectation) -> Delivery:
    """Masks by name, and `rejected.txt`.

    Masks hold the colours or the ids of `classes.csv`, or the values of the project's own masks.
    Which of the last two is decided for all of the delivery, unless `expected` says it.
    """
    listed = {colour_of(class_id): class_id for class_id in range(len(expected.classes))}
    masks = _Masks(source, expected, expected.colours or listed)
    files = mask_files(source)
    for file in files:
        masks.read(file)
    masks.read_values()
    with_mask = {stem_of(file) for file in files}
    _refuse_other_formats(source, expected, with_mask)
    _refuse_in_images(source, expected, with_mask)
    delivery = Delivery([Delivered(name, mask) for name, mask in masks.found.items()])
    for file in ending(source.files, REJECTED):
        delivery.images += _rejected(source, file, expected)
    return delivery


def mask_files(source: Source) -> list[str]:
    """Files that may be masks: all of a format of masks but those that were handed over."""
    return [file for file in ending(source.files, *_MASKS) if not _is_handed_over(file)]


class _Masks:
    """The masks of a folder, those of colours first: what values mean is seen from all of them.

    Attributes:
        found: by name.
    """

    def __init__(
        self, source: Source, expected: Expectation, colours: Mapping[Colour, int]
    ) -> None:
        self._source, self._expected, self._colours = source, expected, colours
        self._palette = tuple(first_colours(colours))
        self._valued: dict[str, set[int]] = {}
        self._black: dict[str, set[int]] = {}
        self._names: set[str] = set()
        self.found: dict[str, Mask] = {}

    def read(self, file: str) -> None:
        """Take a mask of colours; put one of values aside."""
        name = stem_of(file)
        try:
            pixels = self._pixels(file)
            if name in self._names:
                raise ValueError("the delivery has two masks of this name")
            values = pixels.values
            if values is not None and pixels.palette[: len(self._palette)] == self._palette:
                self.found[name] = by_value(values, ids(self._expected))  # as it was handed over
            elif values is None:
                self.found[name] = by_colour(pixels, self._colours, self._expected.unlabelled)
            else:
                self._take_palette(file, pixels, values)
            self._names.add(name)
        except ValueError as err:
            self._source.refuse(file, str(err))

    def _pixels(self, file: str) -> Pixels:
        return decoded(self._source.files[file](), self._expected.image(file).size)

    def _take_palette(self, file: str, pixels: Pixels, values: Labels) -> None:
        """By its colours where a palette has those, else by value.

        Raises:
            ValueError: its colours and its values mean different classes, and either may be meant.
        """
        wanted = self._expected.mask_values
        if wanted == "ids" or (wanted == "own" and self._expected.values):
            self._valued[file] = values_in(values)
            return
        try:
            mask = by_colour(pixels, self._colours, self._expected.unlabelled)
        except ValueError:
            self._valued[file] = values_in(values)
            return
        later = (BLACK, *self._palette[:-1])
        if wanted == "any" and pixels.palette[: len(later)] == later:
            raise ValueError(
                "its palette has the colours of classes.csv, each one value later, so that values "
                "and colours mean different classes: say --mask-values ids or colours"
            )
        if BLACK not in self._colours and pixels.shown is not None and not pixels.shown.any():
            self._black[file] = values_in(values)
        else:
            self.found[stem_of(file)] = mask

    def read_values(self) -> None:
        """Take the masks of values, or refuse them."""
        if self._valued:  # their black is a value too
            self._valued |= self._black
        else:
            for file in self._black:
                self._take_by_value(file, dict.fromkeys(range(256), self._expected.unlabelled))
            return
        try:
            class_ids = meaning(list(self._valued.values()), self._expected)
        except ValueError as err:
            for file in self._valued:
                self._source.refuse(file, str(err))
            return
        for file in self._valued:
            self._take_by_value(file, class_ids)

    def _take_by_value(self, file: str, class_ids: Mapping[int, int]) -> None:
        try:
            if (values := self._pixels(file).values) is not None:
                self.found[stem_of(file)] = by_value(values, class_ids)
        except ValueError as err:
            self._source.refuse(file, str(err))


def _refuse_other_formats(source: Source, expected: Expectation, with_mask: set[str]) -> None:
    """Refuse what seems to be a mask in a format that holds none; images may lie beside masks."""
    for file in ending(source.files, *_NO_MASKS):
        name = stem_of(file)
        if name in expected.images and name not in with_mask and not _is_handed_over(file):
            source.refuse(file, "masks are PNG, BMP or TIFF; a JPEG changes values at every edge")


def _refuse_in_images(source: Source, expected: Expectation, with_mask: set[str]) -> None:
    """Refuse what may be masks in `images/`, unless that is the hand-over's with its HOW-TO.md."""
    for file in ending(source.files, *_MASKS):
        *folders, _ = file.split("/")
        name = stem_of(file)
        if "images" not in folders or name not in expected.images or name in with_mask:
            continue
        beside = [*folders[: folders.index("images")], "HOW-TO.md"]
        if "/".join(beside) not in source.files:
            why = (
                "a folder `images` is for the images themselves; give masks in one of another name"
            )
            source.refuse(file, why)


def _is_handed_over(file: str) -> bool:
    """Whether a file is the hand-over's own, when the whole folder comes back."""
    return bool({"images", "proposed"} & set(file.split("/")[:-1]))


def _rejected(source: Source, file: str, expected: Expectation) -> list[Delivered]:
    found = []
    try:
        lines = source.files[file]().decode("utf-8-sig", errors="replace").splitlines()
    except ValueError as err:
        source.refuse(file, str(err))
        return []
    for line in filter(None, map(str.strip, lines)):
        try:
            expected.image(line)
            found.append(Delivered(stem_of(line), rejected=True))
        except ValueError as err:
            source.refuse(f"{file}: {line[:80]}", str(err))
    return found
