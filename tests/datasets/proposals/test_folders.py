"""What trees of images and masks, as people have them, are taken for: a table of tiny folders."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from alspec.datasets.proposals.proposal import propose
from alspec.errors import DataError
from alspec.spec.load import load_project, load_study
from alspec.spec.project import Project
from alspec.spec.templates import template, with_values

SIZE = (12, 16)
FRAMES = [f"{video}_{frame:03d}" for video in ("a", "b") for frame in range(6)]
FEW = FRAMES[::4]


def write(root, name, pixels):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photo(grey=False):
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    return noise[..., 0] if grey else noise


def labels(values=(0, 1, 2)):
    return np.resize(np.array(values, np.uint8), SIZE)


def coloured(colours):
    return np.resize(np.array(colours, np.uint8), (*SIZE, 3))


def photos(form, names=FRAMES, grey=False):
    return {form.format(name): photo(grey) for name in names}


def masks(form, names=FRAMES, pixels=None):
    return {form.format(name): labels() if pixels is None else pixels for name in names}


@dataclass(frozen=True)
class Case:
    """A tree, and what the written spec has to say of it."""

    name: str
    files: dict[str, np.ndarray]
    project: bool
    expected: dict[str, object]
    notes: tuple[str, ...] = ()
    absent_notes: tuple[str, ...] = field(default=())


VAL = ["c_001", "c_002"]
THREE = ("class_0", "class_1", "class_2")

CASES = [
    Case(
        "all labelled",
        photos("images/{}.jpg") | masks("masks/{}.png"),
        False,
        {"images": "images", "masks": "masks", "classes": THREE, "sequence": "^(.*)_"},
        ("12 images in images, all with masks in masks: a study", "a fifth of the images"),
    ),
    Case(
        "images only",
        photos("frames/{}.jpg"),
        True,
        {"images": "frames", "masks": "labels", "val": None, "sequence": "^(.*)_"},
        ("none with a mask", "written to labels", "name your classes"),
    ),
    Case(
        "a few masks",
        photos("frames/{}.jpg") | masks("annot/{}.png", FEW),
        True,
        {"images": "frames", "masks": "annot", "val": None, "classes": THREE},
        ("12 images in frames, 3 with masks in annot: a labelling project",),
    ),
    Case(
        "a few masks, and a val as well",
        photos("frames/{}.jpg")
        | masks("labels/{}.png", FEW)
        | photos("val/{}.png", VAL)
        | masks("valannot/{}.png", VAL, labels((0, 1, 2, 3))),
        True,
        {
            "images": "frames",
            "masks": "labels",
            "val": ("val", "valannot"),
            "classes": (*THREE, "class_3"),
        },
        ("measured on: the 2 images in val, masks in valannot",),
        ("not used",),
    ),
    Case(
        "the same with numbers for names in both",
        photos("frames/{}.jpg", map(str, range(9)))
        | masks("labels/{}.png", ["1", "4"])
        | photos("val/{}.jpg", map(str, range(5)))
        | masks("valannot/{}.png", map(str, range(5))),
        True,
        {"images": "frames", "masks": "labels", "val": ("val", "valannot")},
    ),
    Case(
        "more images without masks than with, in folders that nobody asked about",
        photos("frames/{}.jpg")
        | masks("labels/{}.png", FEW)
        | photos("big/{}.jpg", [f"x{n}" for n in range(40)])
        | photos("test/{}.jpg", [f"y{n}" for n in range(3)]),
        True,
        {"images": "frames", "masks": "labels", "val": None},
        ("40 images without masks in big are not used", "3 images without masks in test"),
    ),
    Case(
        "two folders without masks",
        photos("day/{}.jpg") | photos("night/{}.jpg", FEW),
        True,
        {"images": "day", "masks": "labels"},
        ("3 images without masks in night are not used",),
    ),
    Case(
        "labelled images beside many without masks",
        photos("images/{}.jpg")
        | masks("masks/{}.png")
        | photos("more/{}.jpg", [f"x{n}" for n in range(40)]),
        False,
        {"images": "images", "masks": "masks"},
        ("40 images without masks in more are not used; to label some of them, move them into",),
    ),
    Case(
        "train, val and test, as CamVid has them",
        photos("train/{}.png")
        | masks("trainannot/{}.png")
        | photos("val/{}.png", VAL)
        | masks("valannot/{}.png", VAL)
        | photos("test/{}.png", ["d_1", "d_2", "d_3"])
        | masks("testannot/{}.png", ["d_1", "d_2", "d_3"]),
        False,
        {"images": "train", "masks": "trainannot", "val": ("val", "valannot")},
        ("3 images with masks in test and testannot are not used",),
    ),
    Case(
        "halves inside images and masks",
        photos("images/train/{}.jpg")
        | masks("masks/train/{}.png")
        | photos("images/val/{}.jpg", VAL)
        | masks("masks/val/{}.png", VAL),
        False,
        {"images": "images/train", "masks": "masks/train", "val": ("images/val", "masks/val")},
    ),
    Case(
        "images and masks inside halves",
        photos("train/images/{}.jpg")
        | masks("train/labels/{}.png")
        | photos("test/images/{}.jpg", VAL)
        | masks("test/labels/{}.png", VAL),
        False,
        {"images": "train/images", "masks": "train/labels", "val": ("test/images", "test/labels")},
    ),
    Case(
        "halves of the same names",
        photos("train/images/{}.jpg", ["1", "2", "3"])
        | masks("train/masks/{}.png", ["1", "2", "3"])
        | photos("valid/images/{}.jpg", ["1", "2", "3"])
        | masks("valid/masks/{}.png", ["1", "2", "3"]),
        False,
        {"images": "train/images", "masks": "train/masks", "val": ("valid/images", "valid/masks")},
    ),
    Case(
        "only val has masks",
        photos("images/train/{}.jpg")
        | photos("images/val/{}.jpg", VAL)
        | masks("labels/val/{}.png", VAL),
        True,
        {"images": "images/train", "masks": "labels/train", "val": ("images/val", "labels/val")},
    ),
    Case(
        "videos in folders of their own",
        photos("frames/v1/{}.jpg", map(str, range(6)))
        | photos("frames/v2/{}.jpg", map(str, range(6)))
        | masks("labels/v1/{}.png", ["2"]),
        True,
        {"images": "frames", "masks": "labels", "sequence": "^(.*)/"},
    ),
    Case(
        "masks with a suffix",
        photos("images/{}.jpg") | masks("masks/{}_mask.png"),
        False,
        {"images": "images", "masks": "masks", "mask_name": "{stem}_mask", "sequence": "^(.*)_"},
    ),
    Case(
        "a few masks with a suffix, among numbers",
        photos("images/{}.jpg", map(str, range(1, 13)))
        | masks("gt/{}_label.png", ["1", "2", "11"]),
        True,
        {"images": "images", "masks": "gt", "mask_name": "{stem}_label"},
    ),
    Case(
        "images and masks with suffixes",
        photos("images/{}_leftImg8bit.png") | masks("masks/{}_gtFine_labelTrainIds.png"),
        False,
        {
            "image_name": "{stem}_leftImg8bit",
            "mask_name": "{stem}_gtFine_labelTrainIds",
            "sequence": "^(.*)_",
        },
    ),
    Case(
        "images and masks with prefixes",
        photos("images/image_{}.jpg", ["01", "13"]) | masks("masks/mask_{}.png", ["01", "13"]),
        False,
        {"image_name": "image_{stem}", "mask_name": "mask_{stem}"},
    ),
    Case(
        "pairs in one folder, in halves",
        photos("train/{}.jpg")
        | masks("train/{}_mask.png")
        | photos("valid/{}.jpg", VAL)
        | masks("valid/{}_mask.png", VAL),
        False,
        {
            "images": "train",
            "masks": "train",
            "mask_name": "{stem}_mask",
            "val": ("valid", "valid"),
        },
    ),
    Case(
        "pairs in the root itself",
        photos("{}_sat.jpg") | masks("{}_mask.png"),
        False,
        {"images": ".", "masks": ".", "image_name": "{stem}_sat", "mask_name": "{stem}_mask"},
    ),
    Case(
        "pairs in one folder that differ in their extension",
        photos("data/{}.jpg") | masks("data/{}.png", FEW),
        True,
        {"images": "data", "masks": "data", "image_name": "{stem}.jpg", "mask_name": "{stem}.png"},
    ),
    Case(
        "grey images, by the names of folders",
        photos("scans/{}.png", grey=True) | masks("truth/{}.png"),
        False,
        {"images": "scans", "masks": "truth"},
    ),
    Case(
        "grey images, by what they hold",
        photos("ct/{}.png", grey=True) | masks("lesions/{}.png"),
        False,
        {"images": "ct", "masks": "lesions"},
    ),
    Case(
        "smaller copies of the images",
        {f"small/{name}.jpg": photo()[:6, :8] for name in FRAMES}
        | photos("images/{}.jpg")
        | masks("masks/{}.png"),
        False,
        {"images": "images", "masks": "masks"},
    ),
    Case(
        "black and white masks",
        photos("images/{}.jpg") | masks("masks/{}.png", pixels=labels((0, 255))),
        False,
        {"values": {0: "class_0", 255: "class_255"}},
        ("0 (50 %), 255 (50 %)", "name the classes in `values`"),
    ),
    Case(
        "two folders of masks",
        photos("images/{}.jpg")
        | masks("masks_a/{}.png")
        | masks("masks_b/{}.png", pixels=labels((0, 1))),
        False,
        {"masks": "masks_a"},
        ("12 files in masks_b, named as masks, are not used",),
    ),
    Case(
        "numbers of objects",
        photos("images/{}.jpg") | masks("masks/{}.png", pixels=labels(range(100))),
        False,
        {},
        ("100 values are many for classes",),
        ("name the classes",),
    ),
    Case(
        "values with gaps and void",
        photos("images/{}.jpg") | masks("masks/{}.png", pixels=labels((0, 7, 255))),
        False,
        {"values": {0: "class_0", 7: "class_7"}, "ignored": (255,)},
    ),
    Case(
        "values with gaps",
        photos("images/{}.jpg") | masks("masks/{}.png", pixels=labels((0, 7, 9))),
        False,
        {"values": {0: "class_0", 7: "class_7", 9: "class_9"}},
    ),
    Case(
        "a value that few masks do not have",
        photos("images/{}.jpg") | masks("masks/{}.png", FEW, labels((0, 1, 2, 3, 4, 6))),
        True,
        {"classes": tuple(f"class_{n}" for n in range(7)), "values": None},
        ("no mask holds 5",),
    ),
    Case(
        "ignored pixels",
        photos("images/{}.jpg") | masks("masks/{}.png", pixels=labels((0, 1, 255))),
        False,
        {"classes": ("class_0", "class_1")},
    ),
    Case(
        "coloured masks",
        photos("images/{}.jpg")
        | masks("masks/{}.png", pixels=coloured([(0, 0, 0), (128, 64, 128)])),
        False,
        {"colours": {"#000000": "class_0", "#804080": "class_1"}},
    ),
    Case(
        "frames that are named unlabelled",
        photos("unlabelled/{}.jpg"),
        True,
        {"images": "unlabelled", "masks": "labels"},
    ),
]


def said(proposal, root):
    spec = root / "s.yaml"
    spec.write_text(with_values(template(proposal.template), proposal.values))
    return (load_project if proposal.is_project else load_study)(spec)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tree_is_taken_for_what_it_is(case, tmp_path):
    for name, pixels in case.files.items():
        write(tmp_path, name, pixels)
    proposal = propose(tmp_path, gpu=False)
    spec = said(proposal, tmp_path)
    assert isinstance(spec, Project) == case.project
    dataset = spec.dataset if case.project else spec.datasets[0]
    for key, value in case.expected.items():
        found = getattr(dataset, key)
        if key == "val" and value is not None:
            found = (found.images, found.masks)
        assert found == value, key
    said_ = "\n".join(proposal.notes)
    assert all(note in said_ for note in case.notes), said_
    assert not any(note in said_ for note in case.absent_notes), said_
    kind = type(dataset).__module__.rpartition(".")[2]
    assert kind == ("partly_labelled" if case.project else "folder")


def test_masks_as_jpegs_are_refused(tmp_path):
    for name, pixels in (photos("images/{}.jpg") | masks("masks/{}.jpg")).items():
        write(tmp_path, name, pixels)
    with pytest.raises(DataError, match=r"masks: these seem to be the masks of images \(12 of 12"):
        propose(tmp_path, gpu=False)


def test_classes_take_the_names_of_a_file_beside_the_masks(tmp_path):
    for name, pixels in (photos("train/{}.jpg") | masks("train/{}_mask.png")).items():
        write(tmp_path, name, pixels)
    (tmp_path / "train" / "_classes.csv").write_text(
        "Pixel Value, Class\n0, background\n1, cell\n2, edge\n"
    )
    spec = said(propose(tmp_path, gpu=False), tmp_path)
    assert spec.datasets[0].classes == ("background", "cell", "edge")


def test_colours_take_the_names_of_a_label_map(tmp_path):
    seen = masks("SegmentationClass/{}.png", FEW, coloured([(0, 0, 0), (128, 64, 128)]))
    for name, pixels in (photos("frames/{}.jpg") | seen).items():
        write(tmp_path, name, pixels)
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nroad:128,64,128::\ncar:1,2,3::\n")
    spec = said(propose(tmp_path, gpu=False), tmp_path)
    assert spec.dataset.colours == "labelmap.txt"
    assert spec.dataset.resolved().classes == ("background", "road", "car")


def test_files_that_cannot_be_read_stop_nothing(tmp_path):
    for name, pixels in (photos("images/{}.jpg") | masks("masks/{}.png")).items():
        write(tmp_path, name, pixels)
    (tmp_path / "images" / "a_000.jpg").write_bytes(b"no image")
    broken = tmp_path / "masks" / "b_001.png"
    broken.write_bytes(broken.read_bytes()[:50])
    proposal = propose(tmp_path, gpu=False)
    assert proposal.values["classes"] == "[class_0, class_1, class_2]"
    assert "image_size" not in proposal.values
    assert any(note.startswith("11 of the masks hold") for note in proposal.notes)


@pytest.mark.parametrize("folder", ["leftImg8bit/train/x", "gtFine/train/x"])
def test_official_trees_take_their_own_template(folder, tmp_path):
    for name in ("leftImg8bit/train", "gtFine/train"):
        (tmp_path / name).mkdir(parents=True)
    write(tmp_path, f"{folder}/a_leftImg8bit.png", photo())
    proposal = propose(tmp_path, gpu=True)
    assert proposal.template == "cityscapes"
    assert said(proposal, tmp_path).datasets[0].root == str(tmp_path)


def test_a_tree_without_images_says_what_to_do(tmp_path):
    (tmp_path / "drive.mp4").touch()
    (tmp_path / "frames").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    write(tmp_path, "elsewhere/.hidden.jpg", photo())
    notes = propose(tmp_path, gpu=False).notes
    assert any("ffmpeg -i drive.mp4" in note for note in notes)
    assert any("frames: links" in note for note in notes)
    write(tmp_path, "a.jpg", photo())
    assert any("put them into one" in note for note in propose(tmp_path, gpu=False).notes)


def test_what_a_gpu_can_do_is_left_to_the_template(tmp_path):
    write(tmp_path, "frames/a.jpg", np.zeros((480, 640, 3), np.uint8))
    values = propose(tmp_path, gpu=True).values
    assert values["image_size"] == "[256, 344]"
    assert "training" not in values


@pytest.mark.parametrize("name", ["2024", "null", "1e3", "a" * 90])
def test_any_folder_name_makes_a_name(name, tmp_path):
    root = tmp_path / name
    for file, pixels in (photos("images/{}.jpg") | masks("masks/{}.png")).items():
        write(root, file, pixels)
    assert said(propose(root, gpu=False), tmp_path).study == name[:80]
