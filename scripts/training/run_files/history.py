"""The flags and the epochs of a run, in a file next to the checkpoints."""

import json
import os
import statistics

from shared import file_errors
from shared.options import format_flag
from stacked_lstm.commands import output_files
from stacked_lstm.files import durable_files
from tasks.task import PARTS
from training.run_files import checkpoints

FILE = "history.json"
ROW = ("epoch", "global_step", "seconds", "learning_rate")  # In each row, besides the losses and scores.


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
        if os.path.lexists(self._path):
            content = _read(self._path)
            _check_flags(directory, content["flags"], flags)
            self.rows = content["epochs"]
        elif checkpoints.candidates(directory):
            raise ValueError(
                f"--train_dir: expected {FILE} next to the checkpoints in {directory}, found none; "
                f"{checkpoints.start_anew(directory)}"
            )

    def create(self):
        """Makes the directory and the file. This comes before the first checkpoint, which would be refused without."""
        with file_errors.named("--train_dir", self._directory, "write"):
            os.makedirs(self._directory, exist_ok=True)
            durable_files.flush(os.path.dirname(os.path.abspath(self._directory)))
        self._write()

    def check_rows(self, names):
        """Raises ValueError if a row lacks one of `names`, losses and scores of the task's parts."""
        for number, row in enumerate(self.rows, 1):
            missing = [name for name in names if name not in row]
            if missing:
                raise ValueError(
                    f"--train_dir: expected {' and '.join(missing)} of epoch {number} in {self._path}, found none"
                )

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

        with file_errors.named("--train_dir", self._path, "write"):
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
    if not os.path.lexists(path):
        raise ValueError(f"--train_dir: expected the directory of a run, with {FILE}, got {directory}")
    return _read(path)["flags"]


def _read(path):
    file_errors.check_regular("--train_dir", path)
    try:
        with file_errors.named("--train_dir", path), open(path) as file:
            text = file.read()
        content = json.loads(text)
        _check_type(content, dict, "the whole")
        for name, kind in (("flags", dict), ("epochs", list)):
            if name not in content:
                raise ValueError(f"nothing called {name}")
            _check_type(content[name], kind, name)
        for number, row in enumerate(content["epochs"], 1):
            _check_row(row, number)
    except RecursionError:
        raise ValueError(f"--train_dir: expected a run's flags and epochs in {path}, got too many brackets") from None
    except ValueError as error:
        raise ValueError(f"--train_dir: expected a run's flags and epochs in {path}, got {error}") from None
    return content


def _check_type(value, kind, name):
    if not isinstance(value, kind):
        raise ValueError(f"{_short(value)} as {name}")


def _check_row(row, number):
    """Raises ValueError if a value is not the row of an epoch, counted from 1."""
    _check_type(row, dict, f"epoch {number}")
    for name in ROW:
        if name not in row:
            raise ValueError(f"epoch {number} without {name}")
    for name, value in row.items():
        kind = int if name in ("epoch", "global_step") else (int, float)
        if not isinstance(value, kind) or isinstance(value, bool) or not abs(value) < 1e300:
            raise ValueError(f"{name} {_short(value)} in epoch {number}")
    if row["epoch"] != number:
        raise ValueError(f"epoch {row['epoch']} in the place of epoch {number}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _check_flags(directory, saved, flags):
    different = [name for name in flags if saved.get(name) != flags[name]]
    if different:
        wanted, found = (", ".join(format_flag(name, run.get(name)) for name in different) for run in (flags, saved))
        raise ValueError(
            f"--train_dir: expected a directory of a run with {wanted}, got {directory} of a run with {found}; "
            f"{checkpoints.start_anew(directory)}"
        )
