"""Errors of the command convert, which change no file, and the command as a process of its own."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from absl import flags

from stacked_lstm import checkpoints
from stacked_lstm.commands import convert
from support.files.checkpoint_files import GOLDEN, folder, hostile_checkpoint
from support.files.conversions import FOLDER, run
from support.processes import programs
from support.suite.paths import ROOT
from support.suite.sets import ONCE

CELLS = os.path.join(GOLDEN, "cells.ckpt")
SCRIPT = os.path.join(ROOT, "scripts", "convert.py")
ERRORS = [
    (dict(source=None), "--from: expected a file name, got none"),
    (dict(to=None), "--to: expected a file name, got none"),
    (dict(source="missing.ckpt"), "--from: expected a TensorFlow checkpoint in .*missing.ckpt"),
    (
        dict(to_format=None),
        "--to: expected a file name that ends in one of .weights.h5 .* --to_format as one of stacked_lstm",
    ),
    (
        dict(to="there.npz", to_format=None),
        "--to: expected the name of a new file, or --overwrite, got .*there.npz, which exists",
    ),
    (
        dict(to="own.onnx"),
        "--to: expected --to_format to be 'onnx', which the name of .*own.onnx implies, got 'stacked_lstm'",
    ),
    (dict(to="no/where.ckpt"), "--to: expected an existing folder"),
    (
        dict(layers=None, source=os.path.join(GOLDEN, "block_cells.ckpt")),
        r"--layers: expected the layers of one network, got \d+ networks: block.*as in --layers='block",
    ),
    (
        dict(layers="nothing"),
        "--from: expected --layers to match .* got 'nothing'; the names are basic_lstm/rnn/basic_lstm_cell",
    ),
    (dict(max_bytes=100), "--from: expected arrays of at most 100 bytes together in .*, or a larger --max_bytes, got"),
    (dict(max_bytes=0), "flag --max_bytes=0: 0 is not a positive integer"),
    (dict(source="model.pt", layers=None), "--from: expected a file without pickles, .*save_file.*, got .*model.pt"),
    (dict(layers="["), "--from: expected --layers to be a regular expression"),
    (
        dict(layers="lstm_peepholes/.*", to="new.npz", to_format=None),
        "--to: the layer has peepholes, for which the layout 'pytorch' has no place",
    ),
    (dict(layers="(multi_two|lstm)/.*"), "each as wide as the next one's input"),
    (dict(layers="both/.*"), "--layers selects to be one stack, all of one direction, got .* backward"),
    (dict(template="there.npz"), "--template: expected a TensorFlow checkpoint in .*there.npz"),
    (
        dict(from_format="pytorch", source="there.npz", layers=None),
        "--from: expected LSTM layers in .*there.npz, got none",
    ),
    (dict(to_forget_bias="inf"), "--to: expected --to_forget_bias to be a finite number, got inf"),
    (dict(to="new.keras", to_format=None), "--to: expected --template to be an existing .keras file, because"),
    (dict(template=CELLS, to_scope="a"), "--to: expected no --to_scope, since --template names the layers, got 'a'"),
    (dict(template_layers="a"), "--to: expected no --template_layers without --template, got 'a'"),
    (
        dict(template=CELLS, to_format="rnn_cell", template_layers="no"),
        "--template: expected --template_layers to match the names of LSTM layers in .*, got 'no'",
    ),
    (dict(to_format="torch"), r"flag --to_format=torch: value should be one of"),
    (dict(forget_bias="nan"), "--from: expected --forget_bias to be a finite number, got nan"),
]


@pytest.mark.parametrize("change, message", ERRORS, ids=[message[:30] for _, message in ERRORS])
def test_errors(change, message, tmp_path, capsys):
    np.savez(str(tmp_path / "there.npz"), a=np.zeros(3))
    before = folder(tmp_path)
    options = dict(dict(source=CELLS, layers="multi_two/.*", to="own.ckpt", to_format="stacked_lstm"), **change)
    for name in ("source", "to", "template"):
        if options.get(name):
            options[name] = os.path.join(str(tmp_path), options[name])
    status, _, errors = run(capsys, **options)
    assert status == 2 and re.match("convert.py: .*" + message, errors), errors
    assert "Traceback" not in errors and folder(tmp_path) == before


def test_the_command_itself(tmp_path):
    """A process of its own reports an error without a traceback."""
    arguments = [f"--from={tmp_path / 'no.npz'}", f"--to={tmp_path / 'own.npz'}"]
    result = subprocess.run([sys.executable, SCRIPT] + arguments, capture_output=True)
    errors = result.stderr.decode()
    assert result.returncode == 2 and "Traceback" not in errors
    assert re.search(r"^convert.py: --from: expected .* in .*no.npz, got no such file$", errors, re.M)


@ONCE
@pytest.mark.parametrize("flag, role", [(None, "from"), (None, "template"), ("--trusted", "from")])
def test_a_checkpoint_that_ends_its_reader(flag, role, tmp_path):
    """Its process dies. That is one line, unless the user says that the file is trusted."""
    hostile = hostile_checkpoint(tmp_path / "model.ckpt", [-5])
    good = os.path.join(FOLDER, "pytorch", "stacked.npz")
    before = folder(tmp_path)
    arguments = [f"--from={hostile}"] if role == "from" else [f"--from={good}", f"--template={hostile}"]
    arguments += [f"--to={tmp_path / 'own.ckpt'}", "--to_format=rnn_cell"] + [flag] * (flag is not None)
    result = programs.run([SCRIPT, *arguments])
    if flag:
        assert result.returncode == -signal.SIGABRT
    else:
        expected = (
            "convert.py: --from: expected a file that does no harm, got .*model.ckpt, which ends the process .*\n"
        )
        assert result.returncode == 2 and re.fullmatch(expected, result.stderr.decode()), result.stderr
    assert folder(tmp_path) == before


PROGRAM_WITHOUT_TENSORFLOW = """
import sys
from stacked_lstm.commands import convert
sys.argv = ["convert.py"] + sys.argv[1:]
try:
    convert.run()
finally:
    print("imported", sorted({"tensorflow", "h5py", "keras", "matplotlib", "onnx", "torch"} & set(sys.modules)))
"""


def test_help_needs_no_large_package():
    """It prints the docstring and every flag. To import such a package would take seconds."""
    arguments = [sys.executable, "-c", PROGRAM_WITHOUT_TENSORFLOW, "--help"]
    result = subprocess.run(arguments, capture_output=True)
    printed, values = result.stdout.decode(), flags.FlagValues()
    convert.define_flags(values)
    assert result.returncode == 0 and printed.endswith("imported []\n"), printed + result.stderr.decode()
    assert printed.startswith(convert.__doc__[:40]) and all(
        re.search(rf"--(\[no\])?{name}:", printed) for name in values
    )


def test_without_tensorflow(tmp_path):
    """A conversion from PyTorch to Keras imports no TensorFlow."""
    source, target = os.path.join(FOLDER, "pytorch", "stacked.npz"), str(tmp_path / "new.weights.h5")
    program = [sys.executable, "-c", PROGRAM_WITHOUT_TENSORFLOW, "--from=" + source, "--to=" + target]
    result = subprocess.run(program + ["--trusted"], capture_output=True)
    assert "imported ['h5py']" in result.stdout.decode(), result.stderr.decode()
    assert result.returncode == 0 and len(checkpoints.read(target).layers) == 2
