"""The names in the table of the command migrate exist, in the package and in TensorFlow."""

import importlib

from stacked_lstm.commands import new_imports, old_names
from support import programs
from support.sets import ONCE

pytestmark = ONCE

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


def test_new_names_of_tensorflow_exist():
    """As attributes and by import. The import gives TensorFlow's modules new functions, so it has its own process."""
    names = [*old_names.TENSORFLOW_NAMES.values(), *(f"tensorflow.nn.{name}" for name in old_names.NN_LOOPS)]
    ran = programs.run(["-c", NEW_NAMES, *names])
    assert ran.returncode == 0, ran.stderr


def test_names_are_those_of_the_modules():
    for name in set(old_names.MODULES.values()) | set(old_names.SHARED_MODULES.values()):
        assert list(old_names.names_of(name)) == importlib.import_module(name).__all__
        assert name in new_imports.ALIASES
