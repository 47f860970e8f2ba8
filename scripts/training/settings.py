"""The flags of train.py, and what they mean for a run: flag -> value, with the defaults of the task."""

from __future__ import annotations

import os
from typing import Any

from absl import flags

import peers
from shared import layer_options
from shared.options import Option, format_flag, format_value, is_finite
from stacked_lstm.commands import choices
from tasks import TASKS
from training import modes
from training.distributed import cluster

_COUNT = {"lower_bound": 1}
_TYPES = {"boolean": bool, "enum": str, "float": (int, float), "integer": int, "list": list, "string": str}
# The flags that every task has. Where a task has a default of its own, the default here is None.
OPTIONS = (
    Option("enum", "task", None, "The task to train (required).", {"enum_values": sorted(TASKS)}, identity=True),
    Option("string", "data_dir", None, "Directory of the data (default: that of the installed data package).",
           identity=True),
    Option("integer", "train_examples", None, "Use only this number of training examples (default: all).", _COUNT,
           identity=True),
    Option("list", "hidden_sizes", None, "Number of units of each LSTM layer, first layer first", identity=True),
    Option("enum", "initial_state", None, "The kind of initial state. With --peer it is zeros",
           {"enum_values": list(choices.INITIAL_STATES)}, identity=True),
    Option("enum", "weight_initializer", None, "The weight initializer of StackedLSTM",
           {"enum_values": list(choices.WEIGHT_INITIALIZERS)}, identity=True),
    Option("enum", "engine", "auto",
           "Engine of StackedLSTM. auto: the first engine that supports the layers and the device.",
           {"enum_values": list(choices.ENGINES)}, identity=True),
    Option("enum", "peer", None, "Train MultiRNNCell + dynamic_rnn, or the LSTM of tf-keras, instead of StackedLSTM.",
           {"enum_values": sorted(peers.names("build"))}, identity=True),
    Option("integer", "epochs", None, "Number of epochs, including the epochs before a run was resumed", _COUNT),
    Option("integer", "batch_size", None, "Number of examples in a training step", _COUNT, identity=True),
    Option("float", "learning_rate", None, "Learning rate of Adam", identity=True),
    Option("integer", "seed", 0, "Seed of the initial weights and of the order of the examples.",
           {"lower_bound": 0, "upper_bound": 2**31 - 1}, identity=True),
    Option("string", "train_dir", None,
           "Directory of the results. If it has a checkpoint, training resumes (default: runs/TASK, or runs/TASK-PEER "
           "with --peer)."),
    *layer_options.OPTIONS,
    Option("integer", "replicas", None,
           "Share each batch between this number of GPUs, or of CPU devices without a GPU (default: one device).",
           _COUNT),
    *cluster.OPTIONS,
    Option("boolean", "horovod", False,
           "Share each batch between the processes that horovodrun has started. This needs the package horovod."),
)  # fmt: skip

_VALIDATORS = {
    "learning_rate": (lambda rate: rate is None or rate > 0, "expected a positive number"),
}


def define_flags(values: flags.FlagValues) -> None:
    """Adds the flags that every task has, and those of each task."""
    for option in OPTIONS:
        defaults = [f"{format_value(task.DEFAULTS[option.name])} for {name}"
                    for name, task in sorted(TASKS.items()) if option.name in task.DEFAULTS]  # fmt: skip
        option.define(values, option.default, f"{option.text} (default: {', '.join(defaults)})." if defaults else None)
    for name, task in sorted(TASKS.items()):
        for option in task.OPTIONS:
            default = f" (default: {format_value(option.default)})." if option.default else ""
            option.define(values, None, f"With --task={name}: {option.text}{default}")
    for name, (is_valid, message) in _VALIDATORS.items():
        flags.register_validator(name, is_valid, message, flag_values=values)


def identity_flags(task: str) -> list[str]:
    """Names of the flags that decide what a task's checkpoints hold."""
    return [option.name for option in OPTIONS + TASKS[task].OPTIONS if option.identity]


def check_saved_flags(saved: dict[str, Any]) -> None:
    """Raises ValueError if a value of a flag that a checkpoint depends on is none that the command line could give.

    Args:
      saved: flag -> value, from the file of a run's history.
    """
    for option in OPTIONS + TASKS[saved["task"]].OPTIONS:
        if option.identity and option.name != "task" and saved[option.name] is not None:
            value, kind = saved[option.name], _TYPES[option.kind]
            is_valid = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
            if option.kind == "float":
                is_valid = is_valid and is_finite(value)
            if option.name in layer_options.TABLE:
                is_valid = layer_options.is_valid(option.name, value)
            elif option.kind == "list":
                is_valid = is_valid and bool(value) and all(type(size) is int and size > 0 for size in value)
            if "enum_values" in option.domain:
                is_valid = is_valid and value in option.domain["enum_values"]
            if not is_valid:
                actual = format_flag(option.name, value)[:60]
                raise ValueError(f"--train_dir: expected the flags of a run in its history, got {actual}")


def read_flags(values: flags.FlagValues) -> dict[str, Any]:
    """Returns flag -> value, with the task's defaults for flags that are absent.

    Raises:
      ValueError: a flag that the task does not have, or that does not go with another one.
    """
    if not values.task:
        raise ValueError(f"--task: expected one of {', '.join(sorted(TASKS))}, got none")
    sizes = values.hidden_sizes
    if sizes is not None and not (sizes and all(size.isdecimal() and int(size) for size in sizes)):
        actual = format_value(sizes) or "none"
        raise ValueError(f"--hidden_sizes: expected positive integers, such as 32,32,64, got {actual}")
    task = TASKS[values.task]
    known = [option.name for option in OPTIONS + task.OPTIONS]
    for option in (option for other in TASKS.values() for option in other.OPTIONS):
        if option.name not in known and values[option.name].value is not None:
            raise ValueError(
                f"--{option.name}: expected none with --task={values.task}, got "
                f"{format_value(values[option.name].value)}"
            )
    settings = dict({option.name: option.default for option in OPTIONS}, **task.defaults())
    settings["train_dir"] = os.path.join("runs", "-".join(filter(None, [values.task, values.peer])))
    if values.peer:
        settings.update(peers.SETTINGS)
    present = {name: values[name].value for name in known if values[name].value is not None}
    settings.update(present)
    if not settings["job_name"]:
        present.update(cluster.read_environment(os.environ))
    settings.update(present)
    modes.adapt(settings, present)
    if settings["job_name"]:
        cluster.Cluster.read(settings)
    else:
        cluster.check_alone(present)
    settings["hidden_sizes"] = [int(size) for size in settings["hidden_sizes"]]
    for name in layer_options.TABLE:
        if name in present:
            settings[name] = layer_options.parse(name, present[name])
    return settings
