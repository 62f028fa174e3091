"""`alspec plan` of 10,000 steps over a tree of Cityscapes' size: at most 2 s."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from command import run_command, seconds_of
from figure import Figure

LIMIT = 2.0
IMAGES, VALIDATION = 2975, 500

SPEC = f"""
study: large
datasets:
  - {{name: tree, kind: folder, root: tree, images: train, masks: train_masks, ignore: 255,
     image_size: [256, 512], classes: [road, car, person, rest], sequence: '^(.*)_',
     val: {{images: val, masks: val_masks}}}}
budgets: [10-10]
methods: [random, entropy, equal, {{name: bald, passes: 20}}, coreset]
seeds: {list(range(70))}
"""


def make_tree(root: Path) -> None:
    """Empty files with the names of frames: a plan lists them and reads none."""
    for split, images in (("train", IMAGES), ("val", VALIDATION)):
        for folder in (split, f"{split}_masks"):
            (root / folder).mkdir(parents=True)
            for n in range(images):
                (root / folder / f"city{n // 150:02d}_{n:06d}.png").touch()


def figures() -> Iterator[Figure]:
    """The whole command's wall time, the tree listed and the estimate made."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_tree(home / "tree")
        (home / "study.yaml").write_text(SPEC, "utf-8")
        steps = json.loads(run_command("plan", "study.yaml", "--json", home=home)[1])["steps"]
        took = seconds_of("plan", "study.yaml", home=home)
    yield Figure("plan", LIMIT / took, 1, f"{took:.2f} s of {LIMIT:g} s, {steps} steps")
