"""Builds a small segmentor and has it look at an image: `doctor` runs this in its own process."""

from __future__ import annotations

import sys
import warnings


def main() -> None:
    """Print the shape of the output, and whether CUDA is there."""
    warnings.simplefilter("ignore")
    import torch

    from alspec.models.nets.build import build_segmentor
    from alspec.models.nets.config import model_config

    model = build_segmentor(model_config("deeplabv3plus_tiny", 19), mc_dropout=False)
    model.eval()
    with torch.inference_mode():
        out = model.encode_decode(torch.zeros(1, 3, 64, 128), [{"img_shape": (64, 128)}])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sys.stdout.write(f"{tuple(out.shape)} {device}\n")


if __name__ == "__main__":
    main()
