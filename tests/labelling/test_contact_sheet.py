"""The contact sheet: every image in order, proposals beside theirs, the classes' colours below."""

from __future__ import annotations

import io

import numpy as np
from factories.drawn_project import CLASSES, drawing
from PIL import Image

from alspec.datasets.files.decoding import pillow_resize
from alspec.datasets.files.palette import colour_of
from alspec.labelling.contact_sheet import contact_sheet
from alspec.labelling.export.image import HandedImage
from alspec.labelling.services import Services


def sheet_of(proposed, tmp_path):
    """The sheet of as many images as there are answers to whether one has a proposal."""
    heard, images = [], []
    for number, has_proposal in enumerate(proposed):
        pixels, mask = drawing(number)
        file = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(file)
        name = f"b01-{number:04d}-x.png"
        images.append(HandedImage(name, name, file, mask.shape, mask if has_proposal else None))
    services = Services(None, progress=lambda *said: heard.append(said))
    sheet = Image.open(io.BytesIO(contact_sheet(images, CLASSES, services)))
    assert heard[-1] == ("contact sheet", len(images), len(images))
    return np.array(sheet.convert("RGB"))


def test_images_flow_and_an_image_without_a_proposal_stands_alone(tmp_path):
    sheet = sheet_of([True, False, True, True, True], tmp_path)
    first = pillow_resize(drawing(0)[0], (110, 220))
    np.testing.assert_array_equal(sheet[16:126, :220], first)
    assert (sheet[16:126, 220:440] != first).any(axis=2).mean() > 0.9  # the proposal
    second = pillow_resize(drawing(1)[0], (110, 220))
    np.testing.assert_array_equal(sheet[16:126, 448:668], second)
    third = pillow_resize(drawing(2)[0], (110, 220))
    np.testing.assert_array_equal(sheet[16:126, 676:896], third)
    assert sheet.shape[1] <= 1800
    below = sheet[2 * 134 :].reshape(-1, 3)
    for number in range(len(CLASSES)):
        assert (below == colour_of(number)).all(axis=1).sum() > 100


def test_a_first_batch_has_no_legend(tmp_path):
    assert sheet_of([False, False], tmp_path).shape == (126, 448, 3)
