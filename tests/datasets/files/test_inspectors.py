"""Images read in processes of their own are found as they are read here, and in their order."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.base import Split
from alspec.datasets.files.inspection import Inspection
from alspec.datasets.files.inspection_record import decode_line, encode_line
from alspec.datasets.files.inspectors import inspect_all, inspect_here
from alspec.datasets.kinds.folder import Folder, Spec
from alspec.errors import Problem

IMAGES = 40
LOST, BAD_VALUE, OTHER_SIZE, NO_IMAGE, LATIN = 7, 11, 20, 33, 39

SUDDEN = """
import os
from alspec.datasets.kinds.folder import Folder

class Sudden(Folder):
    def read_mask_file(self, path):
        if path.stem.startswith("03") and str(os.getpid()) != os.environ["TESTS"]:
            os._exit(9)
        return super().read_mask_file(path)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("tree"), np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number in range(IMAGES):
        name = f"{number:02}" + ("\xe4" if number == LATIN else "")
        size = (24, 32) if number != OTHER_SIZE else (24, 30)
        image = root / "images" / f"{name}.jpg"
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(image)
        mask = rng.integers(0, 2, size, np.uint8)
        mask[0, 0] = 9 if number == BAD_VALUE else 255
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
        data = image.read_bytes()
        if number == LOST:
            image.write_bytes(data[: -len(data) // 4] + data[-2:])
        if number == NO_IMAGE:
            image.write_bytes(b"nothing")
    return root


@pytest.fixture
def spec(tree):
    given = {
        "name": "d", "kind": "folder", "root": str(tree), "image_size": [8, 8],
        "images": "images", "masks": "masks", "classes": ["a", "b"], "val": {"fraction": 0.1},
    }  # fmt: skip
    return Spec.model_validate(given)


def images_of(dataset):
    return sorted(frame.id for split in Split for frame in dataset.frames(split))


def same(found, other):
    for name in ("size", "problems", "digests"):
        if getattr(found, name) != getattr(other, name):
            return False
    arrays = (found.pixels, other.pixels), (found.thumbnail, other.thumbnail)
    return all((a is None and b is None) or np.array_equal(a, b) for a, b in arrays)


@pytest.fixture
def here(spec):
    """What is found of each image in this process, which hears nothing of lost data."""
    dataset = Folder(spec)
    return [inspect_here(dataset, image) for image in images_of(dataset)]


def test_processes_find_what_is_found_here_and_lost_data(spec, here):
    dataset = Folder(spec)
    found = list(inspect_all(dataset, images_of(dataset)))
    different = [n for n in range(IMAGES) if not same(found[n], here[n])]
    assert different == [LOST]
    assert [n for n in range(IMAGES) if found[n].problems] == [
        LOST, BAD_VALUE, OTHER_SIZE, NO_IMAGE,
    ]  # fmt: skip
    assert "lost data" in found[LOST].problems[0].what
    assert found[LATIN].size == (24, 32)


def test_a_record_gives_the_inspection_back():
    problem = Problem(
        "masks/\udce4.png", "odd", "a\n^", ("datasets", 0), (("val",), ("budgets", 1)), True
    )
    pixels = np.zeros(256, np.int64)
    pixels[[0, 255]] = 7, 2**40
    found = [
        Inspection((3, 4), pixels, np.full((16, 16, 3), 9, np.uint8), (), (b"\0" * 32, b"\1" * 32)),
        Inspection(None, None, None, (problem,)),
    ]
    line = encode_line(found)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    back = decode_line(line)
    assert all(map(same, back, found))
    assert hash(back[1].problems) == hash(found[1].problems), "tuples, not lists"


@pytest.mark.parametrize(
    "line", [b"gone", b"[1]", b'[{"size": [3]}]', b'[{"pixels": {"256": 1}}]', b'[{"pixels": [1]}]']
)
def test_what_is_no_record_is_refused(line):
    with pytest.raises((ValueError, TypeError)):
        decode_line(line)


def test_without_processes_the_rest_is_found(spec, here, monkeypatch):
    monkeypatch.setattr("alspec.system.interpreter.sys.executable", "/none")
    dataset = Folder(spec)
    found = list(inspect_all(dataset, images_of(dataset)))
    assert all(map(same, found, here))


def test_a_kind_that_no_process_can_make_is_read_here(spec, here):
    class Local(Folder):
        pass

    dataset = Local(spec)
    assert all(map(same, inspect_all(dataset, images_of(dataset)), here))


def test_an_image_that_ends_the_process_costs_no_other_one(tmp_path, spec, monkeypatch):
    (tmp_path / "sudden.py").write_text(SUDDEN)
    monkeypatch.setenv("ALSPEC_PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TESTS", str(os.getpid()))
    monkeypatch.syspath_prepend(tmp_path)
    import sudden

    dataset = sudden.Sudden(spec)
    found = list(inspect_all(dataset, images_of(dataset)))
    assert "lost data" in found[LOST].problems[0].what, "heard in the next process"
    assert found[3].pixels is not None, "read here"
    sys.modules.pop("sudden")


def test_closing_ends_the_processes(spec, monkeypatch):
    started = []

    def started_one(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", started_one)
    dataset = Folder(spec)
    inspected = inspect_all(dataset, images_of(dataset))
    next(inspected)
    inspected.close()
    assert started
    assert all(process.returncode is not None for process in started)


def test_few_images_that_libjpeg_says_nothing_of_need_no_process(tmp_path, spec, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            Image.new("L", (8, 8)).save(tmp_path / folder / f"{number}.png")
    dataset = Folder(spec.model_copy(update={"root": str(tmp_path)}))
    assert all(found.size == (8, 8) for found in inspect_all(dataset, images_of(dataset)))
