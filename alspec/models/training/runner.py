"""MMEngine's Runner, without the parts that a warm worker cannot have: global set-up and files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer


class StepRunner(Runner):  # type: ignore[misc]
    """A Runner for one training among many in the same process.

    alspec seeds, initialises, saves and logs on its own, exactly and once; the loop, the hooks, the
    optimizer wrappers and the schedulers are MMEngine's.
    """

    def __init__(self, *, work_dir: Path, name: str, **parts: Any) -> None:
        self._name = name
        super().__init__(
            work_dir=str(work_dir),
            experiment_name=name,
            default_scope="mmseg",
            log_level="ERROR",
            randomness={"seed": 0},
            **parts,
        )

    def setup_env(self, env_cfg: object) -> None:
        """Name the run; threads, start methods and limits are the worker's business."""
        self._timestamp = "training"

    def set_randomness(self, seed: object, *_args: object, **_kwargs: object) -> None:
        """Keep the random state: `fit` has seeded it."""
        self._seed = seed
        self._deterministic = False

    def build_logger(self, *_args: object, **_kwargs: object) -> MMLogger:
        """One quiet logger for the process in place of a log file for each training."""
        return MMLogger.get_instance("alspec", log_level="ERROR")

    def build_visualizer(self, visualizer: object = None) -> Visualizer:
        """A visualiser of this run's name, so that users' backends can be added to it."""
        return Visualizer(name=self._experiment_name)

    def wrap_model(self, model_wrapper_cfg: object, model: object) -> object:
        """Leave the model where it is: MMEngine would move it to the first GPU it finds."""
        return model

    def _log_env(self, env_cfg: object) -> None:
        """Leave it out: asking compilers for their versions takes seconds; provenance has it."""

    def dump_config(self) -> None:
        """Write no config file: the step's recipe is the config."""

    def _init_model_weights(self) -> None:
        """Keep the weights: the model comes initialised, or resumed."""

    def close(self) -> None:
        """Forget what MMEngine keeps for the life of the process under this run's name."""
        for registry in (MessageHub, DefaultScope, Visualizer):
            registry._instance_dict.pop(self._experiment_name, None)
        logging.captureWarnings(capture=False)
