"""Trains a stacked LSTM on one of the tasks in tasks/, and goes on where a killed run stopped.

    python scripts/train.py --task=forecast
    python scripts/train.py --task=fashion_mnist --train_examples=5000 --batch_size=4 --epochs=8
    python scripts/train.py --task=titles
    python scripts/train.py --task=forecast --ablate_initial_state

What to learn from:    --task --data_dir --train_examples
What to learn with:    --hidden_sizes --initial_state --weight_initializer --engine --peer --vocabulary_size
                       --embedding_size
How to learn:          --epochs --patience --batch_size --learning_rate --loss_steps --seed
What to compare:       --ablate_initial_state
Where to keep it:      --train_dir

The progress bar is on stderr. On stdout there is a line per epoch, and at the end the final numbers as one line of
JSON. Accuracies and errors are those of the network at an epoch's end, on the whole training and test set; seconds
are those of training, without these evaluations, and `seconds_per_epoch` is their median. Where a part of the data is
held out for validation (titles), the epoch with the least loss there is the best one: its checkpoint is kept, the
numbers are its, and training stops --patience epochs after it. --train_dir then holds checkpoints, TensorBoard's
events, history.json, and pictures of the training and of the test examples' predictions.

--ablate_initial_state trains forecast nine times: from zero, learned and projected initial states, with the seeds
--seed, --seed + 1 and --seed + 2, each in a directory of --train_dir. It writes ablation.csv and ablation.png, the
error of the forecasts after each of the first 24 hours that a network sees, and pictures of a week's forecasts.
"""

import importlib
import os
import sys

from absl import flags

import command
import networks
from stacked_lstm.engines import ENGINES
from stacked_lstm.initial_state import INITIAL_STATES
from stacked_lstm.initializers import DISTRIBUTIONS
from tasks import ONLY_SOME, TASKS
from tasks.forecast import LOSS_STEPS
from training import ablation, experiment, history

EXTRAS = ("matplotlib", "tqdm")


def _by_task(name):
    """The default of a flag that depends on the task, for its help."""
    defaults = [(key, task.DEFAULTS[name]) for key, task in sorted(TASKS.items()) if name in task.DEFAULTS]
    return ", ".join(f"{'all' if value is None else history.text(value)} for {key}" for key, value in defaults)


_COUNT = {"lower_bound": 1}
# (how absl makes it, name, default, what its values are, help), in the order of the table above.
FLAGS = (
    (flags.DEFINE_enum, "task", None, {"enum_values": sorted(TASKS)}, "What to train on."),
    (flags.DEFINE_string, "data_dir", None, {}, "Directory of the data (default: where the task's package puts them)."),
    (flags.DEFINE_integer, "train_examples", None, _COUNT, "Train on the first so many examples (default: all)."),
    (flags.DEFINE_list, "hidden_sizes", None, {},
     f"Widths of the LSTM layers, first to last (default: {_by_task('hidden_sizes')})."),
    (flags.DEFINE_enum, "initial_state", None, {"enum_values": sorted(INITIAL_STATES)},
     f"Where the LSTM starts (default: {_by_task('initial_state')}; zeros with --peer)."),
    (flags.DEFINE_enum, "weight_initializer", None, {"enum_values": sorted(DISTRIBUTIONS)},
     f"What StackedLSTM's weights are drawn from (default: {_by_task('weight_initializer')})."),
    (flags.DEFINE_integer, "vocabulary_size", None, {"lower_bound": 3},
     f"Most words to know, padding and unknown ones included (default: {_by_task('vocabulary_size')})."),
    (flags.DEFINE_integer, "embedding_size", None, _COUNT,
     f"Numbers that stand for a word (default: {_by_task('embedding_size')})."),
    (flags.DEFINE_enum, "engine", "auto", {"enum_values": ["auto"] + list(ENGINES)},
     "What runs StackedLSTM; auto takes the first that can."),
    (flags.DEFINE_enum, "peer", None, {"enum_values": sorted(networks.PEERS)},
     "Train MultiRNNCell + dynamic_rnn, or Keras' LSTM, instead of StackedLSTM."),
    (flags.DEFINE_boolean, "ablate_initial_state", False, {},
     "Train from zero, learned and projected initial states, with three seeds each, and compare."),
    (flags.DEFINE_integer, "epochs", None, _COUNT,
     f"Passes over the training examples, resumed ones included (default: {_by_task('epochs')})."),
    (flags.DEFINE_integer, "batch_size", None, _COUNT,
     f"Examples per training step (default: {_by_task('batch_size')})."),
    (flags.DEFINE_float, "learning_rate", None, {},
     f"Step size of Adam (default: {_by_task('learning_rate')})."),
    (flags.DEFINE_integer, "patience", None, _COUNT,
     f"Epochs without a better validation loss after which training stops (default: {_by_task('patience')})."),
    (flags.DEFINE_enum, "loss_steps", None, {"enum_values": sorted(LOSS_STEPS)},
     "Which hours' forecasts are trained, of the 48 that are seen (default: %s; all with --ablate_initial_state)."
     % _by_task("loss_steps")),
    (flags.DEFINE_integer, "seed", 0, {"lower_bound": 0, "upper_bound": 2**31 - 1},
     "Decides the initial weights and the order of the examples."),
    (flags.DEFINE_string, "train_dir", None, {},
     "Where results are kept and a killed run goes on (default: runs/TASK, runs/TASK-PEER with --peer, "
     "runs/forecast-initial_state with --ablate_initial_state)."),
)  # fmt: skip
VALIDATORS = {
    "task": (lambda task: task is not None, f"expected one of {', '.join(sorted(TASKS))}"),
    "hidden_sizes": (
        lambda sizes: sizes is None or (sizes and all(size.isdigit() and int(size) for size in sizes)),
        "expected positive integers, such as 32,32,64",
    ),
    "learning_rate": (lambda rate: rate is None or 0 < rate < float("inf"), "expected a positive number"),
}


def define_flags(values=flags.FLAGS):
    """Adds `FLAGS` to an `absl.flags.FlagValues`."""
    for define, name, default, domain, text in FLAGS:
        define(name=name, default=default, help=text, flag_values=values, **domain)
    for name, (is_valid, message) in VALIDATORS.items():
        flags.register_validator(name, is_valid, message, flag_values=values)


def settings_of(values):
    """Returns flag -> value, with the task's defaults where a flag is not given.

    Raises:
      ValueError: a flag is given that the task does not have.
    """
    defaults = TASKS[values.task].DEFAULTS
    for name in sorted(ONLY_SOME):
        if name not in defaults and values[name].value is not None:
            raise ValueError(f"--{name}: expected none with --task={values.task}, got {values[name].value}")
    settings = {name: defaults.get(name) for name in experiment.IDENTITY if name not in ONLY_SOME or name in defaults}
    settings.update(defaults)
    settings["train_dir"] = os.path.join("runs", "-".join(filter(None, [values.task, values.peer])))
    if values.peer:
        settings.update(networks.OF_PEERS)
    given = ((name, values[name].value) for name in settings)
    settings.update((name, value) for name, value in given if value is not None)
    if values.ablate_initial_state:
        ablation.adapt(settings, {name for name in settings if values[name].value is not None})
    settings["hidden_sizes"] = [int(size) for size in settings["hidden_sizes"]]
    return settings


def run(values):
    """Does what the script does.

    Args:
      values: `absl.flags.FlagValues` with the flags of `define_flags`.

    Returns:
      What it prints last, as a mapping.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run`.
    """
    for name in EXTRAS:
        _require(name)
    settings = settings_of(values)
    if values.ablate_initial_state:
        return ablation.run(settings)
    return experiment.run(settings).final


def _require(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"train.py needs {name} ({error}): pip install stacked_lstm[examples]") from None


def main():
    try:
        run(flags.FLAGS)
    except (ValueError, OSError, ImportError) as error:
        _exit(error, 2)
    except FloatingPointError as error:
        _exit(error, 1)
    except KeyboardInterrupt:
        _exit("interrupted; the same command goes on from the last checkpoint", 130)


def _exit(error, status):
    print(f"train.py: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    define_flags()
    command.run(main)
