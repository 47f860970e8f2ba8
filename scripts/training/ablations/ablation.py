"""The frame of an ablation: runs of each kind with each seed, the table, the pictures and the last line."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from shared import file_errors
from stacked_lstm.commands import output_files
from training import experiment, summaries
from training.run_files import checkpoints, lock

TABLE = "ablation.csv"


class Run(NamedTuple):
    """A run of an ablation.

    Fields:
      kind: a key of the `kinds` of `train`.
      seed: int.
      train_dir: the directory of the run.
      outcome: its `experiment.Outcome`.
    """

    kind: str
    seed: int
    train_dir: str
    outcome: experiment.Outcome


@contextlib.contextmanager
def directory(train_dir: str) -> Iterator[None]:
    """Locks the directory of an ablation for the block, and removes what killed runs left in it.

    Raises:
      ValueError, OSError: see `lock.hold`.
    """
    with lock.hold(train_dir):
        checkpoints.remove_leftovers(train_dir)
        yield


def train(settings: Mapping[str, Any], kinds: Mapping[str, Mapping[str, Any]], seeds: int) -> Iterator[Run]:
    """Trains each kind with each seed: all kinds with the first seed, then with the next.

    Args:
      settings: flag -> value. The first seed is that of the flags. Each run has a directory in that of the flags.
      kinds: kind -> the flags that differ from `settings`.
      seeds: the number of seeds.

    Yields:
      A `Run` after each run.

    Raises:
      ValueError, OSError, ImportError, FloatingPointError: see `experiment.run`.
    """
    for seed in range(settings["seed"], settings["seed"] + seeds):
        for kind, flags in kinds.items():
            name = f"{kind.replace(',', '').replace(' ', '_')}-{seed}"
            print(f"\n{name}:")
            train_dir = os.path.join(settings["train_dir"], name)
            outcome = experiment.run(dict(settings, **flags, seed=seed, train_dir=train_dir))
            yield Run(kind, seed, train_dir, outcome)


def write_table(train_dir: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes the CSV file `TABLE` with a header and a row per run: the kind, the seed, and numbers."""
    path = os.path.join(train_dir, TABLE)

    def write(temporary: str) -> None:
        with open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([*row[:2], *[f"{value:.6f}" for value in row[2:]]] for row in rows)

    with file_errors.named("--train_dir", path, "write"):
        output_files.replace(path, write)


def save_pictures(train_dir: str, figures: Mapping[str, Any]) -> None:
    """Writes name -> figure as PNG files and for TensorBoard."""
    images = summaries.images(experiment.save_pictures(train_dir, figures))
    with contextlib.closing(summaries.EventFile(train_dir)) as events:
        events.add(images, 0)


def print_final(final: Mapping[str, float]) -> None:
    """Prints the last line: name -> number as JSON."""
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
