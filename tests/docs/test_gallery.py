"""The gallery: every spec fits the schema, is planned and runs, on drawn data of its own kind."""

import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from factories.packages import forget
from PIL import Image

from alspec.acquisition.new_package import write_package
from alspec.spec.schema import json_schema
from alspec.system.interpreter import MORE_FOLDERS

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"
SPECS = sorted(GALLERY.glob("*.yaml"))
COLOURS = np.array([[0, 0, 0], [255, 255, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def pair(image, mask, number, classes, shown=np.asarray):
    """An image of coloured squares, and its mask as `shown` writes the class ids."""
    rng = np.random.default_rng(number)
    ids = np.kron(np.arange(16).reshape(4, 4) % classes, np.ones((16, 16), int)).astype(np.uint8)
    ids = np.roll(ids, int(rng.integers(64)), axis=1)
    pixels = COLOURS[ids] // 2 + rng.integers(0, 90, (64, 64, 3), dtype=np.uint8)
    for path, data in ((image, pixels), (mask, shown(ids))):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data).save(path)


def draw_cityscapes(root, cli):
    assert cli("datasets", "make", "cityscapes", root, "--images", 60)[0] == 0


def draw_endoscopy(root, cli):
    for number in range(120):
        name = f"patient{number // 40 + 1}_seq1_{number % 40:04d}.png"
        pair(root / "images" / name, root / "masks" / name, number, 3)


def draw_microscopy(root, cli):
    for number in range(60):
        image, mask = f"images/c{number:02d}.png", f"masks/c{number:02d}_mask.png"
        pair(root / image, root / mask, number, 2, lambda ids: ids * 255)


def draw_satellite(root, cli):
    for number in range(120):
        name = f"scene{number // 10}_{number % 10}.png"
        pair(root / "rgb" / name, root / "labels" / name, number, 4, lambda ids: COLOURS[ids])


def draw_folder(root, cli):
    for half, numbers in (("train", range(40)), ("val", range(40, 48))):
        for number in numbers:
            name = f"{number:03d}.png"
            pair(root / half / "images" / name, root / half / "masks" / name, number, 3)


DATA = {
    "driving": ("CITYSCAPES_ROOT", draw_cityscapes),
    "endoscopy": ("ENDOSCOPY_ROOT", draw_endoscopy),
    "microscopy": ("NUCLEI_ROOT", draw_microscopy),
    "satellite": ("TILES_ROOT", draw_satellite),
    "mmsegmentation": ("DATA_ROOT", draw_folder),
    "own_method": (None, None),
}


@pytest.fixture
def spec(request, tmp_path, monkeypatch, cli):
    """A spec beside data of its kind, with the plugin that one of them needs."""
    name = request.param
    variable, draw = DATA[name]
    if draw:
        draw(tmp_path / "data", cli)
        monkeypatch.setenv(variable, str(tmp_path / "data"))
    package = write_package("contrast", tmp_path)
    info = package / "alspec_contrast-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: alspec-contrast\nVersion: 0.1.0\n")
    entry = "[alspec.acquisition]\ncontrast = alspec_contrast:Contrast\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv(MORE_FOLDERS, str(package))
    forget()
    monkeypatch.chdir(ROOT)
    yield GALLERY / f"{name}.yaml"
    forget()


def test_every_spec_is_known_and_in_the_table():
    assert {path.stem for path in SPECS} == set(DATA)
    table = (GALLERY / "README.md").read_text()
    assert all(f"[{path.name}]({path.name})" in table for path in SPECS)


@pytest.mark.parametrize("spec", DATA, indirect=True)
def test_a_spec_fits_the_schema_and_is_planned(spec, cli):
    data = yaml.safe_load(spec.read_text().replace("1e-", "1.0e-"))
    data = json.loads(json.dumps(data))  # keys are text for an editor, 0 and 255 too
    validator = jsonschema.Draft7Validator(json_schema())
    assert [error.message for error in validator.iter_errors(data)] == []
    code, _, err = cli("plan", spec)
    assert (code, err) == (0, "")


SMALL = {
    "driving": ["training.epochs=1", "datasets.0.image_size=[32, 64]", "training.crop=[32, 64]",
                "model=deeplabv3plus_tiny", "budgets=[10-10]", "methods=[random, coreset]"],
    "endoscopy": ["training.epochs=1", "datasets.0.image_size=[32, 32]", "model=deeplabv3plus_tiny",
                  "budgets.0.cycles=2", "methods.3.passes=2"],
    "microscopy": ["training.epochs=1", "datasets.0.image_size=[48, 48]", "training.crop=[32, 32]",
                   "model=deeplabv3plus_tiny", "methods=[random, entropy]"],
    "satellite": ["training.epochs=1", "datasets.0.image_size=[32, 32]", "model=deeplabv3plus_tiny",
                  "budgets.0.cycles=2"],
    "mmsegmentation": ["training.epochs=1", "datasets.0.image_size=[32, 32]"],
    "own_method": ["training.epochs=1", "budgets.0.cycles=2"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spec", DATA, indirect=True)
def test_a_spec_runs(spec, tmp_path, cli):
    overrides = [f"--set={each}" for each in (*SMALL[spec.stem], "seeds=[0]", "ssl=[false]")]
    code, out, err = cli(
        "run", spec, *overrides, "--devices", f"cpu:{min(2, os.cpu_count() or 1)}",
        "--work-dir", tmp_path / "work", "--trust-config",
    )  # fmt: skip
    assert code == 0, err
    assert ", 0 failed, 0 skipped" in out
    rows = (tmp_path / "work" / f"gallery_{spec.stem}" / "results.csv").read_text().splitlines()
    assert len(rows) > 2
