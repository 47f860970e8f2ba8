"""What is known of past epochs: kept in a file next to the checkpoints, and drawn."""

import json
import os
import statistics

FILE = "history.json"
PICTURE = "curves.png"


class History(object):
    """The flags of a run and a row per epoch, kept in a directory.

    A row is written before the checkpoint of its epoch's end. So one whose step is past the last checkpoint belongs to
    an epoch that was not completed, and `forget_after` drops it.

    Attributes:
      rows: list of mappings from names to numbers; `global_step` is the step at the epoch's end.
    """

    def __init__(self, directory, flags):
        """Reads what the directory has, if it has anything; writes nothing.

        Args:
          flags: name -> value (a JSON type), which decide what the checkpoints hold.

        Raises:
          ValueError: the directory is of a run with other flags, or of something else.
        """
        self._directory, self._path = directory, os.path.join(directory, FILE)
        self._flags, self.rows = flags, []
        if os.path.exists(self._path):
            with open(self._path) as file:
                found = json.load(file)
            _check_flags(directory, found["flags"], flags)
            self.rows = found["epochs"]
        elif os.path.exists(os.path.join(directory, "checkpoint")):
            raise ValueError("--train_dir: expected %s next to the checkpoints in %s, found none" % (FILE, directory))

    def create(self):
        """Makes the directory and the file; to be done before the first checkpoint, which without it is nobody's."""
        os.makedirs(self._directory, exist_ok=True)
        self._write()

    def forget_after(self, step):
        """Drops the rows of epochs that ended after `step`."""
        self.rows = [row for row in self.rows if row["global_step"] <= step]
        self._write()

    def add(self, row):
        """Adds a row: epoch, global_step, seconds, learning_rate, and loss and score as train_... and test_..."""
        self.rows.append(row)
        self._write()

    def _write(self):
        def write(path):
            with open(path, "w") as file:
                json.dump({"flags": self._flags, "epochs": self.rows}, file, indent=1)

        replace(self._path, write)

    def summary(self, metric):
        """name -> number: the last epoch's scores, and the median of the epochs' seconds."""
        summary = {name: self.rows[-1][name] for name in ("epoch", "train_" + metric, "test_" + metric)}
        summary["seconds_per_epoch"] = statistics.median(row["seconds"] for row in self.rows)
        return summary


def text(value):
    """A flag's value as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_flags(directory, found, flags):
    different = [
        "--%s=%s, not %s" % (name, text(found.get(name)), text(flags[name]))
        for name in flags
        if found.get(name) != flags[name]
    ]
    if different:
        raise ValueError(
            "--train_dir: %s is of a run with %s; choose another directory or delete this one"
            % (directory, "; ".join(different))
        )


def replace(path, write):
    """Calls `write` with a temporary name and renames the file: at `path` there never is half a file."""
    base, extension = os.path.splitext(path)
    temporary = base + ".tmp" + extension
    write(temporary)
    os.replace(temporary, path)


def draw(path, title, rows, metric, label, baselines):
    """Draws the loss and the score of training and test set over the epochs.

    Args:
      path: of the PNG file.
      rows: `History.rows`, at least one.
      metric, label: the score's name in the rows, and for people.
      baselines: name -> score, a horizontal line each.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    epochs = [row["epoch"] for row in rows]
    for axes, quantity, axis_label in zip(figure.subplots(1, 2), ("loss", metric), ("loss", label)):
        for part, color, marker in (("train", "#0072b2", "o"), ("test", "#d55e00", "s")):
            values = [row["%s_%s" % (part, quantity)] for row in rows]
            axes.plot(epochs, values, color=color, marker=marker, markersize=4, label=part)
        if quantity == metric:
            for name, value in baselines.items():
                axes.axhline(value, color="0.35", linestyle="--", label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.set_ylabel(axis_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    replace(path, lambda temporary: figure.savefig(temporary, dpi=120))
