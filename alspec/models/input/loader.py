"""Brings batches to a training as ready tensors, and normalises them on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias, TypedDict

from alspec.models.nets import compat  # isort: skip  (needed by the imports below)
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from alspec.models.input.batches import Batch, Batches, FromPosition
from alspec.models.input.gpu_batches import ResidentBatches, fits
from alspec.models.input.photometric import recoloured
from alspec.models.input.pixel_source import Wanted

__all__ = ["BatchPreProcessor", "Feed", "as_inputs", "compat", "mean_colour"]


LOADER_SECONDS = 600.0
"""For a loader's process to hand over a batch; longer only if it hangs."""


Inputs: TypeAlias = "dict[str, Tensor] | dict[str, dict[str, Tensor]]"
"""What `BatchPreProcessor` takes, alone or by `labelled` and `unlabelled`."""


class Preprocessed(TypedDict):
    """A batch as MMSegmentation's segmentors take it."""

    inputs: Tensor
    data_samples: list[SegDataSample] | None


class Feed(TorchDataset[Inputs]):
    """Batches in the shape the preprocessor takes, unlabelled ones beside labelled ones."""

    metainfo: Mapping[str, object] = {}

    def __init__(self, labelled: Batches, unlabelled: Batches | None = None) -> None:
        self.labelled = labelled
        self.unlabelled = unlabelled

    def __getitem__(self, batch: int) -> Inputs:
        labelled = as_inputs(self.labelled[batch])
        if self.unlabelled is None:
            return labelled
        return {"labelled": labelled, "unlabelled": as_inputs(self.unlabelled[batch])}

    @property
    def sources(self) -> list[Batches]:
        """The labelled batches and the unlabelled ones, if there are any."""
        return [self.labelled, *([self.unlabelled] if self.unlabelled else [])]

    def first_epoch(self, start: int) -> Iterator[Wanted]:
        """What an epoch's batches are made of, from batch `start` on: afterwards all is decoded."""
        orders = [source.order for source in self.sources]
        batches = max(-(-len(order.images) // order.batch_size) for order in orders)
        for batch in range(start, start + batches):
            for source in self.sources:
                yield from source.wanted(batch)

    def batch_bytes(self) -> int:
        """Bytes of a batch, labelled and unlabelled images together, as it is handed over."""
        total = 0
        for source in self.sources:
            height, width = source.augmentation.crop or source.frames.size or (0, 0)
            total += len(source.rows) * height * width * (4 if source.labelled else 3)
        return total

    def loader(
        self, positions: FromPosition, device: torch.device, workers: int
    ) -> DataLoader[Inputs]:
        """The batches at these positions; their bytes depend on neither device nor workers.

        Args:
            positions: numbers of the batches.
            device: keeps the images where they fit; then no worker process is started.
            workers: processes that prepare batches; none: this one does.
        """
        resident = fits(self.sources, device)
        feed = self
        if resident:
            feed = Feed(*(ResidentBatches(source, device) for source in self.sources))
        return DataLoader(
            feed,
            batch_size=None,
            sampler=positions,
            num_workers=0 if resident else workers,
            timeout=LOADER_SECONDS if workers and not resident else 0,
            pin_memory=device.type == "cuda" and not resident,
        )


def as_inputs(batch: Batch) -> dict[str, Tensor]:
    """A batch as `BatchPreProcessor` takes it."""
    inputs = {"inputs": batch.images, "labels": batch.labels}
    return inputs if batch.colours is None else {**inputs, "colours": batch.colours}


class BatchPreProcessor(SegDataPreProcessor):  # type: ignore[misc]
    """MMSegmentation's preprocessor, which also takes a batch as one tensor: the same bits."""

    def forward(self, data: dict[str, Tensor], training: bool = False) -> Preprocessed:
        """Colours changed, pixels normalised, labels as MMSegmentation's heads read them.

        Args:
            data: `inputs` (B, 3, H, W) uint8 and, to train, `labels` (B, H, W) uint8 and perhaps
                `colours` (B, 7); or lists, as any MMSegmentation pipeline gives them.
            training: whether labels are wanted.
        """
        images = data["inputs"]
        if not isinstance(images, Tensor):
            done: Preprocessed = super().forward(data, training)
            return done
        images = self._sent(images)
        if "colours" in data:
            images = recoloured(images, self._sent(data["colours"]))
        if self.channel_conversion:
            images = images.flip(1)
        layout = torch.channels_last if images.is_cuda else torch.contiguous_format
        pixels = (images.to(torch.float32, memory_format=layout) - self.mean).div_(self.std)
        samples = _samples(self._sent(data["labels"]).long()) if training else None
        return {"inputs": pixels, "data_samples": samples}

    def _sent(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)


def mean_colour(preprocessor: SegDataPreProcessor) -> tuple[int, int, int]:
    """The RGB that normalisation turns into 0, rounded: what crops are padded with."""
    mean = [min(255, max(0, round(float(value)))) for value in preprocessor.mean.flatten()]
    red, green, blue = reversed(mean) if preprocessor.channel_conversion else mean
    return red, green, blue


def _samples(labels: Tensor) -> list[SegDataSample]:
    shape = tuple(labels.shape[1:])
    metainfo = {
        "img_shape": shape, "ori_shape": shape, "pad_shape": shape, "padding_size": [0, 0, 0, 0],
    }  # fmt: skip
    return [
        SegDataSample(gt_sem_seg=PixelData(data=label[None]), metainfo=metainfo) for label in labels
    ]
