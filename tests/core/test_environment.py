"""What the package needs, and what it must not touch."""

import os
import re
import subprocess
import sys

import pytest

import stacked_lstm

PACKAGE = os.path.dirname(stacked_lstm.__file__)

# Makes `import tf_keras` fail, and Keras 3 the Keras that TensorFlow has.
PREAMBLE = """
import sys
sys.modules["tf_keras"] = None
import numpy as np
import tensorflow.compat.v1 as tf
"""

TRAIN = """
import stacked_lstm
x = tf.placeholder(tf.float32, [None, None, 2])
outputs, state = stacked_lstm.StackedLSTM([8])(x)
loss = tf.reduce_mean(tf.square(tf.reduce_sum(state[-1].h, axis=1) - x[:, -1, 0]))
step = tf.train.AdamOptimizer(0.01).minimize(loss)
batch = np.random.RandomState(0).standard_normal([16, 5, 2])
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    losses = [session.run([loss, step], {x: batch})[0] for _ in range(60)]
assert losses[-1] < 0.5 * losses[0], losses
print("trained")
"""


def run(program):
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    result = subprocess.run([sys.executable, "-c", PREAMBLE + program], capture_output=True, env=environment)
    return result.stdout.decode().split(), result.stderr.decode()


@pytest.mark.parametrize("switch", ["disable_v2_behavior", "disable_eager_execution"])
def test_trains_with_keras_3_and_without_tf_keras(switch):
    program = "tf.%s()\n%s" % (switch, TRAIN)
    printed, errors = run(program)
    assert printed == ["trained"], errors


def test_importing_is_quiet():
    """No output of our own, no warning filter changed, TensorFlow's behaviour as it was, nothing compiled or loaded.

    Nor a Keras, more than TensorFlow has loaded by itself.
    """
    program = (
        "import warnings\n"
        "state = lambda: (list(warnings.filters), tf.executing_eagerly(), tf.control_flow_v2_enabled(),\n"
        "    sorted(m for m in sys.modules if 'keras' in m and not m.startswith(('tensorflow', 'stacked_lstm'))))\n"
        "before = state()\n"
        "import stacked_lstm, stacked_lstm.parity; after = state()\n"
        "from stacked_lstm.engines.native import library\n"
        "print(before == after, library._loaded)"
    )
    assert run(program)[0] == ["True", "{}"]


def test_no_keras_and_no_private_tensorflow_in_the_library():
    """`parity` is the one module that may name a private copy of the peer."""
    forbidden = re.compile(r"^\s*(import|from)\s+(keras|tf_keras|tensorflow\.python|tensorflow\.keras)|tf\.keras", re.M)
    for folder, _, files in os.walk(PACKAGE):
        for file in files:
            if file.endswith(".py"):
                with open(os.path.join(folder, file), encoding="utf-8") as source:
                    assert not forbidden.search(source.read()), file


def test_arrows_run_one_way():
    """Lower modules do not import upper ones."""
    order = ["version", "compat", "checks", "tf32", "state", "numpy_checks", "numpy_lstm", "layouts", "activations",
             "equations", "weights", "initializers", "initial_state", "engines", "stack", "rnn_cell", "checkpoints",
             "parity"]  # fmt: skip
    for folder, _, files in os.walk(PACKAGE):
        for file in files:
            name = os.path.relpath(os.path.join(folder, file), PACKAGE)[:-3].split(os.sep)[0]
            if not file.endswith(".py") or name == "__init__":
                continue
            with open(os.path.join(folder, file), encoding="utf-8") as source:
                text = source.read()
            imported = re.findall(r"from stacked_lstm\.(\w+)", text)
            for group in re.findall(r"from stacked_lstm import (.+)", text):
                imported += [name.split(" as ")[0] for name in group.split(", ")]
            for other in imported:
                assert order.index(other) < order.index(name) or other == name, (file, other)
