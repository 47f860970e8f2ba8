"""Exported files, run by programs in a process without this package; and networks to export."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.processes import exported_witness
from support.suite import sessions
from support.suite.versions import OLD

# Program -> (format, packages that it needs).
PROGRAMS = {
    "frozen_graph": ("frozen_graph", ()),
    "saved_model": ("saved_model", ()),
    "saved_model_eager": ("saved_model", ()),
    "onnxruntime": ("onnx", ("onnx", "tf2onnx", "onnxruntime")),
    "openvino": ("onnx", ("onnx", "tf2onnx", "onnxruntime", "openvino")),
    "litert": ("tflite", ("ai_edge_litert",)),
}
NAMES = {"frozen_graph": "model.pb", "saved_model": "model", "onnx": "model.onnx", "tflite": "model.tflite"}


def skip_if_missing(program):
    """Skips a test of a program that this environment does not have."""
    missing = [package for package in PROGRAMS[program][1] if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    if OLD and program == "saved_model_eager":
        pytest.skip("TensorFlow 1.15 loads SavedModels into sessions")


class Witness:
    """The program `exported_witness` in a process of its own, which stays for many files."""

    def __init__(self, folder, python=sys.executable):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._folder = folder
        self._process = subprocess.Popen(
            [python, exported_witness.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
        )

    def run(self, program, path, inputs, outputs):
        """Returns the results of a file as a dictionary from names to arrays."""
        request = {"program": program, "path": str(path), "outputs": list(outputs)}
        request.update((key, os.path.join(self._folder, key + ".npz")) for key in ("inputs", "results"))
        np.savez(request["inputs"], **inputs)
        self._process.stdin.write((json.dumps(request) + "\n").encode())
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer == "done", answer
        with np.load(request["results"]) as file:
            return {name: file[name] for name in file.files}

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def set_random(session, seed=3):
    """Gives all variables random values, also biases and peepholes."""
    random, variables = np.random.RandomState(seed), tf.global_variables()
    arrays = [0.5 * random.standard_normal(variable.shape.as_list()) for variable in variables]
    sessions.set_variables(session, variables, arrays)


def random_inputs(inputs, sizes, seed=5):
    """Random arrays for placeholders. `sizes` has those of the axes whose size is None: batch, and time.

    Lengths are those with the name "lengths": one is the number of steps, and one is 1.
    """
    random, (batch, time) = np.random.RandomState(seed), sizes
    arrays = {}
    for name, tensor in inputs.items():
        shape = [sizes[k] if size is None else size for k, size in enumerate(tensor.shape.as_list())]
        dtype = tensor.dtype.as_numpy_dtype
        if name == "lengths":
            arrays[name] = np.array(([time, 1] + list(random.randint(1, time, batch)))[:batch], dtype)
        elif tensor.dtype.is_integer:
            arrays[name] = random.randint(0, 7, shape).astype(dtype)
        else:
            arrays[name] = random.standard_normal(shape).astype(dtype)
    return arrays


def placeholders(width=3, has_lengths=True, dtype=tf.float32):
    inputs = {"x": tf.placeholder(dtype, [None, None, width])}
    if has_lengths:
        inputs["lengths"] = tf.placeholder(tf.int32, [None])
    return inputs


def stack(engine, initial_state="zeros", has_lengths=True, dtype=tf.float32, **arguments):
    """Three layers. Returns (inputs, outputs), as for `export.write`."""
    inputs = placeholders(has_lengths=has_lengths, dtype=dtype)
    lstm = stacked_lstm.StackedLSTM([5, 4, 2], initial_state=initial_state, engine=engine, dtype=dtype, **arguments)
    outputs, state = lstm(inputs["x"], inputs.get("lengths"))
    return inputs, {"outputs": outputs, "c": state[0].c, "h": state[2].h}


def titles(engine):
    """A network as for titles: words, two stacks with a function between them, classes."""
    inputs = {"ids": tf.placeholder(tf.int32, [None, None]), "lengths": tf.placeholder(tf.int32, [None])}
    x = tf.nn.embedding_lookup(tf.get_variable("words", [7, 3]), inputs["ids"])
    outputs, _ = stacked_lstm.StackedLSTM([5], engine=engine, name="first")(x, inputs["lengths"])
    middle = tf.nn.relu(outputs + 0.5)
    _, state = stacked_lstm.StackedLSTM([4, 2], initial_state="projected", engine=engine)(middle, inputs["lengths"])
    scores = tf.nn.softmax(tf.matmul(state[-1].h, tf.get_variable("dense", [2, 3])))
    keep = tf.placeholder_with_default(tf.constant(1.0), [])
    return inputs, {"scores": keep * scores, "class_": tf.argmax(scores, axis=-1)}


def cells(engine):
    inputs = placeholders()
    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(4), rnn_cell.BasicLSTMCell(2)])
    outputs, state = rnn_cell.dynamic_rnn(cell, inputs["x"], inputs["lengths"], dtype=tf.float32, engine=engine)
    return inputs, {"outputs": outputs, "c": state[0].c, "h": state[1].h}


def peepholes(engine):
    inputs = placeholders()
    cell = rnn_cell.LSTMCell(4, use_peepholes=True)
    outputs, state = rnn_cell.dynamic_rnn(cell, inputs["x"], inputs["lengths"], dtype=tf.float32, engine=engine)
    return inputs, {"outputs": outputs, "c": state.c, "h": state.h}


def projection(engine):
    inputs = placeholders()
    cell = rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=2, cell_clip=0.7, proj_clip=0.6)
    outputs, state = rnn_cell.dynamic_rnn(cell, inputs["x"], inputs["lengths"], dtype=tf.float32, engine=engine)
    both = stacked_lstm.BidirectionalLSTM([4], projection_size=2, peepholes=True, engine=engine)
    both_outputs, _ = both(inputs["x"], inputs["lengths"])
    return inputs, {"outputs": outputs, "c": state.c, "h": state.h, "both": both_outputs}


def both_directions(engine):
    inputs = placeholders()
    forward, backward = rnn_cell.BasicLSTMCell(4), rnn_cell.LSTMCell(3)
    outputs, states = rnn_cell.bidirectional_dynamic_rnn(
        forward, backward, inputs["x"], inputs["lengths"], dtype=tf.float32, engine=engine
    )
    fused = rnn_cell.TimeReversedFusedRNN(rnn_cell.LSTMBlockFusedCell(2))  # On the engine that "auto" selects.
    x = tf.transpose(inputs["x"], [1, 0, 2])
    series, state = fused(x, dtype=tf.float32, sequence_length=inputs["lengths"])
    results = {"forward": outputs[0], "backward": outputs[1], "h": states[1].h}
    return inputs, dict(results, fused=series, fused_c=state.c)


def bidirectional(engine):
    """Two stacks side by side, which are one op of `native`; above them bidirectional layers, one without lengths."""
    inputs = placeholders()
    lower = stacked_lstm.BidirectionalLSTM([4, 3], stacking="stacks", engine=engine, name="lower")
    outputs, _ = lower(inputs["x"], inputs["lengths"])
    forward, backward = stacked_lstm.BidirectionalLSTM([2], merge=None, engine=engine)(outputs, time_major=False)[0]
    middle = tf.concat([forward, backward], axis=2)  # If both layers read `outputs`, OpenVINO 2026.4.1 is wrong.
    _, (_, states) = stacked_lstm.BidirectionalLSTM([3, 2], engine=engine, name="upper")(middle, inputs["lengths"])
    return inputs, {"forward": forward, "backward": backward, "c": states[1].c}


def activations(engine):
    inputs = placeholders()
    lstm = stacked_lstm.StackedLSTM([4], activation="relu", recurrent_activation="hard_sigmoid", engine=engine)
    outputs, state = lstm(inputs["x"], inputs["lengths"])
    return inputs, {"outputs": outputs, "c": state[0].c}


def options(engine):
    """Options of StackedLSTM around and in the layers, as in inference."""
    inputs = placeholders()
    options = {"peepholes": True, "dropout": 0.5, "recurrent_dropout": 0.5, "residual": True}
    lstm = stacked_lstm.StackedLSTM([3, 3], initial_state="learned", engine=engine, **options)
    outputs, state = lstm(inputs["x"], inputs["lengths"], training=False)
    return inputs, {"outputs": outputs, "c": state[0].c, "h": state[1].h}


def normalization(engine):
    """Both kinds of layer normalization, and zoneout as in inference."""
    inputs = placeholders()
    options = {"layer_norm": [True, "tensorflow"], "zoneout_c": [0.2, 0.0], "zoneout_h": [0.1, 0.3]}
    lstm = stacked_lstm.StackedLSTM([4, 4], engine=engine, **options)
    outputs, state = lstm(inputs["x"], inputs["lengths"])
    both = stacked_lstm.BidirectionalLSTM([3], layer_norm=True, peepholes=True, engine=engine)
    both_outputs, _ = both(outputs, inputs["lengths"])
    cell = rnn_cell.LayerNormBasicLSTMCell(3)
    _, last = rnn_cell.dynamic_rnn(cell, both_outputs, inputs["lengths"], dtype=tf.float32, engine=engine)
    return inputs, {"outputs": outputs, "c": state[0].c, "last": last.h}


def masks(engine):
    """A network with dropout that a seed decides, and one with dropout whose probability is 1 by default."""
    inputs = placeholders()
    seed = tf.placeholder_with_default(tf.constant(7), [])
    lstm = stacked_lstm.StackedLSTM([5, 4], dropout=0.3, output_dropout=0.4, seed=seed, engine=engine)
    outputs, state = lstm(inputs["x"], inputs["lengths"], training=True)
    keep = tf.placeholder_with_default(tf.constant(1.0), [])
    cell = rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), keep, keep)
    others, _ = rnn_cell.dynamic_rnn(cell, outputs, inputs["lengths"], dtype=tf.float32, engine=engine)
    return inputs, {"outputs": outputs, "c": state[0].c, "others": others}


def without_bias(engine):
    inputs = placeholders(has_lengths=False)
    outputs, state = stacked_lstm.StackedLSTM([4, 3], use_bias=False, engine=engine)(inputs["x"], time_major=True)
    return inputs, {"outputs": outputs, "c": state[0].c}


@contextlib.contextmanager
def witness_in(folder):
    """Starts a `Witness` for the block."""
    witness = Witness(str(folder))
    try:
        yield witness
    finally:
        witness.close()
