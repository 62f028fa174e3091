"""Run by the interpreter of an environment with datumaro and label-studio-sdk; see test_oracles."""

import json
import sys
from pathlib import Path

import numpy as np


def packed(folder):
    from label_studio_sdk.converter.brush import decode_rle, mask2rle

    for path in sorted(folder.glob("*.npy")):
        mask = np.load(path)
        data = mask2rle(mask.astype(np.uint8) * 255)
        back = decode_rle(data).reshape(*mask.shape, 4)[..., 3] > 0
        assert (back == mask).all()
        path.with_suffix(".json").write_text(json.dumps([int(byte) for byte in data]))


def cvat(folder):
    """Read our hand-over with datumaro; write it as CVAT images and as VOC masks."""
    import datumaro as dm

    dataset = dm.Dataset.import_from(str(folder / "hand-over"), "cvat")
    labels = [label.name for label in dataset.categories()[dm.AnnotationType.label]]
    for item in dataset:
        height, width = item.media.size if item.media else item.attributes["size"]
        mask = np.full((height, width), 255, np.uint8)
        for one in item.annotations:
            if isinstance(one, dm.Mask):
                mask[one.image.astype(bool)] = labels.index(labels[one.label])
        np.save(folder / f"{item.id}.npy", mask)
    (folder / "labels.json").write_text(json.dumps(labels))
    # as CVAT asks datumaro: every label with its colour, background first
    table = {name: [(9 + n, 200 - n, n), [], []] for n, name in enumerate(labels)}
    label_map = {"background": [(0, 0, 0), [], []], **table}
    dataset.export(str(folder / "voc"), "voc_segmentation", save_media=False, label_map=label_map)


{"packed": packed, "cvat": cvat}[sys.argv[1]](Path(sys.argv[2]))
