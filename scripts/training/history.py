"""The flags and the epochs of a run, in a file next to the checkpoints."""

import json
import os
import statistics

from shared.options import format_value
from stacked_lstm.commands import output_files
from tasks.task import PARTS

FILE = "history.json"


class History:
    """The flags of a run and a row per epoch, kept in a directory.

    A row is written before the checkpoint at its epoch's end. So a row whose step is past the last checkpoint belongs
    to an epoch that was not completed, and `forget_after` drops it.

    Attributes:
      rows: list of mappings from names to numbers; `global_step` is the step at the epoch's end.
    """

    def __init__(self, directory, flags):
        """Reads the directory's file, if it has one; writes nothing.

        Args:
          directory: the run's directory.
          flags: name -> value (a JSON type) of the flags that decide what the checkpoints hold.

        Raises:
          ValueError: the directory is that of a run with other flags, or of something else.
        """
        self._directory, self._path = directory, os.path.join(directory, FILE)
        self._flags, self.rows = flags, []
        if os.path.exists(self._path):
            content = _read(self._path)
            _check_flags(directory, content["flags"], flags)
            self.rows = content["epochs"]
        elif os.path.exists(os.path.join(directory, "checkpoint")):
            raise ValueError(f"--train_dir: expected {FILE} next to the checkpoints in {directory}, found none")

    def create(self):
        """Makes the directory and the file. This comes before the first checkpoint, which would be refused without."""
        os.makedirs(self._directory, exist_ok=True)
        self._write()

    def forget_after(self, step):
        """Drops the rows of epochs that ended after `step`."""
        self.rows = [row for row in self.rows if row["global_step"] <= step]
        self._write()

    def add(self, row):
        """Adds a row: epoch, global_step, seconds, learning_rate, loss and score of each of `tasks.task.PARTS`."""
        self.rows.append(row)
        self._write()

    def _write(self):
        def write(path):
            with open(path, "w") as file:
                json.dump({"flags": self._flags, "epochs": self.rows}, file, indent=1)

        output_files.replace(self._path, write)

    def is_better(self, row):
        """Whether a row's validation loss is smaller than all before it; False without validation."""
        return "validation_loss" in row and all(
            row["validation_loss"] < earlier["validation_loss"] for earlier in self.rows
        )

    def epochs_since_best(self):
        """The number of epochs after the best one, see `best`."""
        return self.rows[-1]["epoch"] - self.best()["epoch"] if self.rows else 0

    def best(self):
        """The row with the smallest validation loss, the first of equals; the last row without validation.

        There must be at least one row.
        """
        validated = [row for row in self.rows if "validation_loss" in row]
        return min(validated, key=lambda row: row["validation_loss"]) if validated else self.rows[-1]

    def summary(self, metric):
        """Name -> number: the last epoch, the scores of the best epoch, and the median of the epochs' seconds."""
        best = self.best()
        summary = {"epoch": self.rows[-1]["epoch"]}
        if "validation_loss" in best:
            summary["best_epoch"] = best["epoch"]
        names = (f"{part}_{metric}" for part in PARTS)
        summary.update((name, best[name]) for name in names if name in best)
        summary["seconds_per_epoch"] = statistics.median(row["seconds"] for row in self.rows)
        return summary


def read_flags(directory):
    """Returns the flags of the run in `directory`, name -> value.

    Raises:
      ValueError: the directory is not that of a run.
    """
    path = os.path.join(directory, FILE)
    if not os.path.isfile(path):
        raise ValueError(f"--train_dir: expected the directory of a run, with {FILE}, got {directory}")
    return _read(path)["flags"]


def _read(path):
    try:
        with open(path) as file:
            content = json.load(file)
        return {"flags": dict(content["flags"]), "epochs": list(content["epochs"])}
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"--train_dir: expected a run's flags and epochs in {path}, got a damaged file") from None


def _check_flags(directory, saved, flags):
    different = [
        f"--{name}={format_value(saved.get(name))}, not {format_value(flags[name])}"
        for name in flags
        if saved.get(name) != flags[name]
    ]
    if different:
        raise ValueError(
            f"--train_dir: expected a directory of this run, got {directory} of a run with {'; '.join(different)}; "
            "choose another directory or delete this one"
        )
