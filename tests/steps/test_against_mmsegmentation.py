"""On MMSegmentation's shipped configs the product's mIoU is that of MMSegmentation's evaluator."""

from __future__ import annotations

import ast
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from alspec.models.nets import compat  # isort: skip
import torch  # isort: skip
from mmengine.config import Config, ConfigDict  # isort: skip
from mmengine.model import revert_sync_batchnorm  # isort: skip
from mmengine.structures import PixelData  # isort: skip
from mmseg.evaluation import IoUMetric  # isort: skip
from mmseg.registry import MODELS  # isort: skip
from mmseg.structures import SegDataSample  # isort: skip
from safetensors.torch import load_file  # isort: skip

from alspec.plan.config_file import config_sha256

assert compat
SHIPPED = {
    "slide": ("unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64.py", 2, (80, 96), 12, 0.05),
    "mean, std, class weights": (
        "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py", 19, (64, 96), 20, 5e-3,
    ),
    "transformer with AdamW": (
        "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py", 3, (64, 96), 30, 1e-4,
    ),
}  # fmt: skip
"""What the config is for: the file, classes, height and width of the data, epochs, rate."""
VAL = 5


def drawn(folder: Path, images: str, masks: str, count: int, classes: int, size: Any) -> None:
    """Blocks of colour, one a class, with noise."""
    colours = np.random.default_rng(7).integers(0, 255, (classes, 3))
    for name in (images, masks):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng((number, len(images)))
        blocks = rng.integers(0, classes, (size[0] // 16, size[1] // 16))
        mask = np.kron(blocks, np.ones((16, 16))).astype(np.uint8)
        for label in range(classes):  # every class has pixels
            mask[label, : size[1] // 2] = label
        noise = rng.integers(-40, 40, (*size, 3))
        pixels = np.clip(colours[mask] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / images / f"a_{number}.png")
        Image.fromarray(mask).save(folder / masks / f"a_{number}.png")


@pytest.fixture(params=SHIPPED)
def study(request: Any, tmp_path: Path, monkeypatch: Any, cli: Any) -> Any:
    """A study that is run: the config's path, the trained step's folder, its mIoU."""
    name, classes, size, epochs, rate = SHIPPED[request.param]
    monkeypatch.chdir(tmp_path)
    drawn(tmp_path / "data", "images", "masks", 12, classes, size)
    drawn(tmp_path / "data", "val/images", "val/masks", VAL, classes, size)
    spec = {
        "study": "t",
        "datasets": [
            {
                "name": "d", "kind": "folder", "root": "data", "images": "images", "masks": "masks",
                "val": {"images": "val/images", "masks": "val/masks"}, "image_size": list(size),
                "classes": [f"c{n}" for n in range(classes)],
            }
        ],
        "budgets": [{"name": "b", "unit": "images", "initial": 12, "step": 1, "cycles": 1}],
        "methods": ["random"],
        "ssl": False,
        "baselines": [],
        "seeds": [0],
        "model": {"config": name},
        "training": {"epochs": epochs, "batch_size": 4, "precision": "float32", "lr": rate},
    }  # fmt: skip
    Path("s.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    code, _, err = cli("run", "s.yaml", "--devices", "cpu:1")
    assert code == 0, err
    (row,) = csv.DictReader(Path("work_dirs/t/results.csv").read_text().splitlines())
    store = tmp_path / "work_dirs" / ".store" / row["train_key"]
    return Path(config_sha256(Path(name))[1]), classes, store, float(row["miou"]), err


def evaluated(model: Any, classes: int, *, bgr: bool) -> float:
    """The mIoU of MMSegmentation: its preprocessor, its inference, its metric."""
    metric = IoUMetric(iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": [str(n) for n in range(classes)]}
    predicted: set[int] = set()
    for number in range(VAL):
        pixels = np.array(Image.open(f"data/val/images/a_{number}.png"))
        pixels = pixels[..., ::-1] if bgr else pixels
        mask = torch.from_numpy(np.array(Image.open(f"data/val/masks/a_{number}.png"))).long()
        shape = tuple(mask.shape)
        sample = SegDataSample(
            gt_sem_seg=PixelData(data=mask[None]),
            metainfo={"ori_shape": shape, "img_shape": shape, "pad_shape": shape},
        )
        image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
        with torch.no_grad():
            out = model.test_step({"inputs": [image], "data_samples": [sample]})
        predicted |= set(out[0].pred_sem_seg.data.unique().tolist())
        metric.process({}, [one.to_dict() for one in out])
    assert len(predicted) > 1, "a model that tells classes apart, or nothing is compared"
    return float(metric.evaluate(VAL)["mIoU"])


def with_weights(config: Any, weights: Path) -> Any:
    model = revert_sync_batchnorm(MODELS.build(ConfigDict(config)))
    model.load_state_dict(load_file(weights))
    return model.eval()


@pytest.mark.slow
def test_the_miou_is_mmsegmentation_s_own(study: Any) -> None:
    path, classes, store, miou, notes = study
    stored = ast.literal_eval(json.loads((store / "model.json").read_text())["config"])
    weights = store / "weights.safetensors"
    assert evaluated(with_weights(stored, weights), classes, bgr=False) == pytest.approx(
        miou, abs=0.01
    )
    # The shipped file itself, on images as MMSegmentation reads them.
    shipped = Config.fromfile(str(path)).model
    heads = [shipped.decode_head, shipped.get("auxiliary_head")]
    for head in filter(None, heads):
        head.num_classes = classes
    shipped.pretrained = None
    shipped.backbone.pop("init_cfg", None)
    assert evaluated(with_weights(shipped, weights), classes, bgr=True) == pytest.approx(
        miou, abs=0.01
    )
    assert ("AdamW" in notes) == ("segformer" in path.name)
