"""The plain data of a tiny study on drawn video."""

from __future__ import annotations

TOY = {
    "study": "tiny",
    "datasets": [
        {
            "name": "toy",
            "kind": "toy",
            "image_size": [32, 64],
            "sequences": 2,
            "frames": 10,
            "val_sequences": 1,
            "val_frames": 5,
        }
    ],
    "budgets": [{"name": "20-20", "initial": 20, "step": 20, "cycles": 2}],
    "methods": ["random", "entropy"],
    "ssl": [False, True],
    "seeds": [0],
    "model": "deeplabv3plus_tiny",
    "training": {"epochs": 1, "batch_size": 4, "lr": 0.01},
}
