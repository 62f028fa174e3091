from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from factories import annotators
from PIL import Image

from alspec.datasets.base import IGNORE
from alspec.datasets.files.palette import png_of
from alspec.datasets.kinds.partly_labelled import Spec
from alspec.errors import InputError
from alspec.labelling.delivery.base import Awaited, Expectation
from alspec.labelling.delivery.read import read_delivery
from alspec.labelling.export import cvat, folder, labelstudio
from alspec.labelling.export.image import HandedImage, HandOver, flat_name
from alspec.labelling.mask_file import own_codes

CLASSES = ("sky", "road & <edge>", 'a "car"', "pole")
SIZE = (20, 30)


def drawn(seed, ignored=True):
    """A mask of rectangles of every class."""
    rng = np.random.default_rng(seed)
    mask = np.full(SIZE, 0, np.uint8)
    for value in (*range(len(CLASSES)), IGNORE) if ignored else range(len(CLASSES)):
        top, left = rng.integers(0, 15), rng.integers(0, 20)
        mask[top : top + 6, left : left + 11] = value
    return mask


@pytest.fixture
def handed(tmp_path):
    """A batch of four images; the last is a check image, without a proposal."""
    images = []
    for rank in range(1, 5):
        file = tmp_path / f"frame.{rank}.jpg"
        Image.fromarray(np.full((*SIZE, 3), rank, np.uint8)).save(file)
        name = flat_name(1, rank, file.name)
        proposal = drawn(100 + rank) if rank < 4 else None
        images.append(HandedImage(file.name, name, file, SIZE, proposal))
    return HandOver(images, CLASSES, "p.yaml", "ignored", tmp_path / "home")


def stems(handed):
    return [image.name.rpartition(".")[0] for image in handed.images]


def expected(handed, unlabelled=IGNORE, classes=CLASSES):
    images = {
        name: Awaited(i.id, i.size) for name, i in zip(stems(handed), handed.images, strict=True)
    }
    return Expectation(images, classes, unlabelled)


WRITERS = {
    "folder": annotators.folder_of_masks,
    "masks": annotators.cvat_masks,
    "xml": annotators.cvat_xml,
    "json": annotators.labelstudio,
}


def unpack(back, place):
    """Lay what a tool exported out in a folder."""
    if back.is_dir():
        shutil.copytree(back, place)
    elif zipfile.is_zipfile(back):
        with zipfile.ZipFile(back) as archive:
            archive.extractall(place)
    else:
        place.mkdir(exist_ok=True)
        shutil.copyfile(back, place / back.name)


@pytest.mark.parametrize("tool", WRITERS)
@pytest.mark.parametrize("unlabelled", [IGNORE, 3])
def test_masks_of_each_tool_come_back_pixel_for_pixel(tool, unlabelled, handed, tmp_path):
    truths = {name: drawn(number) for number, name in enumerate(stems(handed))}
    place = WRITERS[tool](tmp_path / "back.json", truths, CLASSES)
    delivery = read_delivery(place, expected(handed, unlabelled))
    assert delivery.refused == []
    found = {one.name: one.mask for one in delivery.images}
    assert found.keys() == truths.keys()
    for name, truth in truths.items():
        wanted = truth.copy()
        wanted[truth == IGNORE] = unlabelled
        np.testing.assert_array_equal(found[name], wanted)


def test_a_class_named_background_has_the_pixels_that_cvat_paints_black(handed, tmp_path):
    classes = ("background", "lesion", "other", "more")
    truth = drawn(3, ignored=False)
    place = annotators.cvat_masks(tmp_path / "a.zip", {stems(handed)[0]: truth}, classes)
    text = zipfile.ZipFile(place).read("labelmap.txt").decode()
    r, g, b = annotators.colours(1)[0]
    black = np.array([[0, 0, 0]], np.uint8)
    changed = tmp_path / "b.zip"
    with zipfile.ZipFile(place) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".png"):
                pixels = np.array(Image.open(io.BytesIO(data)))
                pixels[truth == 0] = black
                data = annotators.png(pixels)
            new.writestr(name, data)
            if name == "labelmap.txt":
                text = text.replace(f"background:{r},{g},{b}::", "background:0,0,0::")
    with zipfile.ZipFile(changed) as old, zipfile.ZipFile(tmp_path / "c.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, text if name == "labelmap.txt" else old.read(name))
    (one, *_) = read_delivery(tmp_path / "c.zip", expected(handed, classes=classes)).images
    np.testing.assert_array_equal(one.mask, truth)


@pytest.mark.parametrize("tool", ["masks", "xml", "json"])
def test_rejected_images_are_told_from_untouched_ones(tool, handed, tmp_path):
    first, second, third, fourth = stems(handed)
    place = WRITERS[tool](
        tmp_path / "back", {first: drawn(1), second: drawn(2)}, CLASSES, [third], untouched=[fourth]
    )
    if tool == "json":
        place = place.rename(tmp_path / "back.json")
    images = {one.name: one for one in read_delivery(place, expected(handed)).images}
    assert images.keys() == {first, second, third}
    assert images[third].rejected
    assert not images[first].rejected


def test_a_folder_names_rejected_images_in_a_list(handed, tmp_path):
    first, second, *_ = stems(handed)
    place = annotators.folder_of_masks(
        tmp_path / "back", {first: drawn(1)}, CLASSES, [second, "stranger"]
    )
    delivery = read_delivery(place, expected(handed))
    assert [one.name for one in delivery.images if one.rejected] == [second]
    assert delivery.refused == [("rejected.txt: stranger", "no image of this name was handed over")]


def test_a_folder_takes_palette_images_and_the_listed_colours(handed, tmp_path):
    first, second, third, _ = stems(handed)
    truth, place = drawn(5, ignored=False), tmp_path / "back"
    place.mkdir()
    (place / f"{first}.png").write_bytes(png_of(truth, len(CLASSES)))
    Image.open(place / f"{first}.png").convert("RGB").save(place / f"{second}.png")
    reordered = Image.fromarray(truth[::-1].copy() * 0 + 9)  # one index for one colour, elsewhere
    reordered.putpalette([0] * 27 + [128, 0, 0] + [0] * 738)
    reordered.save(place / f"{third}.png")
    found = {one.name: one.mask for one in read_delivery(place, expected(handed)).images}
    np.testing.assert_array_equal(found[first], truth)
    np.testing.assert_array_equal(found[second], truth)
    assert (found[third] == 0).all()


def two_exports(handed, place):
    """Two exports of CVAT in one folder, whose label maps have other colours for the classes."""
    first, second, *_ = stems(handed)
    for number, (name, classes) in enumerate([(first, CLASSES), (second, CLASSES[::-1])]):
        mask = drawn(number) if number == 0 else np.where(drawn(number) < 4, 3 - drawn(number), 255)
        back = annotators.cvat_masks(
            place.with_suffix(".zip"), {name: mask.astype(np.uint8)}, classes
        )
        with zipfile.ZipFile(back) as archive:
            archive.extractall(place / f"job{number}")
    return place


def test_each_export_of_cvat_is_read_by_its_own_label_map(handed, tmp_path):
    place = two_exports(handed, tmp_path / "back")
    found = read_delivery(place, expected(handed))
    assert found.refused == []
    masks = {one.name: one.mask for one in found.images if one.mask is not None}
    for number, name in enumerate(stems(handed)[:2]):
        np.testing.assert_array_equal(masks[name], drawn(number))
    assert [one.name for one in found.images if one.rejected] == stems(handed)[2:]


@pytest.mark.parametrize(
    "spoiled", ["sky:10,200,0::\npole:10,200,0::\n", "dog:1,2,3::\n", "x", None]
)
def test_nothing_is_taken_of_an_export_whose_label_map_is_not_clear(spoiled, handed, tmp_path):
    place = two_exports(handed, tmp_path / "back")
    if spoiled is None:
        (place / "job1" / "labelmap.txt").unlink()
    else:
        (place / "job1" / "labelmap.txt").write_text(spoiled)
    found = read_delivery(place, expected(handed))
    assert [one.name for one in found.images if one.mask is not None] == stems(handed)[:1]
    assert "labelmap.txt that can be used" in found.refused[-1].why
    alone = read_delivery(place / "job1", expected(handed))
    assert alone.images == []


def test_an_image_that_xml_has_twice_is_taken_once_and_it_is_said(handed, tmp_path):
    first, *_ = stems(handed)
    place = tmp_path / "back"
    place.mkdir()
    for number in (0, 1):
        annotators.cvat_xml(tmp_path / f"{number}.zip", {first: drawn(number)}, CLASSES)
        with zipfile.ZipFile(tmp_path / f"{number}.zip") as archive:
            (place / f"{number}.xml").write_bytes(archive.read("annotations.xml"))
    (one,) = (found := read_delivery(place, expected(handed))).images
    np.testing.assert_array_equal(one.mask, drawn(0))
    (refused,) = found.refused
    assert refused.file.startswith("1.xml")
    assert "twice" in refused.why


STRAYS = {
    "notes.xml": "<notes><note/></notes>",
    "meta.json": '{"annotations": []}',
    "list.json": "[1, 2]",
    "labelmap.txt": "sky:1,2,3::\n",
    "rejected.xml": "no XML",
}


@pytest.mark.parametrize("tool", WRITERS)
def test_other_files_beside_a_delivery_hide_no_mask(tool, handed, tmp_path):
    name, *_ = stems(handed)
    back = WRITERS[tool](tmp_path / "back.json", {name: drawn(1)}, CLASSES)
    place = tmp_path / "place"
    unpack(back, place)
    for stray, text in STRAYS.items():
        if not (place / stray).exists():
            (place / stray).write_text(text)
    found = [one for one in read_delivery(place, expected(handed)).images if one.mask is not None]
    assert [one.name for one in found] == [name]
    np.testing.assert_array_equal(found[0].mask, drawn(1))


@pytest.mark.parametrize("tool", ["xml", "json"])
def test_masks_beside_an_export_with_its_own_are_refused(tool, handed, tmp_path):
    first, second, *_ = stems(handed)
    place = tmp_path / "place"
    annotators.folder_of_masks(place, {second: drawn(1)}, CLASSES)
    back = WRITERS[tool](tmp_path / "back.json", {first: drawn(1)}, CLASSES)
    unpack(back, place)
    found = read_delivery(place, expected(handed))
    assert [one.name for one in found.images if one.mask is not None] == [first]
    assert [refused.file for refused in found.refused] == [f"{second}.png"]


def test_masks_in_a_folder_named_images_are_refused_with_the_reason(handed, tmp_path):
    first, *_ = stems(handed)
    annotators.folder_of_masks(tmp_path / "back" / "images", {first: drawn(1)}, CLASSES)
    found = read_delivery(tmp_path / "back", expected(handed))
    assert found.images == []
    (refused,) = found.refused
    assert "another name" in refused.why
    annotators.folder_of_masks(tmp_path / "back" / "masks", {first: drawn(1)}, CLASSES)
    found = read_delivery(tmp_path / "back", expected(handed))
    assert ([one.name for one in found.images], found.refused) == ([first], [])


def test_folders_that_windows_writes_into_a_zip_are_read(handed, tmp_path):
    data = annotators.png(drawn(1))
    place = archive(tmp_path / "a.zip", ("masks\\", b""), (f"masks\\{GOOD}", data))
    found = read_delivery(place, expected(handed))
    assert ([one.name for one in found.images], found.refused) == (["b01-0001-frame-1"], [])


@pytest.mark.parametrize("said", ["any", "own"])
def test_masks_of_16_bits_are_read_as_the_project_s_own_are(said, handed, tmp_path):
    fields = {"values": {0: "bg", 600: "lesion"}, "ignore": 300}
    place = tmp_path / "masks"
    place.mkdir()
    values = np.resize(np.uint16([0, 300, 600]), SIZE)
    for name, given in zip(stems(handed), (values, values + 1), strict=False):
        Image.fromarray(given).save(place / f"{name}.png")
    found = read_delivery(place, own_masks(handed, fields, mask_values=said))
    (one,) = found.images
    np.testing.assert_array_equal(one.mask, np.resize(np.uint8([0, IGNORE, 1]), SIZE))
    assert "values 1, 301, 601 belong to no class" in found.refused[0].why


# ---- what is handed over reads back as the proposals


BLACK_AND_WHITE = {"values": {0: "bg", 255: "lesion"}}
SHIFTED = {"values": {1: "bg", 2: "lesion"}}


def own_masks(handed, fields, **changes):
    """What is expected where the project's own masks are read by these fields."""
    spec = Spec.model_validate(
        {"name": "d", "kind": "folder", "root": "r", "images": "i", "masks": "m", **fields}
    )
    named = expected(handed, classes=("bg", "lesion"))
    return replace(named, values=own_codes(spec).values, **changes)


def masks_of(place, handed, *given):
    """Masks of these values, one an image."""
    place.mkdir()
    for stem, values in zip(stems(handed), given, strict=False):
        Image.fromarray(np.resize(np.uint8(values), SIZE)).save(place / f"{stem}.png")
    return place


@pytest.mark.parametrize(
    ("fields", "given", "read"),
    [
        (BLACK_AND_WHITE, [(0, 1)], [(0, 1)]),
        (BLACK_AND_WHITE, [(0, 1), (0, 255)], [(0, 1), (0, IGNORE)]),
        (SHIFTED, [(1, 2)], [(0, 1)]),
        (SHIFTED, [(1, 2), (1,)], [(0, 1), (0,)]),  # the second alone could be either
        (SHIFTED, [(0, 1), (1,)], [(0, 1), (1,)]),
        ({"classes": ["bg", "lesion"], "ignore": 11}, [(0, 1, 11, 255)], [(0, 1, IGNORE, IGNORE)]),
    ],
)
def test_what_values_mean_is_seen_from_all_masks_of_a_folder(fields, given, read, handed, tmp_path):
    found = read_delivery(masks_of(tmp_path / "masks", handed, *given), own_masks(handed, fields))
    assert not found.refused
    masks = {image.name: image.mask for image in found.images}
    for stem, values in zip(stems(handed), read, strict=False):
        np.testing.assert_array_equal(masks[stem], np.resize(np.uint8(values), SIZE))


@pytest.mark.parametrize(
    ("fields", "given", "ids", "own"),
    [
        (BLACK_AND_WHITE, (0, 255), (0, IGNORE), (0, 1)),
        (SHIFTED, (1,), (1,), (0,)),
        ({"values": {1: "bg", 0: "lesion"}}, (0, 1), (0, 1), (1, 0)),
    ],
)
def test_values_that_may_mean_two_things_are_refused_until_it_is_said(
    fields, given, ids, own, handed, tmp_path
):
    place = masks_of(tmp_path / "masks", handed, given)
    found = read_delivery(place, own_masks(handed, fields))
    assert not found.images
    assert "--mask-values" in found.refused[0].why
    for said, read in (("ids", ids), ("own", own)):
        (image,) = read_delivery(place, own_masks(handed, fields, mask_values=said)).images
        np.testing.assert_array_equal(image.mask, np.resize(np.uint8(read), SIZE))


def test_masks_as_jpegs_are_refused_and_images_beside_masks_are_not(handed, tmp_path):
    place = masks_of(tmp_path / "masks", handed, (0, 1))
    for stem in stems(handed)[:2]:
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(place / f"{stem}.jpg")
    found = read_delivery(place, expected(handed))
    assert [image.name for image in found.images] == stems(handed)[:1]
    (refused,) = found.refused
    assert refused.file.endswith(f"{stems(handed)[1]}.jpg")
    assert "PNG" in refused.why


def test_masks_of_0_and_255_alone_are_refused_where_255_is_no_class(handed, tmp_path):
    place = masks_of(tmp_path / "masks", handed, (0, 255), (0,))
    fields = {"classes": ["bg", "lesion"]}
    found = read_delivery(place, own_masks(handed, fields))
    assert not found.images
    assert all("255 means unlabelled" in one.why for one in found.refused)
    images = read_delivery(place, own_masks(handed, fields, mask_values="ids")).images
    assert [np.unique(image.mask).tolist() for image in images] == [[0, IGNORE], [0]]


def test_a_stray_value_decides_nothing_for_the_other_masks(handed, tmp_path):
    place = masks_of(tmp_path / "masks", handed, (0, 255), (0, 1, 255), (0, 255))
    found = read_delivery(place, own_masks(handed, BLACK_AND_WHITE))
    assert not found.images
    assert all("--mask-values" in one.why for one in found.refused)


VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
GREY = [(value, value, value) for value in range(5)]


def paletted(place, handed, palette, *given):
    """Palette masks of these values, one an image."""
    masks_of(place, handed, *given)
    for file in place.iterdir():
        image = Image.open(file)
        image.putpalette([band for colour in palette for band in colour])
        image.save(file)
    return place


def test_a_palette_whose_colours_and_values_differ_is_refused_until_it_is_said(handed, tmp_path):
    place = paletted(tmp_path / "masks", handed, VOC, (0, 1, 2))
    found = read_delivery(place, expected(handed))
    assert not found.images
    assert "--mask-values ids or colours" in found.refused[0].why
    for said, read in (("ids", (0, 1, 2)), ("colours", (IGNORE, 0, 1))):
        (image,) = read_delivery(place, replace(expected(handed), mask_values=said)).images
        np.testing.assert_array_equal(image.mask, np.resize(np.uint8(read), SIZE))


@pytest.mark.parametrize(("beside", "read"), [([], IGNORE), ([(0, 1)], 0)])
def test_a_black_palette_mask_is_a_value_only_beside_masks_of_values(
    beside, read, handed, tmp_path
):
    place = paletted(tmp_path / "masks", handed, GREY, (0,), *beside)
    found = read_delivery(place, expected(handed))
    assert not found.refused
    masks = {image.name: image.mask for image in found.images}
    assert np.unique(masks[stems(handed)[0]]).tolist() == [read]


@pytest.mark.parametrize("said", ["own", "colours"])
def test_grey_masks_are_refused_where_colours_are_asked_for(said, handed, tmp_path):
    place = masks_of(tmp_path / "masks", handed, (0, 1))
    coloured = replace(expected(handed), colours={(9, 9, 9): 0}, mask_values=said)
    (refused,) = read_delivery(place, coloured).refused
    assert f"--mask-values {said} asks for colours" in refused.why


def test_a_value_of_no_class_is_refused_and_the_other_masks_are_taken(handed, tmp_path):
    place = masks_of(tmp_path / "masks", handed, (1, 2), (2, 77), (2,))
    found = read_delivery(place, own_masks(handed, SHIFTED))
    assert [image.name for image in found.images] == [stems(handed)[0], stems(handed)[2]]
    assert "77" in found.refused[0].why


def test_a_folder_takes_the_colours_of_the_project_s_own_masks(handed, tmp_path):
    own = replace(expected(handed), colours={(128, 0, 0): 2, (1, 1, 1): 0})
    place = tmp_path / "masks"
    place.mkdir()
    pixels = np.resize(np.uint8([[128, 0, 0], [1, 1, 1]]), (*SIZE, 3))
    Image.fromarray(pixels).save(place / f"{stems(handed)[0]}.png")
    (image,) = read_delivery(place, own).images
    assert set(np.unique(image.mask).tolist()) == {0, 2}


def test_proposals_have_the_colours_of_the_project_s_own_masks(handed, tmp_path):
    """Black, a class, is told from what is ignored by the ids of the palette."""
    shown = [(0, 0, 0), *((9, 9, number) for number in range(1, len(CLASSES)))]
    folder.write(tmp_path / "out", replace(handed, colours=shown))
    place = tmp_path / "out" / "proposed"
    assert "255 is " in (tmp_path / "out" / "HOW-TO.md").read_text()
    own = replace(expected(handed), colours={colour: n for n, colour in enumerate(shown)})
    for image in handed.images[:3]:
        (tmp_path / "masks").mkdir(exist_ok=True)
        shutil.copyfile(
            place / folder.mask_name(image), tmp_path / "masks" / folder.mask_name(image)
        )
    found = {image.name: image.mask for image in read_delivery(tmp_path / "masks", own).images}
    for image, stem in zip(handed.images[:3], stems(handed), strict=False):
        np.testing.assert_array_equal(found[stem], image.proposal)
    assert "3,pole,#090903" in (tmp_path / "out" / "classes.csv").read_text().replace('"', "")


def test_hand_overs_read_back_as_what_was_proposed(handed, tmp_path):
    for name, module in {"folder": folder, "cvat": cvat, "labelstudio": labelstudio}.items():
        (tmp_path / name).mkdir()
        module.write(tmp_path / name, handed)
        files = {path.name for path in (tmp_path / name / "images").iterdir()}
        assert files == {image.name for image in handed.images}
        assert "alspec ingest p.yaml" in (tmp_path / name / "HOW-TO.md").read_text()
    proposals = {n: i.proposal for n, i in zip(stems(handed), handed.images, strict=True)}
    tasks = json.loads((tmp_path / "labelstudio" / "tasks.json").read_text())
    for task in tasks:
        task["annotations"] = task.pop("predictions", [])
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    for place in (
        tmp_path / "folder" / "proposed",
        tmp_path / "cvat" / "annotations.xml",
        tmp_path / "tasks.json",
    ):
        delivery = read_delivery(place, expected(handed))
        assert delivery.refused == []
        found = {one.name: one.mask for one in delivery.images}
        assert found.keys() == {name for name, mask in proposals.items() if mask is not None}
        for name, mask in found.items():
            np.testing.assert_array_equal(mask, proposals[name])


def test_a_whole_hand_over_given_back_holds_no_mask(handed, tmp_path):
    (tmp_path / "out").mkdir()
    folder.write(tmp_path / "out", handed)
    delivery = read_delivery(tmp_path / "out", expected(handed))
    assert (delivery.images, delivery.refused) == ([], [])


def test_label_studio_is_told_where_the_images_will_lie(handed, tmp_path):
    (tmp_path / "out").mkdir()
    labelstudio.write(tmp_path / "out", handed)
    assert f"DOCUMENT_ROOT={tmp_path / 'home'}" in (tmp_path / "out" / "HOW-TO.md").read_text()


def test_ids_in_cvat_are_the_places_in_lexicographic_order(handed):
    reversed_batch = list(reversed(handed.images))
    text = cvat.annotations_xml(reversed_batch, CLASSES)
    found = [line.split('"')[1:4:2] for line in text.splitlines() if "<image" in line]
    names = sorted(image.name for image in handed.images)
    assert found == [[str(number), name] for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("a/b/c.d.JPEG", "b12-0003-c-d.jpeg"),
        ("ü ß.png", "b12-0003-image.png"),
        ("x y (1).png", "b12-0003-x-y-1.png"),
        ("..png", "b12-0003-png"),
    ],
)
def test_flat_names_have_one_dot_and_plain_characters(image, name):
    assert flat_name(12, 3, image).startswith(name.partition(".")[0][:9])
    if image != "..png":
        assert flat_name(12, 3, image) == name


# ---- overlaps


def polygons(place, *shapes):
    body = "".join(
        f'<polygon label="{label}" z_order="{z}" points="{points}"></polygon>'
        for label, z, points in shapes
    )
    place.write_text(
        f'<annotations><image id="0" name="b01-0001-frame-1.jpg" width="{SIZE[1]}" '
        f'height="{SIZE[0]}">{body}</image></annotations>'
    )
    return place


def test_the_higher_z_order_wins_then_the_later(handed, tmp_path):
    small, whole = "0,0;2,0;2,2;0,2", "0,0;29,0;29,19;0,19"
    place = polygons(tmp_path / "a.xml", ("pole", 2, small), ("sky", 0, whole), ("sky", 1, small))
    (one,) = read_delivery(place, expected(handed)).images
    assert (one.mask[:3, :3] == 3).all()
    assert one.mask[10, 10] == 0
    assert one.contested == pytest.approx(9 / 600)


def test_regions_that_overlap_on_more_than_5_percent_are_refused(handed, tmp_path):
    whole = "0,0;29,0;29,19;0,19"
    place = polygons(tmp_path / "a.xml", ("pole", 0, whole), ("sky", 0, whole))
    delivery = read_delivery(place, expected(handed))
    assert delivery.images == []
    assert "overlap on 100.0 %" in delivery.refused[0].why


# ---- foreign archives


def archive(place, *entries):
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries:
            out.writestr(name, data)
    return place


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = "b01-0001-frame-1.png"
OTHER = "b01-0002-frame-2.png"


def bomb():
    return annotators.png(np.zeros((9000, 9000), np.uint8))


def tiff(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "TIFF")
    return buffer.getvalue()


HOSTILE = {
    "a path upwards": ([("../" + OTHER, b"x")], "out of the archive"),
    "an absolute path": ([("/tmp/" + OTHER, b"x")], "out of the archive"),
    "a drive": ([("C:" + OTHER, b"x")], "out of the archive"),
    "a link": ([(link(OTHER), "/etc/passwd")], "a link or a device"),
    "a picture of 81 million pixels": ([(OTHER, bomb())], "9000x9000"),
    "another size": ([(OTHER, annotators.png(np.zeros((19, 30), np.uint8)))], "30x19"),
    "an unknown value": ([(OTHER, annotators.png(np.full(SIZE, 77, np.uint8)))], "values 77"),
    "a foreign colour": (
        [(OTHER, annotators.png(np.full((*SIZE, 3), 9, np.uint8)))],
        "#090909",
    ),
    "an unknown name": ([("cat.png", annotators.png(np.zeros(SIZE, np.uint8)))], "handed over"),
    "no picture": ([(OTHER, b"GIF89a")], "no mask that can be read"),
    "a truncated picture": (
        [(OTHER, annotators.png(np.random.default_rng(0).integers(0, 4, SIZE, np.uint8))[:60])],
        "no mask that can be read",
    ),
    "floats": ([(OTHER, tiff(np.zeros(SIZE, np.float32)))], "mode F"),
    "32 bits": ([(OTHER, tiff(np.full(SIZE, 1 << 16, np.int32)))], "beyond 0 to 65535"),
    "a path upwards of Windows": ([("a\\..\\..\\" + OTHER, b"x")], "out of the archive"),
    "a path of a network": ([("\\\\host\\" + OTHER, b"x")], "out of the archive"),
    "two of a name": (
        [("m/" + GOOD, annotators.png(np.zeros(SIZE, np.uint8)))],
        "two masks of this name",
    ),
    "a name of control characters": ([("a\x07" + OTHER, b"x")], "cannot be printed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_their_reason_and_good_ones_taken(name, handed, tmp_path):
    entries, why = HOSTILE[name]
    good = annotators.png(drawn(1))
    place = archive(tmp_path / "a.zip", (GOOD, good), *entries)
    delivery = read_delivery(place, expected(handed))
    assert [one.name for one in delivery.images] == ["b01-0001-frame-1"]
    np.testing.assert_array_equal(delivery.images[0].mask, drawn(1))
    assert len(delivery.refused) == 1
    assert why in delivery.refused[0].why


def test_a_file_that_lies_about_its_length_is_refused(handed, tmp_path):
    good = annotators.png(drawn(1))
    place = archive(tmp_path / "a.zip", (GOOD, good), (OTHER, b"0" * 10_000))
    data = bytearray(place.read_bytes())
    at = data.rfind(OTHER.encode()) - 46 + 24  # the length in the central directory
    data[at : at + 4] = (10).to_bytes(4, "little")
    place.write_bytes(bytes(data))
    delivery = read_delivery(place, expected(handed))
    assert [one.name for one in delivery.images] == ["b01-0001-frame-1"]
    assert len(delivery.refused) == 1


def test_an_encrypted_file_is_refused(handed, tmp_path):
    place = archive(tmp_path / "a.zip", (OTHER, b"x"))
    data = bytearray(place.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    place.write_bytes(bytes(data))
    assert "encrypted" in read_delivery(place, expected(handed)).refused[0].why


BOMB = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    "<annotations>&c;</annotations>"
)
HEAD = f'<image id="0" name="b01-0001-frame-1.jpg" width="{SIZE[1]}" height="{SIZE[0]}">'
MASK = '<mask label="sky" rle="{}" left="{}" top="0" width="{}" height="1" z_order="0"/>'
BAD_XML = {
    "entities": (BOMB, "document type"),
    "an external entity": (
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>',
        "document type",
    ),
    "a mask beyond the image": (HEAD + MASK.format("0, 9", 25, 9) + "</image>", "outside"),
    "runs that do not fit": (HEAD + MASK.format("0, 99999999999", 0, 9) + "</image>", "fill"),
    "runs that are no numbers": (HEAD + MASK.format("0, x", 0, 9) + "</image>", "list of numbers"),
    "an unknown class": (HEAD + '<mask label="dog" rle="1"/></image>', "`dog`"),
    "a box": (HEAD + '<box label="sky"/></image>', "<box>"),
    "a point at infinity": (
        HEAD + '<polygon label="sky" points="0,0;inf,0;1,1"/></image>',
        "outside",
    ),
    "another size": (HEAD.replace('"30"', '"31"') + "</image>", "31x20"),
    "no XML": ("hello", "cannot be read as XML"),
}


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml_is_refused_with_its_reason(name, handed, tmp_path):
    body, why = BAD_XML[name]
    text = body if body.startswith(("<!", "hello")) else f"<annotations>{body}</annotations>"
    (tmp_path / "a.xml").write_text(text)
    delivery = read_delivery(tmp_path / "a.xml", expected(handed))
    assert delivery.images == []
    assert why in delivery.refused[0].why


def task(**changes):
    name = "b01-0001-frame-1.jpg"
    return {"data": {"image": name, "alspec_name": name}, "annotations": [], **changes}


def brush(**changes):
    own = {"format": "rle", "rle": annotators.slow_pack(drawn(1) == 0), "brushlabels": ["sky"]}
    region = {"type": "brushlabels", "original_width": 30, "original_height": 20}
    return {**region, "value": {**own, **changes.pop("value", {})}, **changes}


def annotated(*results, **changes):
    return task(annotations=[{"completed_by": 1, "result": list(results), **changes}])


BAD_JSON = {
    "no list": ({}, "no list"),
    "deep": ("[" * 100_000, "cannot be read"),
    "a task that is a number": ([3], "no task"),
    "no annotations": ([{"data": {"image": "b01-0001-frame-1.jpg"}}], "no task"),
    "an unknown name": ([task(data={"image": "cat.jpg"})], "handed over"),
    "another id": (
        [task(data={"image": "b01-0001-frame-1.jpg", "alspec_id": "frame.2.jpg"})],
        "another image",
    ),
    "another size": ([annotated(brush(original_width=31))], "31x20"),
    "another packing": ([annotated(brush(value={"rle": [1, 2, 3]}))], "too early"),
    "a boolean for bytes": ([annotated(brush(value={"rle": [True]}))], "list of bytes"),
    "a class that is unknown": ([annotated(brush(value={"brushlabels": ["dog"]}))], "`dog`"),
    "two labels": ([annotated(brush(value={"brushlabels": ["sky", "pole"]}))], "several"),
    "a rectangle": ([annotated(brush(type="rectanglelabels"))], "rectanglelabels"),
    "no value": ([annotated({"type": "brushlabels"})], "not as Label Studio writes"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json_is_refused_with_its_reason(name, handed, tmp_path):
    data, why = BAD_JSON[name]
    (tmp_path / "a.json").write_text(data if isinstance(data, str) else json.dumps(data))
    delivery = read_delivery(tmp_path / "a.json", expected(handed))
    assert delivery.images == []
    assert why in delivery.refused[0].why


def test_polygons_of_label_studio_are_in_percent(handed, tmp_path):
    points = [[0, 0], [50, 0], [50, 100], [0, 100]]
    value = {"points": points, "polygonlabels": ["pole"]}
    own = {"type": "polygonlabels", "original_width": 30, "original_height": 20, "value": value}
    (tmp_path / "a.json").write_text(json.dumps([annotated(own)]))
    (one,) = read_delivery(tmp_path / "a.json", expected(handed)).images
    assert (one.mask[:, :15] == 3).all()
    assert (one.mask[:, 17:] == IGNORE).all()


@pytest.mark.parametrize("name", ["gone.zip", "text.txt", "broken.zip"])
def test_what_cannot_be_opened_at_all_is_an_error(name, handed, tmp_path):
    if name != "gone.zip":
        (tmp_path / name).write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(InputError):
        read_delivery(tmp_path / name, expected(handed))


def test_links_in_a_folder_are_refused(handed, tmp_path):
    place = annotators.folder_of_masks(tmp_path / "back", {stems(handed)[0]: drawn(1)}, CLASSES)
    shutil.copyfile(place / f"{stems(handed)[0]}.png", tmp_path / "secret.png")
    (place / OTHER).symlink_to(tmp_path / "secret.png")
    delivery = read_delivery(place, expected(handed))
    assert len(delivery.images) == 1
    assert "link" in delivery.refused[0].why
