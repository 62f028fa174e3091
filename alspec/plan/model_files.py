"""Identity of the files a model is made of, without running any of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from alspec.errors import InputError, Problem
from alspec.plan.config_file import config_sha256
from alspec.spec.model import ModelConfig, Study
from alspec.system.atomic import sha256_of


@dataclass(frozen=True)
class ModelFiles:
    """What of a study's model goes into keys, and where its files lie on this machine."""

    identity: dict[str, str] = field(default_factory=dict)
    local_paths: dict[str, str] = field(default_factory=dict)


def model_files(study: Study, *, trust_config: bool = False) -> ModelFiles:
    """Find and hash the model's files; none is run.

    Args:
        study: what names them.
        trust_config: training may run the config file as it is now.

    Raises:
        InputError: every file that is missing or cannot be read, at its place in the spec.
    """
    found = ModelFiles()
    problems: list[Problem] = []
    wanted: list[tuple[str, tuple[str, ...], str | None]] = [
        ("pretrained", ("pretrained",), study.pretrained)
    ]
    if isinstance(study.model, ModelConfig):
        wanted.append(("checkpoint", ("model", "checkpoint"), study.model.checkpoint))
        try:
            digest, found.local_paths["config"] = config_sha256(Path(study.model.config))
            found.identity["config_sha256"] = digest
            if trust_config:
                found.local_paths["trusted_config"] = digest
        except InputError as err:
            problems += err.problems
    else:
        found.identity["name"] = study.model
    for name, loc, path in wanted:
        if path is None:
            continue
        try:
            found.identity[f"{name}_sha256"] = sha256_of(Path(path))
            found.local_paths[name] = path
        except OSError as err:
            what = f"the weights {path} cannot be read: {err.strerror}. Correct the path"
            problems.append(Problem(path, what, loc=loc))
    if problems:
        raise InputError(problems)
    return found
