"""The ablation of dropout: titles are trained with each kind of dropout alone, with five seeds each."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from shared import layer_options, pictures
from training import modes
from training.ablations import ablation
from training.run_files import history

SEEDS = 5
NONE = {name: None if name in layer_options.TABLE else 0.0 for name in modes.DROPOUT}
# Each kind: the flags that differ from `NONE`. None: the defaults of the task.
KINDS: dict[str, dict[str, Any] | None] = {
    "none": {},
    "inputs of the LSTM": {"input_dropout": 0.5},
    "h, variational": {"recurrent_dropout": 0.5},
    "g, candidate": {"recurrent_dropout": 0.5, "recurrent_dropout_kind": "candidate"},
    "zoneout": {"zoneout_c": 0.5, "zoneout_h": 0.1},
    "defaults": None,
}
COLUMNS = ("validation_loss", "test_accuracy", "test_macro_f1", "test_recall_0")
LABELS = {"validation_loss": "validation loss", "test_accuracy": "test accuracy"}


def run(settings: Mapping[str, Any]) -> dict[str, float]:
    """Trains with each kind of dropout and each seed, and writes the table and the picture.

    Args:
      settings: flag -> value.

    Returns:
      Name -> number: the means over the seeds, which are printed last.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run`.
    """
    train_dir = settings["train_dir"]
    with ablation.directory(train_dir):
        rows = train_all(settings)
        ablation.write_table(train_dir, ("dropout", "seed", *COLUMNS), rows)
        ablation.save_pictures(train_dir, {"dropout": draw(rows)})
    return report(rows)


def train_all(settings: Mapping[str, Any]) -> list[list[Any]]:
    """Returns a row per run: [kind, seed, the numbers of `COLUMNS` at the epoch with the lowest validation loss]."""
    rows: list[list[Any]] = []
    kinds = {kind: {} if changes is None else dict(NONE, **changes) for kind, changes in KINDS.items()}
    for kind, seed, train_dir, outcome in ablation.train(settings, kinds, SEEDS):
        best = history.History(train_dir, history.read_flags(train_dir)).best()
        final = dict(outcome.final, validation_loss=best["validation_loss"])
        rows.append([kind, seed, *[final[column] for column in COLUMNS]])
    return rows


def numbers(rows: Sequence[Sequence[Any]], kind: str) -> np.ndarray:
    """The numbers of a kind's runs, float64 [seeds, COLUMNS]."""
    return np.array([row[2:] for row in rows if row[0] == kind], np.float64)


def draw(rows: Sequence[Sequence[Any]]) -> Any:
    """Returns the picture, a figure."""
    places = {label: COLUMNS.index(column) for column, label in LABELS.items()}
    panels = {label: {kind: numbers(rows, kind)[:, place] for kind in KINDS} for label, place in places.items()}
    title = f"Titles, by what is dropped in training: {SEEDS} seeds (small) and their mean (large)"
    return pictures.dots(title, panels)


def report(rows: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Prints a line per kind of dropout, and the means over the seeds as JSON; returns the means."""
    print(f"\nat the epoch with the lowest validation loss; mean of {SEEDS} seeds (standard deviation)")
    print(f"{'dropped':20}" + "".join(f"{column:>20}" for column in COLUMNS))
    final: dict[str, float] = {}
    for kind in KINDS:
        values = numbers(rows, kind)
        means, deviations = values.mean(axis=0), values.std(axis=0, ddof=1)
        print(f"{kind:20}" + "".join(f"{f'{m:.4f} ({d:.4f})':>20}" for m, d in zip(means, deviations)))
        final.update((f"{kind}: {column}", float(mean)) for column, mean in zip(COLUMNS, means))
    ablation.print_final(final)
    return final
