"""A type checker is content with a user's program, and finds its mistakes; the program runs."""

import os
import subprocess
import sys

import pytest

from support import pages
from support.paths import ROOT
from support.sets import ONCE

PROGRAM = os.path.join(ROOT, "tests", "support", "typed_program.py")

MISTAKES = {
    'StackedLSTM([4, 3], initial_state="learned"': 'StackedLSTM([4, 3], initial_stat="learned"',
    "lstm(x, sequence_length=lengths)": "lstm(x, lengths=lengths)",
    'layouts.pack(layers[0], "keras")': 'layouts.pack("keras")',
    "rnn_cell.BasicLSTMCell(3)": "rnn_cell.BasicLSTM(3)",
    "numpy_lstm.forward(layers, ": "numpy_lstm.forward(",
}


def check(path, folder):
    """(exit status, report) of the type checker, which is run in `folder`."""
    flags = ["--strict", "--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]
    command = [sys.executable, "-m", "mypy"] + flags + [str(path)]
    environment = dict(os.environ, MYPYPATH=ROOT)
    result = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout.decode()


@ONCE
def test_it_runs(tmp_path):
    environment = dict(os.environ, **pages.python_path())
    printed = subprocess.check_output([sys.executable, PROGRAM], cwd=str(tmp_path), env=environment).decode()
    assert printed.startswith("(2, 3) (2, 16) (5, 2, 3) ")


@ONCE
def test_the_type_checker_is_content(tmp_path):
    pytest.importorskip("mypy")
    status, report = check(PROGRAM, str(tmp_path))
    assert status == 0, report


@ONCE
@pytest.mark.parametrize("right", MISTAKES)
def test_the_type_checker_finds_mistakes(right, tmp_path):
    pytest.importorskip("mypy")
    with open(PROGRAM, encoding="utf-8") as file:
        text = file.read()
    assert text.count(right) == 1
    (tmp_path / "program.py").write_text(text.replace(right, MISTAKES[right]), encoding="utf-8")
    status, report = check(tmp_path / "program.py", str(tmp_path))
    assert status == 1 and "in 1 file" in report, report
