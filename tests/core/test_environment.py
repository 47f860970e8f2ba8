"""Dependencies of the package, and dependencies between its modules."""

import ast
import os
import re
import subprocess
import sys

import pytest

import stacked_lstm

PACKAGE = os.path.dirname(stacked_lstm.__file__)

# `import tf_keras` fails, so that Keras 3 is TensorFlow's Keras.
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


# Trains after each switch to graphs, in a fork, which is quicker than a process that imports TensorFlow again.
TRAIN_TWICE = f"""
import os
for switch in (tf.disable_v2_behavior, tf.disable_eager_execution):
    if os.fork() == 0:
        switch()
        exec({TRAIN!r})
        sys.exit()
    assert os.wait()[1] == 0
"""

IMPORT = """
import warnings
state = lambda: (list(warnings.filters), tf.executing_eagerly(), tf.control_flow_v2_enabled(),
    sorted(m for m in sys.modules if 'keras' in m and not m.startswith(('tensorflow', 'stacked_lstm'))))
before = state()
import stacked_lstm, stacked_lstm.parity; after = state()
from stacked_lstm.engines.native import library
print(before == after, library.OPS.is_decided)
"""


@pytest.fixture(scope="module")
def printed():
    """What a process with Keras 3 and without tf-keras prints: the words of both programs."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", PREAMBLE + TRAIN_TWICE + IMPORT]
    result = subprocess.run(command, capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().split()


def test_trains_with_keras_3_and_without_tf_keras(printed):
    assert printed[:-2] == ["trained", "trained"]


def test_importing_is_quiet(printed):
    """No output of our own, no warning filter changed, TensorFlow's behaviour as it was, nothing compiled or loaded.

    Nor a Keras, more than TensorFlow has loaded by itself.
    """
    assert printed[-2:] == ["True", "False"]


def test_no_keras_and_no_private_tensorflow_in_the_library():
    """`parity` is the one module that may name a private copy of the peer."""
    forbidden = re.compile(r"^\s*(import|from)\s+(keras|tf_keras|tensorflow\.python|tensorflow\.keras)|tf\.keras", re.M)
    for folder, _, files in os.walk(PACKAGE):
        for file in files:
            if file.endswith(".py"):
                with open(os.path.join(folder, file), encoding="utf-8") as source:
                    assert not forbidden.search(source.read()), file


# The modules of each folder, from the bottom up: a module imports modules before it, and folders before its own.
FLOORS = {
    "": "version missing_names state kernels checks layer_arrays log files compilation numpy_lstm layout_shapes layouts"
    " compat copies separate_ops custom_gradient graph_checks tensor_checks tf32 activations lstm initializers engines"
    " stack bidirectional sessions summaries rnn_cell contrib checkpoints runtime export parity commands",
    "files": "temporary_folders durable_files",
    "lstm": "normalization conditional_product dropout_masks equations layer layer_features",
    "sessions": "state_store fetch_structure session_callable",
    "stack": "first_build options weights initializer_table initial_state steps regularization inputs call variables"
    " graph stacked_lstm",
    "bidirectional": "directions variables graph bidirectional_lstm",
    "engines": "padding both_directions calls op_library recurrent_dropout place engine conditions segments residual"
    " graph second_derivatives cudnn native imported_ops mask_ops choice runs",
    "engines.graph": "loop_series group_layer loops tangent_loop loop_gradients recurrence engine",
    "engines.cudnn": "buffer group scope derivatives library tensorflow_op compiled_op engine __main__",
    "engines.native": "library ops random_masks engine __main__",
    "numpy_lstm": "checks activations head initial_state equations layer_options option_equations stack",
    "compilation": "compiler cache_folder library ahead_of_time",
    "runtime": "library weights predictor models __main__",
    "rnn_cell": "base cells wrappers loops cudnn",
    "rnn_cell.base": "replaced_methods layer_names variables variable_lists zero_states packed_states keras_layers"
    " cell_checks cell keras_names lstm_base one_state_base",
    "rnn_cell.cells": "block_ops basic_lstm_cell lstm_cell lstm_block_cell layer_norm_basic_lstm_cell"
    " coupled_input_forget_gate_lstm_cell basic_rnn_cell gru_cell nas_cell",
    "rnn_cell.wrappers": "configs multi_rnn_cell rows cell_wrapper dropout_states dropout_wrapper linear"
    " highway_wrapper input_output_wrappers attention_cell_wrapper",
    "rnn_cell.loops": "dispatch dense_checks engine_calls engines_used loop_calls dynamic_rnn step_lists static_rnn"
    " stacked_bidirectional decoder fused_cells",
    "rnn_cell.cudnn": "cudnn_parameters cudnn_saveable cudnn_layers cudnn_lstm",
    "export": "graph_nodes frozen_directions frozen_layers frozen inference_loop portable_masks portable"
    " frozen_graph_file saved_model_folder onnx_graph onnx_file tflite_file formats trial npz_conditions npz_variables"
    " npz_file writing",
    "contrib": "crf layers seq2seq legacy_seq2seq",
    "checkpoints": "safety layers initial_states stacks slots codec npz_files keras onnx state_dicts stack_archives"
    " tensorflow formats reading plans packed_layers new_files templates writing",
    "checkpoints.safety": "limits files child_process messages atomic_files",
    "checkpoints.keras": "keras_configs hdf5_files keras_files",
    "checkpoints.onnx": "onnx_graphs onnx_chains onnx_external_data onnx_initial_states onnx_models",
    "checkpoints.tensorflow": "cell_variables variables tensorflow_checkpoints",
    "commands": "output_files command choices charts series report conversion_report convert compare old_names"
    " new_imports python_syntax program_names old_program migrate",
    "parity": "problem network graph_network numpy_network tensorflow_rnn comparison measure",
}

# Modules that a part of the package must not import, wherever they are.
UNREACHED = {
    "engines": {"layouts", "initializers"},
    "compilation": {"compat"},
    "runtime": {"compat"},
    "numpy_lstm": {"compat"},
    "layout_shapes": {"compat"},
    "layouts": {"compat"},
    "checks": {"compat"},
}


def imports():
    """Name of each module, without that of the package -> names of the modules that it imports."""
    modules = {}
    for folder, _, files in os.walk(PACKAGE):
        for file in files:
            if file.endswith(".py"):
                path = os.path.relpath(os.path.join(folder, file), PACKAGE)[: -len(".py")].split(os.sep)
                modules[".".join(path)] = os.path.join(folder, file)
    found = {}
    for name, path in modules.items():
        with open(path, encoding="utf-8") as source:
            nodes = [node for node in ast.walk(ast.parse(source.read())) if isinstance(node, ast.ImportFrom)]
        found[name] = set()
        for node in nodes:
            if node.module.split(".")[0] == "stacked_lstm":
                parts = [".".join((node.module.split(".") + [alias.name])[1:]) for alias in node.names]
                packages = [name[: -len(".__init__")] for name in modules if name.endswith(".__init__")]
                found[name].update(p if p in modules or p in packages else p.rpartition(".")[0] for p in parts)
    return found


def test_arrows_run_one_way():
    """In each folder, no module imports one that comes later."""
    for name, others in imports().items():
        for other in others - {""}:  # The package itself offers modules from the top.
            ours, theirs = name.split("."), other.split(".")
            while len(ours) > 1 and len(theirs) > 1 and ours[0] == theirs[0]:
                ours, theirs = ours[1:], theirs[1:]
            folder = name.split(".")[: -len(ours)]
            order = FLOORS[".".join(folder)].split() + ["__init__"]
            assert order.index(theirs[0]) < order.index(ours[0]), (name, other)


def test_what_is_not_reached():
    found = imports()
    for name, others in found.items():
        part = name.split(".")[0]
        assert not UNREACHED.get(part, set()) & {other.split(".")[0] for other in others}, name
    reached, new = set(), {"numpy_lstm.__init__"}
    while new:
        reached |= new
        new = set().union(*[found[name] for name in new]) - reached
    assert reached - {"checks", "state"} == {name for name in found if name.startswith("numpy_lstm.")}
    for name in reached:
        with open(os.path.join(PACKAGE, *name.split(".")) + ".py", encoding="utf-8") as source:
            names = [
                n.name
                for node in ast.walk(ast.parse(source.read()))
                if isinstance(node, ast.Import)
                for n in node.names
            ]
        assert set(names) <= {"collections", "numbers", "numpy"}, name
