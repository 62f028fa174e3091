"""Weights that hold a program: refused as bad input, and the program never runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.images import tiny

import torch  # isort: skip
from safetensors.torch import save_file  # isort: skip

from alspec.errors import InputError
from alspec.models.nets import weights_limits
from alspec.models.nets.build import build_segmentor
from alspec.models.nets.config import model_config
from alspec.models.nets.weights import read_weights


class Payload:
    """Makes the canary's folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.canary,)


def tensors() -> dict[str, Any]:
    return {"backbone.weight": torch.zeros(2)}


def in_state_dict(path: Path, payload: Payload) -> None:
    torch.save({**tensors(), "backbone.bias": payload}, path)


def in_a_key(path: Path, payload: Payload) -> None:
    torch.save({"state_dict": tensors(), payload: 1}, path)


def in_optimizer(path: Path, payload: Payload) -> None:
    torch.save({"state_dict": tensors(), "optimizer": {"state": [payload]}}, path)


def in_message_hub(path: Path, payload: Payload) -> None:
    torch.save({"state_dict": tensors(), "message_hub": payload, "meta": {}}, path)


def in_metadata(path: Path, payload: Payload) -> None:
    state = OrderedDict(tensors())
    state._metadata = {"": payload}  # type: ignore[attr-defined]
    torch.save(state, path)


def as_legacy_file(path: Path, payload: Payload) -> None:
    torch.save({"a": payload}, path, _use_new_zipfile_serialization=False)


def as_legacy_tar(path: Path, payload: Payload) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            data = pickle.dumps(payload)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def as_zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def as_package(path: Path, payload: Payload) -> None:
    code = f"import os\nos.mkdir({payload.canary!r})\n".encode()
    members = {
        "p/.data/extern_modules": b"os\n", "p/.data/version": b"6\n", "p/byteorder": b"little",
        "p/.data/python_version": b"3", "p/model/__init__.py": code,
        "p/model/model.pkl": pickle.dumps(payload), "p/data.pkl": pickle.dumps(payload),
    }  # fmt: skip
    as_zip(path, members)


def as_torchscript(path: Path, payload: Payload) -> None:
    data = pickle.dumps(payload, protocol=2)
    members = {"m/constants.pkl": data, "m/data.pkl": data, "m/code/m.py": b"", "m/version": b"3"}
    as_zip(path, members)


def zip_that_climbs(path: Path, payload: Payload) -> None:
    here = f"../../{Path(payload.canary).name}"
    climbing = {f"a/../{here}": b"x", here: b"x", f"a/{payload.canary}": b"x"}
    as_zip(path, {"a/data.pkl": pickle.dumps(payload, protocol=2), "a/version": b"3", **climbing})


def nested_zip_pickle(path: Path, payload: Payload) -> None:
    inner = io.BytesIO()
    torch.save({"a": payload}, inner)
    as_zip(path, {"a/data.pkl": inner.getvalue(), "a/version": b"3"})


def raw(protocol: int) -> Any:
    def write(path: Path, payload: Payload) -> None:
        path.write_bytes(pickle.dumps({"a": payload}, protocol=protocol))

    return write


def by_opcodes(before: bytes, after: bytes) -> Any:
    """A pickle by hand, the canary's path between the two halves."""

    def write(path: Path, payload: Payload) -> None:
        path.write_bytes(before + payload.canary.encode() + after)

    return write


def dill_like(path: Path, payload: Payload) -> None:
    code = f"__import__('os').mkdir({payload.canary!r})".encode()
    made = b"\x80\x02cdill._dill\n_load_type\n0cbuiltins\nexec\nX"
    path.write_bytes(made + struct.pack("<I", len(code)) + code + b"\x85R.")


def joblib_like(path: Path, payload: Payload) -> None:
    wrapper = b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}b0"
    path.write_bytes(wrapper + pickle.dumps(payload, protocol=2)[2:] + b"\0" * 64)


def object_array(path: Path, payload: Payload) -> None:
    torch.save({"a": np.array([payload], dtype=object)}, path)


def bad_opcodes(path: Path, payload: Payload) -> None:
    whole = bytearray(pickle.dumps({"a": payload, "b": [1, 2]}, protocol=2))
    last = [place for _, _, place in pickletools.genops(bytes(whole)) if place][-3]
    whole[last] = 0xFF
    path.write_bytes(bytes(whole))


def cut_pickle(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps(payload)[:-1])


def pickle_named_safetensors(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps(payload))


def safetensors(header: bytes, leased: int | None = None, data: bytes = b"") -> Any:
    def write(path: Path, payload: Payload) -> None:
        length = len(header) if leased is None else leased
        path.write_bytes(struct.pack("<Q", length) + header + data)

    return write


def described(**changes: Any) -> bytes:
    told = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    return json.dumps({"a": told}).encode()


PICKLES = {
    "a payload in the state dict": in_state_dict,
    "a payload as a key": in_a_key,
    "a payload in the optimizer": in_optimizer,
    "a payload in the message hub": in_message_hub,
    "a payload in the metadata": in_metadata,
    "a file of the old format": as_legacy_file,
    "a tar of the oldest format": as_legacy_tar,
    "a torch.package": as_package,
    "a TorchScript archive": as_torchscript,
    "a zip with ..": zip_that_climbs,
    "an archive in a pickle's place": nested_zip_pickle,
    "a bare pickle, protocol 0": raw(0),
    "a bare pickle, protocol 2": raw(2),
    "a bare pickle, protocol 5": raw(5),
    "the opcodes GLOBAL and REDUCE": by_opcodes(b"cos\nmkdir\n(V", b"\ntR."),
    "the opcode INST": by_opcodes(b"(V", b"\nios\nmkdir\n."),
    "the opcode OBJ": by_opcodes(b"(cos\nmkdir\nV", b"\no."),
    "an attribute of an allowed module": by_opcodes(
        b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n0cos\nmkdir\n(V", b"\ntR."
    ),
    "a pickle like dill's": dill_like,
    "a pickle like joblib's": joblib_like,
    "an array of objects": object_array,
    "bad opcodes": bad_opcodes,
    "a pickle cut short": cut_pickle,
}
SAFETENSORS = {
    "a pickle named .safetensors": pickle_named_safetensors,
    "a header of 4 EiB": safetensors(b"{}", 1 << 62),
    "a header of 99 MB in 10 bytes": safetensors(b"{}", 99_000_000),
    "a header that ends outside": safetensors(described(data_offsets=[0, 1 << 40])),
    "a header whose shape lies": safetensors(described(shape=[1 << 40]), data=b"\0" * 8),
    "a header whose offsets go back": safetensors(described(data_offsets=[8, 0]), data=b"\0" * 8),
    "a header with negative offsets": safetensors(described(data_offsets=[-8, 0])),
    "a header of an unknown type": safetensors(described(dtype="PY"), data=b"\0" * 8),
    "a header that is no JSON": safetensors(b"(cos\nmkdir\n."),
    "a header in a header": safetensors(b'{"a":' * 5000 + b"}" * 5000),
}
CASES = {name: (write, ".pth") for name, write in PICKLES.items()} | {
    name: (write, ".safetensors") for name, write in SAFETENSORS.items()
}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.mark.parametrize("case", CASES)
def test_unsafe_weights_are_refused(tmp_path: Path, canary: Path, case: str) -> None:
    write, suffix = CASES[case]
    path = tmp_path / "in" / f"weights{suffix}"
    path.parent.mkdir()
    write(path, Payload(canary))
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        read_weights(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "weights_only" not in said
    assert "Traceback" not in said
    assert not canary.exists()
    assert sorted(tmp_path.iterdir()) == [path.parent]
    assert path.read_bytes() == before


# ---- what claims more than there is


def a_bomb(path: Path) -> None:
    """A deflated archive as torch reads it: 64 MiB of zeros in some ten kilobytes."""
    plain = path.with_name("plain")
    torch.save({"a": torch.zeros(1 << 24)}, plain)
    with zipfile.ZipFile(plain) as read, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as write:
        for member in read.infolist():
            write.writestr(member.filename, read.read(member))
    plain.unlink()


def overlapping_members(path: Path) -> None:
    """An archive whose members all lie on the same bytes."""
    torch.save({"a": torch.zeros(1 << 10)}, path)
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    count, length, start = struct.unpack("<HII", data[end + 10 : end + 20])
    directory = data[start : start + length]
    many = data[:start] + directory * 40
    tail = struct.pack("<HHHHIIH", 0, 0, 40 * count, 40 * count, 40 * length, start, 0)
    path.write_bytes(many + b"PK\x05\x06" + tail)


def petabytes_of_one_value(path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(1 << 48)}, path)


def petabytes_in_a_header(path: Path) -> None:
    told = described(shape=[1 << 48], data_offsets=[0, 1 << 50])
    safetensors(told, data=b"\0" * 8)(path, None)


def values_in_a_header(path: Path) -> None:
    safetensors(described(shape=[1 << 48]), data=b"\0" * 8)(path, None)


def a_long_header(path: Path) -> None:
    safetensors(b"{}", 1 << 50)(path, None)


def petabytes_in_an_old_file(path: Path) -> None:
    """The old format, whose storages are made before their bytes are looked for."""
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert data.count(b"K\x03") > 1
    wide = b"\x8a\x07" + (1 << 49).to_bytes(7, "little")
    place = data.index(b"cpuq")
    place = data.index(b"K\x03", place)
    path.write_bytes(data[:place] + wide + data[place + 2 :])


EXCESS = {
    "a bomb.pth": (a_bomb, "its members unpack to 67,"),
    "overlapping.pth": (overlapping_members, "its members unpack to"),
    "expanded.pth": (petabytes_of_one_value, "`a` expands to 1,125,899,906,842,624 bytes"),
    "offsets.safetensors": (petabytes_in_a_header, "up to byte 1,125,899,906,842,624 for `a`"),
    "shape.safetensors": (values_in_a_header, "claims 281,474,976,710,656 values"),
    "long.safetensors": (a_long_header, "its header claims 1,125,899,906,842,624 bytes"),
    "old.pth": (petabytes_in_an_old_file, "asks for a storage of 562,949,953,421,312 values"),
}


@pytest.mark.parametrize("name", EXCESS)
def test_claims_of_more_than_there_is_are_refused(tmp_path: Path, name: str) -> None:
    make, words = EXCESS[name]
    path = tmp_path / name
    make(path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=words) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "state dict alone" in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_too_many_tensors_are_refused(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"many{suffix}"
    many = {f"{n}": torch.zeros(1) for n in range(6)}
    save_file(many, path) if suffix == ".safetensors" else torch.save(many, path)
    assert set(read_weights(path)) == set(many)
    monkeypatch.setattr(weights_limits, "MOST_TENSORS", 5)
    with pytest.raises(InputError, match=r"has \d+ tensors; at most 5 are loaded"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_larger_than_the_free_memory_is_not_opened(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"large{suffix}"
    path.write_bytes(b"1" * 2000)
    monkeypatch.setattr(weights_limits, "free_memory", lambda: 1999)
    with pytest.raises(InputError, match=r"has 2,000 bytes, and 1,999 bytes of memory are free"):
        read_weights(path)


def test_the_free_memory_is_a_number_of_this_machine() -> None:
    free = weights_limits.free_memory()
    if not Path("/proc/meminfo").exists():
        assert free is None
    else:
        assert free is not None
        assert 1 << 20 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize("case", ["a bare pickle, protocol 0", "the opcode INST", "the opcode OBJ"])
def test_the_payloads_would_run(tmp_path: Path, canary: Path, case: str) -> None:
    path = tmp_path / "weights.pth"
    PICKLES[case](path, Payload(canary))
    pickle.loads(path.read_bytes())
    assert canary.is_dir()


@pytest.mark.parametrize("role", ["pretrained", "checkpoint"])
def test_a_model_is_not_built_from_them(tmp_path: Path, canary: Path, role: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": tiny().state_dict(), "message_hub": Payload(canary)}, path)
    with pytest.raises(InputError, match=r"it asks for `.*mkdir`"):
        build_segmentor(model_config("deeplabv3plus_tiny", 3), mc_dropout=False, **{role: path})
    assert not canary.exists()


@pytest.mark.parametrize(
    "named",
    ["os.mkdir", "pathlib.Path.mkdir", "mmengine.load", "mmseg.models.os.mkdir", "a b",
     "__import__", "mmdet.a.b", "subprocess.Popen", ""],
)  # fmt: skip
@pytest.mark.parametrize("place", ["segmentor", "backbone", "loss"])
def test_a_type_cannot_lead_out_of_the_registries(canary: Path, named: str, place: str) -> None:
    config = model_config("deeplabv3plus_tiny", 3)
    evil = {"type": named, "path": str(canary), "file": str(canary), "args": ["mkdir", str(canary)]}
    if place == "segmentor":
        config = evil
    elif place == "backbone":
        config["backbone"] = evil
    else:
        config["decode_head"]["loss_decode"] = [evil]
    with pytest.raises(InputError):
        build_segmentor(config, mc_dropout=False)
    assert not canary.exists()
