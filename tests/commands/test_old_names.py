"""The names in the table of the command migrate exist, in the package and in TensorFlow."""

import importlib
import re

import pytest

from stacked_lstm import missing_names, rnn_cell
from stacked_lstm.commands import new_imports, old_names
from support.processes import programs
from support.suite import versions
from support.suite.sets import ONCE

NEW_NAMES = """
import importlib
import sys
import tensorflow.compat.v1 as tf

for name in sys.argv[1:]:
    value = tf
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    module, last = name.replace("tensorflow", "tensorflow.compat.v1", 1).rsplit(".", 1)
    assert value is getattr(importlib.import_module(module), last), name
"""


@ONCE
def test_new_names_of_tensorflow_exist():
    """As attributes and by import. The import gives TensorFlow's modules new functions, so it has its own process."""
    names = [*old_names.TENSORFLOW_NAMES.values(), *(f"tensorflow.nn.{name}" for name in old_names.NN_LOOPS)]
    ran = programs.run(["-c", NEW_NAMES, *names])
    assert ran.returncode == 0, ran.stderr


@ONCE
def test_names_are_those_of_the_modules():
    for name in set(old_names.MODULES.values()) | set(old_names.SHARED_MODULES.values()):
        module = importlib.import_module(name)
        assert list(old_names.names_of(name)) == module.__all__ + list(getattr(module, "TENSORFLOW_NAMES", ()))
        assert name in new_imports.ALIASES


def value_of(name):
    """Returns what a complete name means. Its parts are modules, then attributes."""
    value, parts = None, name.split(".")
    for k, part in enumerate(parts):
        value = getattr(value, part) if hasattr(value, part) else importlib.import_module(".".join(parts[: k + 1]))
    return value


@pytest.mark.skipif(not versions.OLD, reason="only TensorFlow 1 has the old names")
def test_new_names_mean_the_same():
    for old, new in old_names.TENSORFLOW_NAMES.items():
        if old.endswith(".is_sequence"):  # A function with another name.
            pairs = [(value_of(old)(x), value_of(new)(x)) for x in ([1], {}, 1, "a")]
            assert pairs == [(True, True)] * 2 + [(False, False)] * 2
        elif old.startswith("tensorflow.python."):  # tf.contrib has functions of its own that call the new ones.
            assert value_of(old) is value_of(new), old


@pytest.mark.skipif(not versions.OLD, reason="only TensorFlow 1 has the old names")
def test_moved_names_mean_the_same_in_all_old_modules():
    """A name of this package stands for one thing of TensorFlow 1."""
    meanings = {}
    for old in (*old_names.MODULES, *old_names.SHARED_MODULES):
        try:
            module = value_of(old)
        except ImportError:  # An older TensorFlow had it.
            continue
        for name in dir(module):
            new = old_names.home(f"{old}.{name}")
            if new and not name.startswith("__"):
                meanings.setdefault((new, name), set()).add(id(getattr(module, name)))
    assert len(meanings) > 50 and [key for key, values in meanings.items() if len(values) > 1] == []


@pytest.mark.skipif(not versions.OLD, reason="only TensorFlow 1 has the old names")
def test_advice_about_all_missing_names():
    for module in ("contrib.rnn", "contrib.cudnn_rnn"):
        moved = {*rnn_cell.__all__, *rnn_cell.TENSORFLOW_NAMES, *old_names.NN_LOOPS}
        missing = set(dir(value_of(f"tensorflow.{module}"))) - moved
        names = {name for name in missing if not name.startswith("_")}
        assert names and names <= set(missing_names.ADVICE)


def test_modules_of_tensorflow():
    """They exist, and TensorFlow 1.15 has them in its modules of cells."""
    for name, complete in missing_names.MODULES.items():
        assert value_of(complete).__name__.endswith(complete.rpartition(".")[2])
        assert old_names.remark(f"tensorflow.python.ops.rnn_cell_impl.{name}").endswith(f"import {complete} itself")
        if versions.OLD and name not in ("context", "base_layer"):
            places = ("tensorflow.python.ops.rnn_cell_impl", "tensorflow.python.ops.rnn")
            places += ("tensorflow.contrib.rnn.python.ops.rnn_cell", "tensorflow.contrib.rnn.python.ops.core_rnn_cell")
            assert {getattr(value_of(place), name, value_of(complete)) for place in places} == {value_of(complete)}


def test_advice_after_the_move():
    """Names keep their advice when the module has become `stacked_lstm.rnn_cell`."""
    for name in ("CudnnGRU", "CUDNN_RNN_UNIDIRECTION"):
        advice = old_names.remark(f"tensorflow.contrib.cudnn_rnn.{name}")
        assert old_names.remark(f"stacked_lstm.rnn_cell.{name}") == advice
        assert "CudnnCompatibleGRUCell" in advice or "'unidirectional'" in advice
    advice = old_names.remark("stacked_lstm.rnn_cell.GLSTMCell")
    assert advice == old_names.remark("tensorflow.contrib.rnn.python.ops.rnn_cell.GLSTMCell")
    assert re.fullmatch(
        "not in .*; copy .*/rnn_cell.py of .*, run .* on the copy, and import GLSTMCell from it", advice
    )
    assert old_names.remark("stacked_lstm.rnn_cell.NoCell") == "not in stacked_lstm.rnn_cell"
    assert old_names.remark("stacked_lstm.rnn_cell.LSTMCell") is None
    assert old_names.remark("stacked_lstm.rnn_cell.__dict__") is None
