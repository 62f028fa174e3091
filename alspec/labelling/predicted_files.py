"""What `predict` wrote into a folder: of which images, by which model; so that it can continue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from alspec.datasets.files.contents import sha256_of_file
from alspec.errors import DataError
from alspec.run.prediction import Files
from alspec.system.atomic import write_json

ABOUT = "predict.json"
"""In the folder: the model, and for each file what it was made of."""

_HASHERS = 4


@dataclass(frozen=True)
class PredictedFiles:
    """The files of an output folder, known by what they were made of.

    Attributes:
        folder: where they are.
        model: what decides them beside the images; plain data.
    """

    folder: Path
    model: Mapping[str, object]

    def still_to_write(self, files: Sequence[Files]) -> list[Files]:
        """The images of which a file is not there, or is of another image or model.

        Such a file is removed, and what will be made is noted before it is: a file that is there
        is then one that was made of what is noted, whatever ended the process that wrote it.

        Args:
            files: an image and what is to be written of it, each.
        """
        noted = self._noted()
        wanted, made_of = [], {}
        with ThreadPoolExecutor(_HASHERS, thread_name_prefix="hash") as readers:
            contents = readers.map(_content, [one["image"] for one in files])
            for one, content in zip(files, contents, strict=True):
                own = {path: f"{what} of {content}" for what, path in outputs_of(one).items()}
                if not content or any(not self._is_there(path, own[path], noted) for path in own):
                    wanted.append(one)
                made_of.update(own)
        for path, of in made_of.items():
            if noted.get(self._name(path)) != of:
                Path(path).unlink(missing_ok=True)
        now = noted | {self._name(path): of for path, of in made_of.items()}
        write_json(self.folder / ABOUT, {**self.model, "files": now})
        return wanted

    def _noted(self) -> dict[str, str]:
        """What each file was made of, by its path below the folder; nothing of another model."""
        try:
            about = json.loads((self.folder / ABOUT).read_text("utf-8"))
            model = json.loads(json.dumps(dict(self.model)))  # as JSON has it
            if {name: about[name] for name in model} != model:
                return {}
            return {str(name): str(of) for name, of in about["files"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def _is_there(self, path: str, of: str, noted: Mapping[str, str]) -> bool:
        return noted.get(self._name(path)) == of and Path(path).is_file()

    def _name(self, path: str) -> str:
        return Path(path).relative_to(self.folder.absolute()).as_posix()


def outputs_of(one: Files) -> dict[str, str]:
    """The path of what is written of an image, by what it is: `mask`, perhaps `confidence`."""
    return {what: path for what, path in one.items() if what != "image"}


def _content(image: str) -> str:
    """SHA-256 of an image file; empty for one that cannot be read, which the prediction says."""
    try:
        return sha256_of_file(image).hex()
    except DataError:
        return ""
