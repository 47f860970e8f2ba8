"""Trains a stacked LSTM on a task. If a run was killed, the same command resumes it.

    python scripts/train.py --task=forecast
    python scripts/train.py --task=fashion_mnist --train_examples=5000 --batch_size=4 --epochs=8
    python scripts/train.py --task=titles
    python scripts/train.py --task=forecast --ablate_initial_state
    python scripts/train.py --task=titles --ablate_dropout

--task is required. The progress bar is on stderr. Stdout has a line per epoch. Its last line is a JSON object with the
final metrics. Accuracies and errors are computed at the end of each epoch on the complete training set and test set.
The times contain the training only, not this evaluation. `seconds_per_epoch` is their median.

For titles, a part of the training data is used for validation. The checkpoint with the lowest validation loss is kept,
and the final metrics are those of its epoch. Training stops after --patience epochs without a lower loss. The loss is
balanced between the classes (--balance), and --piece_dropout, --input_dropout, --pooled_dropout and --weight_decay keep
the network from learning the titles by heart.

The flags of the layers, from --input_dropout to --projection_clip, are the arguments of StackedLSTM with these names. A
single value is for all layers. A list such as 0.1,0.2 has one value per layer.

For tasks with classes, the last line has the recall of each class of the test set, and the mean of the F1 scores of the
classes.

The directory --train_dir contains the checkpoints, history.json, TensorBoard events, and plots of the training and of
the predictions for the test set.

--ablate_initial_state trains forecast nine times: with zero, learned and projected initial states, and with the seeds
--seed, --seed + 1 and --seed + 2. Each run has a directory in --train_dir, which is runs/forecast-initial_state by
default. The command also writes ablation.csv (the errors of each run), ablation.png (the error of the forecast after 1
to 24 input hours) and two plots of one week of forecasts: after 1 and after 48 input hours.

--ablate_dropout trains titles with each kind of dropout alone and with five seeds, from --seed on. Each run has a
directory in --train_dir, which is runs/titles-dropout by default. The command also writes ablation.csv and dropout.png.

With --job_name, the process is a part of a cluster: a parameter server (ps), which holds variables, or a worker, which
computes. Worker 0 is the chief: it evaluates, writes --train_dir and prints the last line. --job_name=evaluator
evaluates each checkpoint in --train_dir. All processes need the same flags, except --job_name and --task_index. The
environment variable TF_CONFIG can replace the flags of the cluster. If a process was killed, start it again with the
same command. --replicas trains on several devices of each process. --horovod trains with the processes that horovodrun
has started.

The exit status is 0 after success, 1 if the loss became infinite or NaN, 2 if the flags, the data or the environment do
not allow a run, and 130 after an interrupt.
"""

import importlib
import sys

from stacked_lstm.commands import command
from training import modes, settings

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

    other = modes.trainer(chosen)
    return other.run(chosen) if other else experiment.run(chosen).final


def _require(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'this needs the package {name} ({error}): pip install -e ".[examples]"') from None


def main(values):
    """Trains; exits with status 1 if a number is not finite."""
    try:
        run(values)
    except FloatingPointError as error:
        sys.exit(f"train.py: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        if values.job_name != "evaluator":
            print("\nThe same command goes on from the last checkpoint, if there is one.", file=sys.stderr)
        raise


if __name__ == "__main__":
    command.run(define_flags, main)
