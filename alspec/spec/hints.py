"""What people mean by keys and values that are not the spec's: other tools' names, other places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from alspec.spec.keys import keys_at, sections
from alspec.spec.source import Loc, Source
from alspec.spec.validation import nearest

Path: TypeAlias = tuple[Loc, str]
"""A mapping of the spec, and a key in it."""

_SAME: Mapping[str, tuple[str, ...]] = {
    "lr": ("learningrate", "baselr", "initiallr", "eta", "lr0", "initlr"),
    "batch_size": ("batch", "bs", "samplespergpu", "imagesperbatch", "trainbatchsize"),
    "epochs": (
        "maxepochs",
        "numepochs",
        "nepochs",
        "epoch",
        "totalepochs",
        "iterations",
        "maxiters",
    ),
    "weight_decay": ("wd", "l2", "decay"),
    "head_lr_factor": ("headlrmult", "lrmult", "headlr"),
    "precision": ("amp", "fp16", "bf16", "mixedprecision", "dtype"),
    "crop": ("cropsize", "randomcrop"),
    "flip": ("hflip", "randomflip"),
    "colour": ("color", "colorjitter", "photometric"),
    "image_size": ("imgsize", "imsize", "size", "resolution", "inputsize", "resize", "imgscale"),
    "root": ("path", "dataroot", "datadir", "dir", "folder"),
    "images": ("imgdir", "imagedir", "imagesdir", "imgs", "imagepath"),
    "masks": ("labels", "anndir", "annotations", "maskdir", "groundtruth", "gt", "segmentations"),
    "classes": ("classnames", "labelnames", "names", "numclasses", "nc", "categories"),
    "ignore": ("ignoreindex", "ignorelabel", "void"),
    "val": ("validation", "test", "eval", "valdir"),
    "kind": ("type", "format"),
    "seeds": ("seed", "randomseed", "numseeds", "repeats", "repetitions"),
    "methods": ("strategies", "strategy", "acquisition", "acquisitions", "samplers", "queries"),
    "datasets": ("data", "dataset"),
    "budgets": ("percent", "percentages", "cycles", "rounds"),
    "study": ("experiment", "experimentname", "title", "run"),
    "ssl": ("semisupervised", "semi", "s4"),
    "model": ("network", "net", "arch", "architecture", "segmentor"),
    "pretrained": ("weights", "backboneweights", "initweights"),
    "keep": ("saveweights", "checkpoints"),
    "passes": ("npasses", "numpasses", "mcpasses", "samples", "dropoutpasses"),
    "candidates": ("subsample", "stride", "subset"),
    "execution": ("cluster", "scheduler", "compute", "resources"),
    "executor": ("backend", "launcher"),
    "jobs": ("njobs", "numjobs", "pilots"),
    "partition": ("queue",),
    "account": ("project",),
    "time": ("timelimit", "walltime", "timemin"),
    "gpu": ("gputype", "gres"),
    "cpus": ("cpuspertask", "cores", "numcpus", "ncpus"),
    "memory": ("mem", "ram", "mempernode"),
    "lines": ("sbatch", "options", "additionalparameters"),
    "setup": ("modules", "before", "prologue"),
    "initial": ("start", "initialsize", "initialbudget"),
    "step": ("stepsize", "perround", "percycle", "querysize", "acquire"),
    "cycles": ("rounds", "steps", "iterations"),
}


def meant_key(loc: Loc, source: Source) -> str | None:
    """The key that an unknown one probably means, preferably one that is not there yet.

    Returns:
        A key of the same mapping, or a dotted path to one elsewhere in the spec; None for neither.
    """
    *parents, key = loc
    known, given = keys_at(tuple(parents), source), source.value(tuple(parents))
    absent = [name for name in known if not (isinstance(given, Mapping) and name in given)]
    elsewhere = list(_elsewhere(tuple(parents), source))
    word = str(key)
    paths = (
        _same(word, absent),
        _close(word, absent),
        _at(elsewhere, word),
        _at(elsewhere, _same(word, [key for *_, key in elsewhere])),
        nearest(word, absent),
        nearest(word, known),
    )
    return next((path for path in paths if path), None)


def _same(word: str, known: Sequence[str]) -> str | None:
    """The key that other tools call by this name."""
    folded = re.sub("[^a-z0-9]", "", word.lower())
    return next((name for name in known if folded in _SAME.get(name, ())), None)


def _close(word: str, known: Sequence[str]) -> str | None:
    """A slip of the pen: a letter or two."""
    return next((name for name in known if name.replace("_", "") == word.replace("_", "")), None)


def _at(paths: Sequence[Path], name: str | None) -> str | None:
    """The dotted path of the first that ends in a name."""
    return next((".".join(map(str, (*above, key))) for above, key in paths if key == name), None)


def _elsewhere(parents: Loc, source: Source) -> Iterator[Path]:
    """Every key of the top and of the mappings below it, but for the mapping at `parents`."""
    for section in ((), *sections(source)):
        if section != parents:
            yield from ((section, key) for key in keys_at(section, source))


def as_list(field: str, value: object, shown: str) -> str:
    """How to write a list that was given as one value."""
    if field in ("image_size", "crop") and isinstance(value, int):
        return f"expected height and width, got {shown}. Write `[{value}, {value}]`"
    if field in ("image_size", "crop") and isinstance(value, str):
        sides = re.findall(r"\d+", value)
        if len(sides) == 2:
            return f"expected height and width, got {shown}. Write `[{sides[0]}, {sides[1]}]`"
    if field == "seeds" and isinstance(value, int) and not isinstance(value, bool):
        listed = ", ".join(map(str, range(max(value, 1)))) if 0 <= value <= 10 else "0, 1, 2"
        hint = f"`[{value}]` for the seed {value}, or `[{listed}]` for {max(value, 1)} seeds"
        return f"expected a list, got {shown}. Write {hint if value <= 10 else f'`[{value}]`'}"
    if isinstance(value, (str, int, float)) and value != "":
        return f"expected a list, got {shown}. Write `[{value}]`"
    return f"expected a list, got {shown}"


def better_value(field: str, kind: str, value: object) -> str | None:
    """A value as it has to be written, where what was given leaves no doubt.

    Args:
        field: the key.
        kind: pydantic's name of what is wrong.
        value: what was given.
    """
    if kind.startswith("bool_") and isinstance(value, (str, int)):
        return {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false"}.get(
            str(value).lower()
        )
    if kind.startswith(("int_", "float_")) and isinstance(value, str):
        return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else None
    if kind.startswith("int_") and isinstance(value, float) and value.is_integer():
        return str(int(value))
    if field == "candidates" and isinstance(value, int):
        return f"{{every: {value}}}"
    return None
