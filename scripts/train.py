"""Trains a stacked LSTM on a task, and goes on where a killed run stopped.

    python scripts/train.py --task=forecast
    python scripts/train.py --task=fashion_mnist --train_examples=5000 --batch_size=4 --epochs=8
    python scripts/train.py --task=titles
    python scripts/train.py --task=forecast --ablate_initial_state

The progress bar is on stderr. On stdout there is a line per epoch, and at the end the final numbers as one line of
JSON. Accuracies and errors are those of the network at an epoch's end, on the whole training and test set. Seconds are
those of training, without these evaluations, and `seconds_per_epoch` is their median. If a part of the data is held out
for validation (titles), the epoch with the smallest loss there is the best one: its checkpoint is kept, the final
numbers are those of this epoch, and training stops --patience epochs after it. --train_dir then has the checkpoints,
TensorBoard's events, history.json, and pictures of the training and of the predictions for the test examples.

--ablate_initial_state trains forecast nine times: from zero, learned and projected initial states, with the seeds
--seed, --seed + 1 and --seed + 2, each in a directory of --train_dir. It writes ablation.csv, ablation.png (the errors
of the forecasts after each of the first 24 hours that a network sees) and pictures of a week's forecasts.

The exit status is 0 after success, 1 if training met a number that is not finite, and 2 if the flags, the data or the
environment do not allow a run.
"""

import importlib
import sys

from stacked_lstm.commands import command
from training import settings

EXTRAS = ("matplotlib", "tqdm")

define_flags = settings.define_flags


def run(values):
    """Trains.

    Args:
      values: `absl.flags.FlagValues` with the flags of `define_flags`.

    Returns:
      Name -> number, the last line on stdout.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `training.experiment.run`.
    """
    for name in EXTRAS:
        _require(name)
    chosen = settings.read_flags(values)
    command.graph_mode()
    from training import experiment

    for module in settings.trainers(chosen):
        return module.run(chosen)
    return experiment.run(chosen).final


def _require(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"train.py needs {name} ({error}): pip install stacked_lstm[examples]") from None


def main(values):
    """Trains; exits with status 1 if a number is not finite."""
    try:
        run(values)
    except FloatingPointError as error:
        sys.exit(f"train.py: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        print("\nThe same command goes on from the last checkpoint.", file=sys.stderr)
        raise


if __name__ == "__main__":
    command.run(define_flags, main)
