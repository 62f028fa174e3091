"""Checkpoints of MMEngine: tensors are read, other objects skipped, nothing is imported or run."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.images import tiny

import torch  # isort: skip
from mmengine.logging import HistoryBuffer  # isort: skip

from alspec.errors import InputError
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.checkpoint_pickle import Skipped, UnreadablePickle, read_archive
from alspec.models.nets.config import model_config
from alspec.models.nets.weights import read_weights, read_weights_file

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def plain(rng: np.random.Generator, depth: int = 0) -> Any:
    """Something that torch's safe loader reads: containers, numbers, text and tensors."""
    kind = int(rng.integers(0, 12 if depth < 4 else 7))
    if kind == 0:
        shape = tuple(int(n) for n in rng.integers(0, 4, int(rng.integers(0, 4))))
        values = torch.from_numpy(rng.normal(0, 9, shape))
        made = values.to(DTYPES[int(rng.integers(len(DTYPES)))])
        return made.T if made.ndim == 2 and rng.random() < 0.5 else made
    if kind < 7:
        return [None, True, int(rng.integers(-(2**62), 2**62)), float(rng.normal()), "é" * kind,
                b"\0b"][kind - 1]  # fmt: skip
    size = int(rng.integers(0, 5))
    items = [plain(rng, depth + 1) for _ in range(size)]
    if kind == 7:
        return tuple(items)
    if kind in (8, 9):
        return items
    return (OrderedDict if kind == 10 else dict)((f"k{n}", item) for n, item in enumerate(items))


def same(read: Any, expected: Any) -> bool:
    if isinstance(expected, torch.Tensor):
        return (
            isinstance(read, torch.Tensor)
            and read.dtype == expected.dtype
            and read.stride() == expected.stride()
            and torch.equal(read, expected)
        )
    if isinstance(expected, dict):
        return list(read) == list(expected) and all(same(read[k], expected[k]) for k in expected)
    if isinstance(expected, (list, tuple)):
        pairs = zip(read, expected, strict=True)
        return type(read) is type(expected) and all(same(a, b) for a, b in pairs)
    return type(read) is type(expected) and bool(read == expected)


@pytest.mark.parametrize("seed", range(10))
def test_what_torch_s_safe_loader_reads_is_read_the_same(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(25):
        path, data = tmp_path / "w.pth", {"a": plain(rng), "b": plain(rng)}
        torch.save(data, path)
        content = read_archive(path)
        assert same(content.data, torch.load(path, weights_only=True)), (number, data)
        assert content.skipped == []


def a_runner_s_checkpoint(path: Path, state: dict[str, Any], **more: Any) -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
    torch.save(
        {
            "meta": {"seed": 1, "time": datetime.datetime(2024, 1, 1), "epoch": np.int64(3)},
            "state_dict": state,
            "message_hub": {
                "log_scalars": {"train/loss": HistoryBuffer([1.0, 2.0], [1, 1])},
                "runtime_info": {"args": argparse.Namespace(lr=1), "path": Path("a")},
            },
            "optimizer": optimizer.state_dict(),
            **more,
        },
        path,
    )


def test_a_checkpoint_of_mmengine_s_runner_gives_its_weights_bit_for_bit(tmp_path: Path) -> None:
    path, model = tmp_path / "runner.pth", tiny()
    a_runner_s_checkpoint(path, model.state_dict())
    with pytest.raises(Exception, match="Unsupported global"):
        torch.load(path, weights_only=True)
    read = read_weights_file(path)
    assert list(read.tensors) == list(model.state_dict())
    assert all(torch.equal(read.tensors[k], v) for k, v in model.state_dict().items())
    assert "mmengine.logging.history_buffer.HistoryBuffer" in read.skipped


def test_what_was_skipped_is_said(tmp_path: Path) -> None:
    path, notes = tmp_path / "runner.pth", []
    a_runner_s_checkpoint(path, tiny().state_dict())
    config = model_config("deeplabv3plus_tiny", 3)
    build_segmentor(config, mc_dropout=False, checkpoint=path, note=notes.append)
    (note,) = notes
    assert "; skipped what is no tensor: " in note
    assert "mmengine.logging.history_buffer.HistoryBuffer" in note


def test_no_module_that_a_file_names_is_imported(tmp_path: Path, monkeypatch: Any) -> None:
    package = tmp_path / "trap.py"
    package.write_text("class Trap:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    trap = __import__("trap")
    path = tmp_path / "w.pth"
    torch.save({"state_dict": {"a": torch.ones(2)}, "other": trap.Trap()}, path)
    del sys.modules["trap"]
    package.write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    assert torch.equal(read_weights(path)["a"], torch.ones(2))
    assert "trap" not in sys.modules
    assert not (tmp_path / "canary").exists()
    assert isinstance(read_archive(path).data["other"], Skipped)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_state_dict_is_found_where_checkpoints_keep_it(tmp_path: Path, key: str) -> None:
    path = tmp_path / "w.pth"
    torch.save({key: {"a": torch.ones(2)}, "epoch": 3}, path)
    assert list(read_weights(path)) == ["a"]


def test_an_object_in_the_state_dict_itself_is_no_weight(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": {"a": torch.ones(2), "b": defaultdict(list)}}, path)
    with pytest.raises(InputError, match="holds no state dict"):
        read_weights(path)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_archives_are_refused_in_words(tmp_path: Path, seed: int) -> None:
    """200 files with bytes of their pickle changed: read or refused, never another error."""
    path, rng = tmp_path / "w.pth", np.random.default_rng(seed)
    a_runner_s_checkpoint(path, {"a": torch.ones(2)})
    whole = path.read_bytes()
    start = whole.index(b"\x80\x02}")
    for _ in range(50):
        data = bytearray(whole)
        for place in rng.integers(start, start + 900, 4):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            content = read_archive(path)
        except UnreadablePickle:
            continue
        assert content is not None


# ---- a head of other classes


def test_a_head_of_other_classes_starts_anew_and_the_rest_is_loaded(tmp_path: Path) -> None:
    path, theirs, notes = tmp_path / "c19.pth", tiny(classes=19).state_dict(), []
    torch.save({"state_dict": theirs}, path)
    torch.manual_seed(3)
    config = model_config("deeplabv3plus_tiny", 3)
    fresh = build_segmentor(config, mc_dropout=False).state_dict()
    torch.manual_seed(3)
    model = build_segmentor(config, mc_dropout=False, checkpoint=path, note=notes.append)
    for name, weight in model.state_dict().items():
        expected = fresh if "conv_seg" in name else theirs
        assert torch.equal(weight, expected[name]), name
    assert "2 belong to a head of 19 classes and start from random values: " in notes[0]
    assert "decode_head.conv_seg.bias, decode_head.conv_seg.weight" in notes[0]


def test_another_head_is_not_taken_for_one_of_other_classes(tmp_path: Path) -> None:
    path, weights = tmp_path / "w.pth", dict(tiny(classes=19).state_dict())
    weights["decode_head.bottleneck.conv.weight"] = torch.zeros(7, 3, 3, 3)
    torch.save(weights, path)
    with pytest.raises(InputError, match="of another shape"):
        build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=False, checkpoint=path)
