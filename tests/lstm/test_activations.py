"""Callables that are the named activations, and callables that only look like them."""

import functools
import json

from stacked_lstm import activations
from stacked_lstm.compat import tf
from support.processes import programs

# In TensorFlow 2, the second import of `nn` puts other function objects into tf.nn.
PROGRAM = """
import json, sys
from stacked_lstm import activations
from stacked_lstm.compat import tf
before = dict(vars(tf.nn))
import tensorflow.compat.v1.nn as nn
from tensorflow.python.ops import math_ops
modules = [before, vars(nn), vars(tf.nn), vars(tf.math), vars(math_ops)]
get = lambda function: activations.get(function, "", "")
find = lambda name: [get(module[name]) is activations.ACTIVATIONS[name] for module in modules if name in module]
print(json.dumps([{name: find(name) for name in sys.argv[1:]}, before["tanh"] is nn.tanh]))
"""


def test_functions_of_all_modules_of_tensorflow():
    names = [name for name in activations.ACTIVATIONS if name != "linear" and not name.startswith("hard")]
    functions, is_same = json.loads(programs.check(["-c", PROGRAM, *names]).decode())
    assert all(len(are_named) >= 3 and all(are_named) for are_named in functions.values()), functions
    assert is_same == tf.__version__.startswith("1.")


def test_wrappers_that_change_a_function():
    """A wrapper has the names and attributes of the function, but is another activation."""

    @functools.wraps(tf.nn.sigmoid)
    def twice(x):
        return 2 * tf.nn.sigmoid(x)

    functions = [twice, functools.partial(tf.nn.leaky_relu, alpha=0.1), tf.grad_pass_through(tf.nn.sigmoid)]
    functions.append(tf.nest.flatten)  # Its module has wrappers, but it is no wrapper.
    for function in functions:
        activation = activations.get(function, "", "")
        assert activation.function is function and not activations.is_named(activation)
