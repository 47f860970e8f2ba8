"""Moves programs of TensorFlow 1 to stacked_lstm.rnn_cell.

Changes Python files in place: `import tensorflow as tf` becomes `import tensorflow.compat.v1 as tf`; the names of
cells, wrappers, loops and losses in tf.nn, tf.nn.rnn_cell, tf.contrib and tensorflow.python move to this package; and
`tf.disable_v2_behavior()` is added after the imports. Everything else keeps its formatting. The command lists what it
cannot move, with the number of the line in the changed file (with --diff: in the old file) and with what to do.

The exit status is 0 if everything moved, 1 if something is left to do by hand, and 2 if a file cannot be read or is not
Python 3. With status 2, no file has changed.

    stacked-lstm-migrate model.py train.py
    stacked-lstm-migrate --diff model.py
"""

from __future__ import annotations

import difflib
import re
import sys
from typing import Sequence

from absl import flags

from stacked_lstm.commands import command


def define_flags(values: flags.FlagValues) -> None:
    """Adds the flags of the command.

    Args:
      values: where to add them.
    """
    flags.DEFINE_boolean("diff", False, "Print the changes, and write nothing.", flag_values=values)


def main(values: flags.FlagValues, paths: Sequence[str]) -> None:
    """Moves the files.

    Args:
      values: the parsed flags.
      paths: the files.

    Raises:
      ImportError: libcst is not installed.
      OSError, ValueError: a file cannot be read, or is not Python 3.
    """
    try:
        from stacked_lstm.commands import old_program
    except ImportError as error:
        raise ImportError('needs the package libcst: pip install "stacked_lstm[migrate]"') from error
    if not paths:
        raise ValueError("expected the names of Python files, got none")
    programs: list[tuple[str, bytes, bytes]] = []
    for path in paths:
        if path.endswith(".ipynb"):
            raise ValueError(
                f"expected Python files, got the notebook {path}; `jupyter nbconvert --to script` makes one"
            )
        with open(path, "rb") as file:
            source = file.read()
        try:
            programs.append((path, source, old_program.move(source)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    is_left = False
    for path, old, new in programs:
        if values.diff:
            _print_diff(path, old, new)
        else:
            _write(path, old, new)
        for line, name, advice in old_program.remarks(old if values.diff else new):
            print(f"{path}:{line}: {re.sub('^tensorflow', 'tf', name)}: {advice}")
            is_left = True
    if is_left:
        sys.exit(1)


def run() -> None:
    """Runs the command: the console script stacked-lstm-migrate."""
    command.run(define_flags, main, takes_files=True)


def _write(path: str, old: bytes, new: bytes) -> None:
    if new != old:
        with open(path, "wb") as file:
            file.write(new)
    print(f"{path}: {'nothing to move' if new == old else 'moved'}")


def _print_diff(path: str, old: bytes, new: bytes) -> None:
    lines = [text.decode("utf-8", "replace").splitlines(keepends=True) for text in (old, new)]
    sys.stdout.writelines(difflib.unified_diff(lines[0], lines[1], path, path))


if __name__ == "__main__":
    run()
