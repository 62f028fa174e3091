"""bfloat16 on a processor without it is told, and nothing else is."""

from __future__ import annotations

import pytest

from alspec.run.preflight import precision
from alspec.run.preflight.precision import computes_in_bfloat16, note_on_precision
from alspec.spec.model import Training

SLOW = "processor : 0\nflags\t\t: fpu avx2 avx512f\n"
QUICK = "processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n"
ARM = "processor : 0\nFeatures\t: fp asimd bf16\n"


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize(("text", "quick"), [(SLOW, False), (QUICK, True), (ARM, True), ("", None)])
def test_the_processor_s_own_list_decides(cpu, text, quick):
    cpu.write_text(text)
    assert computes_in_bfloat16() is quick
    note = note_on_precision(Training(precision="bfloat16"))
    assert (note is not None) == (quick is False)


def test_it_is_said_of_bfloat16_on_a_processor_alone(cpu):
    cpu.write_text(SLOW)
    assert "8 times slower than float32" in str(note_on_precision(Training(precision="bfloat16")))
    assert note_on_precision(Training(precision="bfloat16"), processor=False) is None
    assert note_on_precision(Training(precision="float32")) is None
    assert note_on_precision(Training()) is None


def test_a_machine_that_does_not_say_is_not_judged(cpu):
    assert computes_in_bfloat16() is None
    assert note_on_precision(Training(precision="bfloat16")) is None
