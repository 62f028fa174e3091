"""Hostile inputs are refused in seconds and in little memory, whatever they claim to be."""

from __future__ import annotations

import io
import os
import pickle
import re
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from factories.folder_tree import folder_tree
from factories.toy import TOY
from PIL import Image

from alspec import api
from alspec.datasets.files import splitting
from alspec.datasets.files.decoding import MAX_PIXELS, read_labels, read_rgb
from alspec.datasets.files.splitting import sequence_of
from alspec.errors import DataError, InputError, SpecError
from alspec.models.nets.weights import read_weights
from alspec.system.atomic import sha256_of
from alspec.system.reading import read_text_file

SECONDS = 60.0  # on a busy machine; alone each takes less than three
MEMORY = 500 << 20

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pipes and limits of memory")


@pytest.fixture(autouse=True)
def _soon():
    """Each refusal takes seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS


def pipe(folder: Path) -> Path:
    """A pipe that nobody writes to."""
    path = folder / "pipe.yaml"
    os.mkfifo(path)
    return path


# ---- specs


def endless(_: Path) -> Path:
    return Path("/dev/zero")


def socket_like(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize("make", [pipe, endless, socket_like], ids=["pipe", "zero", "folder"])
def test_a_spec_that_is_no_file_is_refused(tmp_path, make):
    with pytest.raises(SpecError, match=r"pipe or a device|folder"):
        api.load(make(tmp_path))


def test_a_spec_of_100_megabytes_is_refused(tmp_path):
    path = tmp_path / "s.yaml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(SpecError, match="larger than 1 MB"):
        api.load(path)


def study_of(tmp_path, **changes):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({**TOY, **changes}))
    return path


def test_100_000_seeds_are_refused(tmp_path):
    path = study_of(tmp_path, seeds=[0])
    path.write_text(path.read_text().replace("- 0\n", "- 0\n" + "- 1\n" * 100_000))
    with pytest.raises(SpecError, match="more than 20,000 values"):
        api.load(path)


def test_a_study_of_a_million_steps_is_refused(tmp_path):
    study = api.load(study_of(tmp_path, seeds=list(range(15_000))))
    with pytest.raises(InputError, match=r"15,000 seeds are up to [0-9,]+ steps; at most 300,000"):
        api.plan(study)


@pytest.mark.parametrize("key", ["frames", "val_frames"])
def test_a_toy_of_a_hundred_million_frames_is_refused(tmp_path, key):
    toy = {**TOY["datasets"][0], key: 1_000_000, key.replace("frames", "sequences"): 100}
    with pytest.raises(
        SpecError, match="100,000,000 frames are rendered in a split; at most 1,000"
    ):
        api.load(study_of(tmp_path, datasets=[toy]))


# ---- lists


@pytest.mark.parametrize("make", [pipe, endless], ids=["pipe", "zero"])
def test_a_list_that_is_no_file_is_refused(tmp_path, make):
    dataset = folder_tree(tmp_path / "data")
    path = make(tmp_path)
    dataset["redundancy"] = {"kind": "list", "path": str(path)}
    study = api.load(study_of(tmp_path, datasets=[dataset]))
    with pytest.raises(InputError, match="it is a pipe or a device"):
        api.plan(study)


def test_a_list_without_end_is_refused(tmp_path):
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(OSError, match="larger than 64 MB"):
        read_text_file(path)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^((?:a|aa)+)$", "^(.*?,){11}P", "((a*)*)*b"])
def test_a_pattern_that_never_ends_is_refused(monkeypatch, pattern):
    monkeypatch.setattr(splitting, "PATTERN_SECONDS", 0.2)
    name = "a" * 60 + "!" if "," not in pattern else "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16" * 12
    grouped = pattern if re.compile(pattern).groups == 1 else f"(?:{pattern})"
    with suppress(DataError):  # or the engine finds a way out, in time
        assert sequence_of(grouped, name) is None


def test_a_pattern_is_given_its_time_and_no_more(monkeypatch):
    monkeypatch.setattr(splitting, "PATTERN_SECONDS", 0.2)
    with pytest.raises(DataError, match="repetitions inside repetitions"):
        sequence_of("^((?:a|a)*)*$", "a" * 40 + "!")


# ---- weights


def in_archive(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


class Asks:
    """Pickles to a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class Storage:
    """What torch's old layout names a tensor's values by."""


def old_layout(values: int) -> bytes:
    """A tensor of so many values in torch's layout before 1.6, with none of them."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                import torch

                return ("storage", torch.FloatStorage, "1", "cpu", values, None)
            return None

    buffer = io.BytesIO()
    for said in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(said, buffer, protocol=2)
    Pickler(buffer, protocol=2).dump({"weight": Storage()})
    pickle.dump(["1"], buffer, protocol=2)
    return buffer.getvalue()


BOMBS = {
    "bytearray": in_archive(pickle.dumps({"w": Asks(bytearray, (4_200_000_000,))}, protocol=2)),
    "bytearray, newer": in_archive(
        pickle.dumps({"w": Asks(bytearray, (4_200_000_000,))}, protocol=4)
    ),
    "bytes": in_archive(pickle.dumps({"w": Asks(bytes, (4_200_000_000,))}, protocol=2)),
    "bytearray, old": pickle.dumps({"w": Asks(bytearray, (4_200_000_000,))}, protocol=2),
    "storage": old_layout(1_050_000_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_weights_that_ask_for_gigabytes_are_refused_before_they_are_loaded(
    tmp_path, bomb, monkeypatch
):
    """A .pth of 386 bytes took 4.2 GB."""
    path = tmp_path / "w.pth"
    path.write_bytes(BOMBS[bomb])
    assert len(BOMBS[bomb]) < 1000
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(InputError, match=r"it asks for a (`byte|storage of 1,050,000,000)"):
        read_weights(path)


def test_weights_as_torch_saves_them_are_read(tmp_path):
    import torch

    state = {f"layer.{n}.weight": torch.zeros(300, 300) for n in range(20)}
    for old in (False, True):
        torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
        assert read_weights(tmp_path / "w.pth").keys() == state.keys()


@pytest.mark.parametrize("make", [pipe, endless], ids=["pipe", "zero"])
def test_weights_that_are_no_file_are_refused(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(OSError, match="pipe or a device"):
        sha256_of(path)
    study = api.load(study_of(tmp_path, pretrained=str(path)))
    with pytest.raises(InputError, match="cannot be read: it is a pipe or a device"):
        api.plan(study)
    with pytest.raises(InputError, match="pipe or a device"):
        read_weights(path)


# ---- images


def tiff_pages(count: int) -> bytes:
    """A TIFF of so many pages of one pixel, 18 bytes of directory each."""
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
               (273, 4, 1, 8), (278, 4, 1, 1), (279, 4, 1, 1)]  # fmt: skip
    size = 2 + 12 * len(entries) + 4
    parts = [b"II*\0", struct.pack("<I", 10), b"\0\0"]
    for page in range(count):
        following = 10 + size * (page + 1) if page + 1 < count else 0
        ifd = struct.pack("<H", len(entries))
        ifd += b"".join(struct.pack("<HHII", *entry) for entry in entries)
        parts.append(ifd + struct.pack("<I", following))
    return b"".join(parts)


def png_header(width: int, height: int, colour: int) -> bytes:
    """A PNG whose header promises a size; its pixels are zeros, packed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def bmp_header(width: int, height: int) -> bytes:
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0,
                       0, 0, 0, 0) + b"\0" * 64  # fmt: skip


def animation(form: str, count: int) -> bytes:
    buffer = io.BytesIO()
    pages = [Image.new("L", (2, 2), n % 200) for n in range(count)]
    pages[0].save(buffer, form, save_all=True, append_images=pages[1:])
    return buffer.getvalue()


IMAGES = {
    "300,000 pages.tif": (lambda: tiff_pages(300_000), "several frames"),
    "2 pages.tif": (lambda: tiff_pages(2), "several frames"),
    "frames.webp": (lambda: animation("WEBP", 50), "several frames"),
    "frames.png": (lambda: animation("PNG", 50), "several frames"),
    "100 megapixels.png": (lambda: png_header(10_000, 10_000, 2), "more than 40 million"),
    "100 megapixels with alpha.png": (lambda: png_header(10_000, 10_000, 6), "more than 40"),
    "100 megapixels.bmp": (lambda: bmp_header(10_000, 10_000), "more than 40 million"),
    "a line of 60 million.png": (lambda: png_header(60_000_000, 1, 0), "more than 40 million"),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("read", [read_rgb, read_labels])
def test_images_that_take_too_much_are_refused(tmp_path, name, read):
    make, words = IMAGES[name]
    if name.endswith("webp") and read is read_labels:
        words = "not an image"  # of those that masks may be
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(DataError, match=words):
        read(path)


def test_the_largest_image_that_is_read_stays_below_the_limit(tmp_path):
    path = tmp_path / "large.bmp"
    Image.new("RGB", (MAX_PIXELS // 5_000, 5_000)).save(path)
    code = (
        "from pathlib import Path\n"
        "from alspec.datasets.files.decoding import read_rgb\n"
        f"read_rgb(Path({str(path)!r}))\n"
        # The process's own peak: getrusage starts with that of the process it was forked from.
        "status = Path('/proc/self/status').read_text().splitlines()\n"
        "print(next(line.split()[1] for line in status if line.startswith('VmHWM')))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(said.stdout) * 1024 < MEMORY


# ---- machines


@pytest.mark.parametrize(
    ("err", "words"),
    [
        (PermissionError(13, "Permission denied"), "make it readable"),
        (OSError(5, "Input/output error"), "look at its disk or its mount"),
        (OSError(116, "Stale file handle"), "look at its disk or its mount"),
    ],
)
def test_a_good_file_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch, err, words):
    def refused(*_, **__):
        raise err

    monkeypatch.setattr("alspec.datasets.files.decoding.PillowImage.open", refused)
    with pytest.raises(DataError, match=words) as caught:
        read_rgb(tmp_path / "a.png")
    assert "damaged" not in str(caught.value)
    assert "remove it" not in str(caught.value)
