"""The command convert in the process of the tests."""

import os

from absl import flags

from stacked_lstm.commands import command, convert
from support.files.checkpoint_files import GOLDEN

FOLDER = os.path.dirname(GOLDEN)


def run(capsys, **options):
    """(exit status, stdout, stderr) of the command in this process, with `source` for --from."""
    options["from"] = options.pop("source", None)
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
    values, status = flags.FlagValues(), 0
    convert.define_flags(values)
    capsys.readouterr()
    try:
        with command.one_line_errors("convert.py"):
            values(["convert.py"] + arguments)
            convert.main(values)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err
