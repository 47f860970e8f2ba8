"""The ablation of dropout: titles are trained with each kind of dropout alone, with five seeds each."""

import contextlib
import json
import os

import numpy as np

from shared import layer_options, pictures
from shared.options import format_value
from training import ablation, checkpoints, experiment, history, lock, summaries

SEEDS = 5
NONE = {"piece_dropout": 0.0, "pooled_dropout": 0.0, **dict.fromkeys(layer_options.TABLE)}
# Each kind: the flags that differ from `NONE`. None: the defaults of the task.
KINDS = {
    "none": {},
    "inputs of the LSTM": {"input_dropout": 0.5},
    "h, variational": {"recurrent_dropout": 0.5},
    "g, candidate": {"recurrent_dropout": 0.5, "recurrent_dropout_kind": "candidate"},
    "zoneout": {"zoneout_c": 0.5, "zoneout_h": 0.1},
    "defaults": None,
}
COLUMNS = ("validation_loss", "test_accuracy", "test_macro_f1", "test_recall_0")
LABELS = {"validation_loss": "validation loss", "test_accuracy": "test accuracy"}


def adapt(settings, present):
    """Gives --train_dir its default in an ablation.

    Args:
      settings: flag -> value.
      present: the flags on the command line.

    Raises:
      ValueError: a flag that does not go with an ablation.
    """
    for name in ("peer", *NONE):
        if name in present:
            raise ValueError(f"--{name}: expected none with --ablate_dropout, got {format_value(present[name])}")
    if "train_dir" not in present:
        settings["train_dir"] = os.path.join("runs", f"{settings['task']}-dropout")


def run(settings):
    """Trains with each kind of dropout and each seed, and writes the table and the picture.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: the means over the seeds, which are printed last.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run`.
    """
    train_dir = settings["train_dir"]
    with lock.hold(train_dir):
        checkpoints.remove_leftovers(train_dir)
        rows = train_all(settings)
        ablation.write_table(os.path.join(train_dir, ablation.TABLE), ("dropout", "seed", *COLUMNS), rows)
        draw(train_dir, rows)
    return report(rows)


def train_all(settings):
    """Returns a row per run: [kind, seed, the numbers of `COLUMNS` at the epoch with the lowest validation loss]."""
    rows = []
    for seed in range(settings["seed"], settings["seed"] + SEEDS):
        for kind, changes in KINDS.items():
            name = f"{kind.replace(',', '').replace(' ', '_')}-{seed}"
            print(f"\n{name}:")
            train_dir = os.path.join(settings["train_dir"], name)
            flags = {} if changes is None else dict(NONE, **changes)
            chosen = dict(settings, **flags, seed=seed, train_dir=train_dir)
            final = dict(experiment.run(chosen).final)
            final["validation_loss"] = history.History(train_dir, history.read_flags(train_dir)).best()[COLUMNS[0]]
            rows.append([kind, seed] + [final[column] for column in COLUMNS])
    return rows


def numbers(rows, kind):
    """The numbers of a kind's runs, float64 [seeds, COLUMNS]."""
    return np.array([row[2:] for row in rows if row[0] == kind], np.float64)


def draw(directory, rows):
    """Writes the picture as a PNG file and for TensorBoard."""
    places = {label: COLUMNS.index(column) for column, label in LABELS.items()}
    panels = {label: {kind: numbers(rows, kind)[:, place] for kind in KINDS} for label, place in places.items()}
    title = f"Titles, by what is dropped in training: {SEEDS} seeds (small) and their mean (large)"
    images = summaries.images(experiment.save_pictures(directory, {"dropout": pictures.dots(title, panels)}))
    with contextlib.closing(summaries.EventFile(directory)) as events:
        events.add(images, 0)


def report(rows):
    """Prints a line per kind of dropout, and the means over the seeds as JSON; returns the means."""
    print(f"\nat the epoch with the lowest validation loss; mean of {SEEDS} seeds (standard deviation)")
    print(f"{'dropped':20}" + "".join(f"{column:>20}" for column in COLUMNS))
    final = {}
    for kind in KINDS:
        values = numbers(rows, kind)
        means, deviations = values.mean(axis=0), values.std(axis=0, ddof=1)
        print(f"{kind:20}" + "".join(f"{f'{m:.4f} ({d:.4f})':>20}" for m, d in zip(means, deviations)))
        final.update((f"{kind}: {column}", float(mean)) for column, mean in zip(COLUMNS, means))
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return final
