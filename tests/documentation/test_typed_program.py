"""A type checker is content with a user's program, and finds its mistakes; the program runs."""

import os
import re
import subprocess
import sys

import pytest

from support.processes import pages, programs
from support.suite.paths import ROOT
from support.suite.sets import ONCE

PROGRAM = os.path.join(ROOT, "tests", "support", "processes", "typed_program.py")

MISTAKES = {
    'StackedLSTM([4, 3], initial_state="learned"': 'StackedLSTM([4, 3], initial_stat="learned"',
    "lstm(x, sequence_length=lengths)": "lstm(x, lengths=lengths)",
    'layouts.pack(layers[0], "keras")': 'layouts.pack("keras")',
    "rnn_cell.BasicLSTMCell(3)": "rnn_cell.BasicLSTM(3)",
    "numpy_lstm.forward(layers, ": "numpy_lstm.forward(",
}


def check(folder, *paths):
    """(exit status, report) of the type checker, which is run in `folder`."""
    flags = ["--strict", "--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]
    command = [sys.executable, "-m", "mypy"] + flags + list(paths)
    environment = dict(os.environ, MYPYPATH=ROOT)
    result = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout.decode()


@ONCE
def test_it_runs(tmp_path):
    environment = dict(os.environ, **pages.python_path())
    result = programs.run([PROGRAM], cwd=tmp_path, env=environment)
    printed = result.stdout.decode()
    assert result.returncode == 0, result.stderr.decode()
    assert printed.startswith("(2, 3) (2, 16) (5, 2, 3) ")


@ONCE
def test_the_type_checker_finds_mistakes_and_nothing_else(tmp_path):
    """One run reads the program and its copies, each with one mistake."""
    pytest.importorskip("mypy")
    with open(PROGRAM, encoding="utf-8") as file:
        text = file.read()
    names = {f"mistake_{number}.py": right for number, right in enumerate(MISTAKES)}
    for name, right in names.items():
        assert text.count(right) == 1
        (tmp_path / name).write_text(text.replace(right, MISTAKES[right]), encoding="utf-8")
    status, report = check(str(tmp_path), PROGRAM, *names)
    places = set(re.findall(r"^([^:\n]*):\d+: error:", report, re.M))
    assert status == 1 and places == set(names), report
    assert f"in {len(names)} files (checked {len(names) + 1} source files)" in report, report
