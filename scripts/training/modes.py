"""The flags that change what `train.py` does: what each one runs, and which flags cannot be combined with it."""

from __future__ import annotations

import importlib
import os
from typing import Any, Mapping, NamedTuple

from shared import layer_options
from shared.options import format_value


class Mode(NamedTuple):
    """What a flag changes.

    Fields:
      module: the module whose `run` trains; None for `training.experiment`.
      excluded: the flags that cannot be combined with this one.
      defaults: flag -> value, which replaces the default of the task.
    """

    module: str | None
    excluded: tuple[str, ...]
    defaults: Mapping[str, Any] = {}


_ABLATIONS = ("ablate_initial_state", "ablate_dropout")
DROPOUT = ("piece_dropout", "pooled_dropout", *layer_options.TABLE)  # What --ablate_dropout sets.
# If two flags of this table have a module, the first one trains.
MODES = {
    "job_name": Mode("training.distributed.distributed", _ABLATIONS),
    "horovod": Mode("training.distributed.ranks", ("job_name", "replicas", "peer", *_ABLATIONS)),
    "replicas": Mode(None, ("peer", *_ABLATIONS)),
    # The loss is that of the forecasts after every hour. With the loss of the last forecast alone, nothing would train
    # the forecasts after the first hours. After more epochs, each kind forecasts the test part worse: the year does not
    # repeat itself.
    "ablate_initial_state": Mode(
        "training.ablations.initial_state_ablation", ("peer", "initial_state"),
        {"loss_steps": "all", "epochs": 3, "train_dir": os.path.join("runs", "forecast-initial_state")}),
    "ablate_dropout": Mode(
        "training.ablations.dropout_ablation", ("peer", *DROPOUT),
        {"train_dir": os.path.join("runs", "titles-dropout")}),
}  # fmt: skip


def adapt(settings: dict[str, Any], present: Mapping[str, Any]) -> None:
    """Sets the flags that are absent to the defaults of the chosen modes.

    Args:
      settings: flag -> value.
      present: the flags that the command line or TF_CONFIG has.

    Raises:
      ValueError: two flags cannot be combined.
    """
    for flag, mode in _chosen(settings).items():
        for name in mode.excluded:
            if name in present and present[name] is not False:
                raise ValueError(f"--{name}: expected none with --{flag}, got {format_value(present[name])}")
        settings.update((name, value) for name, value in mode.defaults.items() if name not in present)


def trainer(settings: Mapping[str, Any]) -> Any:
    """Returns the module that trains instead of `training.experiment`; None if there is none."""
    modules = [mode.module for mode in _chosen(settings).values() if mode.module]
    return importlib.import_module(modules[0]) if modules else None


def _chosen(settings: Mapping[str, Any]) -> dict[str, Mode]:
    return {flag: mode for flag, mode in MODES.items() if settings.get(flag)}
