"""Labelling projects on real data sets, true masks as the annotator; also a command.

`PYTHONPATH=tests python -m factories.real_projects camvid --data DIR --tool cvat --out FILE` runs
five batches of 20 and appends a JSON line: mIoU by labelled images, `worth` after each batch, and
the seconds of each `select`. `--method random --seed 1` for another line.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from alspec.spec.project import Project
from factories import annotators
from factories.project_place import Place

CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
VOCALFOLDS = (
    "void", "vocal_folds", "other_tissue", "glottal_space", "pathology", "surgical_tool",
    "intubation",
)  # fmt: skip
DHCN = (
    "background", "cabinet", "ceiling", "chair", "door", "elevator", "railing", "road", "stair",
    "tree", "wall",
)  # fmt: skip
DATA = {
    "camvid": ("train", "trainannot", "val", "valannot", CAMVID, {"ignore": 11}, "^(.*)_"),
    "vocalfolds": ("images", "masks", "val", "val_masks", VOCALFOLDS, {}, r"^(patient\d_seq\d)_"),
    "dhcn": ("images", "masks", "val", "val_masks", DHCN, {}, None),
}
TOOLS = {
    "folder": annotators.folder_of_masks,
    "cvat": annotators.cvat_masks,
    "labelstudio": annotators.labelstudio,
}


class RealProject:
    """A project whose frames are a data set's training images, all but a few without masks."""

    def __init__(self, name, data, root, labelled=20, **changes):
        images, masks, val, val_masks, classes, ignore, sequence = DATA[name]
        self.root, self.classes = root, classes
        self.truth_folder = data / name / masks
        self.ignore = ignore.get("ignore", 255)
        place = root / "data"
        place.mkdir(parents=True)
        for own, source in (("frames", images), ("val", val), ("valannot", val_masks)):
            (place / own).symlink_to((data / name / source).absolute())
        (place / "labels").mkdir()
        frames = sorted(path.name for path in (data / name / images).iterdir())
        chosen = np.random.default_rng(changes.get("seed", 0)).choice(
            len(frames), labelled, replace=False
        )
        for row in sorted(chosen):
            stem = Path(frames[row]).stem
            shutil.copyfile(self.truth_folder / f"{stem}.png", place / "labels" / f"{stem}.png")
        plain = {
            "project": name,
            "dataset": {
                "name": name,
                "kind": "folder",
                "root": str(place),
                "follow_links": True,
                "images": "frames",
                "masks": "labels",
                "classes": list(classes),
                **ignore,
                "image_size": [72, 96],
                "val": {"images": "val", "masks": "valannot"},
                **({"sequence": sequence} if sequence else {}),
            },
            "batch": 20,
            "model": "deeplabv3plus_tiny",
            "training": {"epochs": 15, "batch_size": 4, "lr": 0.05},
            "ssl": False,
            **changes,
        }
        self.project = Project.model_validate(plain)

    def truth(self, image):
        """Class ids and 255, whatever the data set ignores."""
        mask = np.array(Image.open(self.truth_folder / f"{Path(image).stem}.png"))
        return np.where(mask == self.ignore, 255, mask).astype(np.uint8)

    def wrong_pixels(self):
        """Pixels of the masks on disk that are not the truth."""
        wrong = 0
        for path in (self.root / "data" / "labels").glob("*.png"):
            own = np.array(Image.open(path))
            wrong += int((np.where(own == self.ignore, 255, own) != self.truth(path.name)).sum())
        return wrong


def rounds(real, tool, place, batches=5, method=None):
    """Batches through a tool; yields what each came to."""
    asked: set[str] = set()
    for number in range(1, batches + 1):
        began = time.monotonic()
        made = place.select(real.project, method=method, to=tool)
        seconds = time.monotonic() - began
        batch = made.batch
        assert not asked & set(batch.ids())
        asked |= set(batch.ids())
        truths = annotators.truths_of(batch.folder.table, real.truth)
        back = real.root / f"back{number}{'.json' if tool == 'labelstudio' else ''}"
        TOOLS[tool](back, truths, real.classes)
        given = place.ingest(real.project, back, accept_unchanged=True, hours=1.0)
        assert given.waiting == 0
        yield number, batch, seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=DATA)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tool", choices=TOOLS, default="folder")
    parser.add_argument("--method", default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, help="shared: equal trainings run once")
    options = parser.parse_args()
    from fakes.in_process import InProcess, predict_here

    from alspec.labelling import hand_over

    setattr(hand_over, "predict_images", predict_here)  # noqa: B010 - a stand-in
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        own = f"{options.name}-{options.tool}-{options.method or 'auto'}-{options.seed}"
        real = RealProject(options.name, options.data, Path(folder), seed=options.seed, project=own)
        place = Place(options.work_dir or Path(folder) / "work", InProcess)
        seconds, methods, worth = [], [], []
        for _, batch, took in rounds(real, options.tool, place, method=options.method):
            seconds.append(round(took, 1))
            methods.append(batch.about["method"])
            worth.append(place.status(real.project).worth)
        found = place.run(real.project).summary.worth
        worth.append(found)
        line = {
            "data": options.name,
            "tool": options.tool,
            "asked_for": options.method or "auto",
            "methods": methods,
            "seed": options.seed,
            "labelled": [point[0] for point in found.points],
            "miou": [round(point[1], 2) for point in found.points],
            "advice": [one.advice.value for one in worth],
            "next_batch": [str(one.next_batch) for one in worth],
            "select_seconds": seconds,
            "wrong_pixels": real.wrong_pixels(),
        }
        with options.out.open("a") as out:
            out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
