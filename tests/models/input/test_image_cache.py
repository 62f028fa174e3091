"""Decoded images on disk: read once for all, never wrong, never in the way."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from factories.images import MadeImages, ids

from alspec.datasets.base import Split
from alspec.datasets.kinds.folder import Folder
from alspec.datasets.kinds.folder import Spec as FolderSpec
from alspec.datasets.kinds.toy import Spec
from alspec.datasets.open import all_images, open_dataset
from alspec.datasets.pools.duplicates import duplicates_of
from alspec.models.input import image_cache
from alspec.models.input.image_cache import ImageCache
from alspec.models.input.pixel_source import PixelSource
from alspec.system import failpoints

SIZE = (32, 48)
IMAGES = 12


def frames(folder: Path) -> PixelSource:
    """A process that has read nothing yet, and a dataset that counts."""
    return PixelSource(MadeImages(SIZE), SIZE, ImageCache(folder, ids(IMAGES), SIZE))  # type: ignore[arg-type]


def reads(made: PixelSource) -> list[tuple[str, str]]:
    return made.dataset.reads  # type: ignore[attr-defined, no-any-return]


def is_right(made: PixelSource, numbers: range = range(IMAGES)) -> bool:
    plain = MadeImages(SIZE)
    chosen = [ids(IMAGES)[number] for number in numbers]
    return all(
        np.array_equal(made.image(image), plain.read_image(image))
        and np.array_equal(made.mask(image), plain.read_mask(image))
        for image in chosen
    )


def test_what_one_has_decoded_no_one_decodes_again(tmp_path: Path) -> None:
    first, twin = frames(tmp_path), frames(tmp_path)
    assert is_right(first)
    assert len(reads(first)) == 2 * IMAGES
    assert is_right(first)
    assert is_right(twin)
    assert is_right(frames(tmp_path))
    assert (len(reads(first)), reads(twin)) == (2 * IMAGES, [])


def test_masks_are_read_when_asked_for_and_not_before(tmp_path: Path) -> None:
    made = frames(tmp_path)
    for image in ids(IMAGES):
        made.image(image)
    made.mask(ids(IMAGES)[3])
    assert {image for what, image in reads(made) if what == "mask"} == {"3"}
    assert frames(tmp_path).cache.get("mask", ids(IMAGES)[4]) is None  # type: ignore[union-attr]


def test_rows_cannot_be_written_to(tmp_path: Path) -> None:
    frames(tmp_path).image(ids(1)[0])
    image = frames(tmp_path).image(ids(1)[0])
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1


def in_child(work: Callable[[], None], **environment: str) -> int:
    """Do work in a fork; its exit code, negative for a signal."""
    child = os.fork()
    if not child:
        os.environ.update(environment)
        failpoints.passed.clear()
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("point", ["cache.row", "cache.mark", "file.write"])
@pytest.mark.parametrize("number", [1, 2, 9, 2 * IMAGES])
def test_killed_while_it_fills(tmp_path: Path, point: str, number: int) -> None:
    def fill() -> None:
        made = frames(tmp_path)
        assert is_right(made)

    if point == "file.write":
        number = 1

        def fill() -> None:
            assert ImageCache.of(tmp_path, toy(), SIZE)

    code = in_child(fill, **{failpoints.FAULT: f"{point}:{number}:kill"})
    assert code == -signal.SIGKILL
    again = frames(tmp_path)
    assert is_right(again)
    done = 0 if point == "file.write" else number - 1
    assert len(reads(again)) == 2 * IMAGES - done


def test_filled_by_several_at_once(tmp_path: Path) -> None:
    children = []
    for start in range(4):
        child = os.fork()
        if not child:
            ours = frames(tmp_path)
            order = [*range(start, IMAGES), *range(start)]
            sound = all(is_right(ours, range(number, number + 1)) for number in order)
            os._exit(0 if sound else 1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * 4
    last = frames(tmp_path)
    assert is_right(last)
    assert reads(last) == []


def flip_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(7, len(data), 997):
        data[place] ^= 255
    path.write_bytes(data)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def shift(path: Path) -> None:
    path.write_bytes(path.read_bytes()[8:] + bytes(8))


@pytest.mark.parametrize("damage", [flip_bytes, zero, cut, noise, shift, Path.unlink])
@pytest.mark.parametrize("file", ["images.rows", "images.marks", "masks.rows", "masks.marks"])
def test_damage_is_found_and_mended(
    tmp_path: Path, damage: Callable[[Path], None], file: str
) -> None:
    assert is_right(frames(tmp_path))
    damage(tmp_path / file)
    found = frames(tmp_path)
    assert is_right(found)
    assert 0 < len(reads(found)) <= IMAGES
    mended = frames(tmp_path)
    assert is_right(mended)
    assert reads(mended) == []


def test_it_can_be_removed_at_any_time(tmp_path: Path) -> None:
    at_work = frames(tmp_path / "cache")
    assert is_right(at_work, range(3))
    shutil.rmtree(tmp_path / "cache")
    assert is_right(at_work)
    assert is_right(frames(tmp_path / "cache"))


@pytest.mark.parametrize("cause", ["ENOSPC", "EROFS", "EIO"])
def test_a_disk_that_takes_no_more_costs_memory_and_a_word(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cause: str,
) -> None:
    made = frames(tmp_path)
    failpoints.passed.clear()
    monkeypatch.setenv(failpoints.FAULT, f"cache.row:5:{cause}")
    assert is_right(made)
    assert is_right(made)
    assert len(reads(made)) == 2 * IMAGES
    told = capsys.readouterr().err
    assert told.count("decoded images stay in memory") == 1
    assert str(tmp_path) in told


def test_room_is_left_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_cache, "FREE_BYTES", 1 << 62)
    assert is_right(frames(tmp_path))
    assert "is free" in capsys.readouterr().err
    assert frames(tmp_path).cache.get("image", ids(1)[0]) is None  # type: ignore[union-attr]


def test_a_place_that_cannot_be_made_costs_memory_and_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert ImageCache.of(tmp_path / "file" / "images", toy(), SIZE) is None
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_cache_that_can_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_right(frames(tmp_path), range(4))
    real = os.open

    def read_only(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(30, "Read-only file system")
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    made = frames(tmp_path)
    assert is_right(made)
    assert len(reads(made)) == 2 * (IMAGES - 4)
    assert capsys.readouterr().err.count("Read-only file system") == 1


def test_a_loaders_process_opens_it_anew(tmp_path: Path) -> None:
    """Where processes are spawned, not forked, frames travel as a message."""
    made = frames(tmp_path)
    assert is_right(made, range(5))
    arrived = ForkingPickler.loads(ForkingPickler.dumps(made))
    assert is_right(arrived)
    assert len(reads(arrived)) == len(reads(made)) + 2 * (IMAGES - 5)


def toy(**changes: object) -> object:
    spec = {"name": "toy", "kind": "toy", "image_size": SIZE, "sequences": 1, "frames": 5,
            "val_sequences": 1, "val_frames": 2, **changes}  # fmt: skip
    return open_dataset(Spec.model_validate(spec))


def folder(root: Path, **changes: object) -> Folder:
    for name in ("images", "masks", "val", "val_masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "a.png").write_bytes(b"a" * len(name))
    spec = {"name": "mine", "kind": "folder", "root": str(root), "images": "images",
            "masks": "masks", "classes": ["a", "b"], "image_size": SIZE,
            "val": {"images": "val", "masks": "val_masks"}, **changes}  # fmt: skip
    return Folder(FolderSpec.model_validate(spec))


def home(root: Path, dataset: object, size: tuple[int, int] = SIZE) -> Path:
    cache = ImageCache.of(root, dataset, size)  # type: ignore[arg-type]
    assert cache
    return cache.folder


def test_what_decides_pixels_decides_the_folder(tmp_path: Path) -> None:
    one, cache = folder(tmp_path / "one"), tmp_path / "cache"
    same = [
        folder(tmp_path / "one", name="other"),
        folder(tmp_path / "moved"),
        folder(tmp_path / "one", redundancy={"kind": "every", "n": 2}),
    ]
    assert {home(cache, dataset) for dataset in same} == {home(cache, one)}
    grown = folder(tmp_path / "grown")
    (tmp_path / "grown/images/a.png").write_bytes(b"longer than before")
    others = [
        home(cache, one, (16, 16)),
        home(cache, folder(tmp_path / "one", classes=["b", "a"])),
        home(cache, folder(tmp_path / "moved", ignore=7)),
        home(cache, grown),
        home(cache, toy()),
        home(cache, toy(seed=1)),
    ]
    assert len({home(cache, one), *others}) == 1 + len(others)
    assert home(cache, toy()).name.startswith("toy-32x48-")
    assert '"frames": 5' in (home(cache, toy()) / "about.json").read_text()


def test_duplicates_have_rows_of_their_own(tmp_path: Path) -> None:
    dataset = toy(redundancy={"kind": "augmented", "size": 4, "duplicates": 1})
    cache = ImageCache.of(tmp_path, dataset, SIZE)  # type: ignore[arg-type]
    frame = dataset.frames(Split.POOL)[2]  # type: ignore[attr-defined]
    (duplicate,) = duplicates_of(frame, 1)
    assert len(all_images(dataset)) == 5 + 2 + 5  # type: ignore[arg-type]
    first = PixelSource(dataset, SIZE, cache)  # type: ignore[arg-type]
    for image in (frame.id, duplicate.id):
        first.image(image)
        assert cache
        kept = cache.get("image", image)
        assert kept is not None
        plain = dataset.read_image(image)  # type: ignore[attr-defined]
        assert np.array_equal(kept.transpose(1, 2, 0), plain)


def test_images_of_sizes_of_their_own_stay_in_memory() -> None:
    made = PixelSource(MadeImages(SIZE), None)  # type: ignore[arg-type]
    assert is_right(made)
    assert is_right(made)
    assert len(reads(made)) == 2 * IMAGES
