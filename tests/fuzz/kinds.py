"""What the fuzzer tries: a table of kinds of cases. Each is a function of a seed that returns or raises.

A case passes if it returns "read" or the like, or if it raises one of the errors that are documented.
"""

import functools
import glob
import os
import random
import shutil
from typing import Callable, NamedTuple

import mutations
import numpy as np

from stacked_lstm import StackedLSTM, checkpoints, numpy_lstm, runtime
from stacked_lstm.compat import tf
from stacked_lstm.parity.measure import TOLERANCES
from support.engines import native_ops
from support.networks import random_networks
from support.references import numeric
from support.suite.paths import GOLDEN

UNDERFLOW = 1e-30  # Smaller numbers lose bits in float32.
STARTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "starts")  # Files that golden/ does not have.


class Kind(NamedTuple):
    """A kind of cases.

    Fields:
      run: (seed, folder): runs the case, with files in the folder; returns a word for what happened.
      is_clean: error: whether it is one that the documentation names.
      can_die: whether the process may end or run out of time. That is so for files whose readers are documented as
        unsafe, which `trusted=False` is for.
    """

    run: Callable[[int, str], str]
    is_clean: Callable[[BaseException], bool]
    can_die: bool = False


def golden_files(suffix):
    """The files of other libraries with a suffix; for a checkpoint its index."""
    names = sorted(glob.glob(os.path.join(GOLDEN, "*", "*" + suffix)))
    results = {"network", "cells", "loops", "losses", "tagging", "program", "block_cells", "contrib_cells"}
    return [name for name in names if os.path.basename(name).rpartition(".")[0] not in results or suffix != ".npz"]


def read_file(suffix, seed, folder):
    """Mutates a golden file and reads it; sometimes also as a template."""
    source = random.Random(seed)
    name = source.choice(golden_files(suffix))
    path = os.path.join(folder, "model" + suffix)
    with open(name, "rb") as file:
        data = mutations.mutate(file.read(), suffix, source)
    with open(path, "wb") as file:
        file.write(data)
    return read(path, source)


def read_checkpoint(seed, folder):
    """Mutates the index or the data of a golden TensorFlow checkpoint and reads it."""
    source = random.Random(seed)
    index = source.choice(golden_files(".ckpt.index"))
    path = os.path.join(folder, "model.ckpt")
    for end in (".index", ".data-00000-of-00001"):
        shutil.copy(index[: -len(".index")] + end, path + end)
    kind, end = (".data", ".data-00000-of-00001") if source.random() < 0.05 else (".index", ".index")
    with open(path + end, "rb") as file:
        data = mutations.mutate(file.read(), kind, source)
    with open(path + end, "wb") as file:
        file.write(data)
    return read(path, source)


def read_version_1(seed, folder):
    """Mutates a checkpoint of version 1, which is one table, and reads it."""
    source, path = random.Random(seed), os.path.join(folder, "model.ckpt")
    with open(os.path.join(STARTS, "version_1.ckpt"), "rb") as file:
        data = mutations.mutate(file.read(), ".index", source)
    with open(path, "wb") as file:
        file.write(data)
    return read(path, source)


def load_model(seed, folder):
    """Mutates a model of `runtime.save`, loads it and computes with it."""
    source, path = random.Random(seed), os.path.join(folder, "model.npz")
    sizes = [source.choice([1, 3, 8]) for _ in range(source.choice([1, 2]))]
    numbers = np.random.RandomState(seed % 2**32)
    layers = random_networks.random_layers(numbers, sizes, 3, use_bias=source.random() < 0.5)
    learned = [{"c": numbers.standard_normal([size]), "h": numbers.standard_normal([size])} for size in sizes]
    runtime.save(path, layers, learned if source.random() < 0.5 else ())
    with open(path, "rb") as file:
        data = mutations.mutate(file.read(), ".npz", source)
    with open(path, "wb") as file:
        file.write(data)
    predictor = runtime.load(path, dtype=source.choice(["float32", "float64"]), threads=1)
    predictor(np.zeros([2, 3, predictor.input_size]))
    return "computed"


def hostile_prediction(seed, folder):
    """Calls a predictor with arrays. Some have wrong shapes or numbers."""
    source, numbers = random.Random(seed), np.random.RandomState(seed % 2**32)
    sizes, dtype = [source.choice([1, 3, 8, 17]) for _ in range(source.choice([1, 2, 3]))], source.choice(["f4", "f8"])
    T, B, I = source.choice([0, 1, 5]), source.choice([0, 1, 3]), source.choice([1, 4])  # noqa: E741
    layers = random_networks.random_layers(numbers, sizes, I, use_bias=source.random() < 0.5)
    if source.random() < 0.3:
        layer = source.choice(layers)
        name = source.choice(sorted(layer))
        layer[name] = hostile_array(layer[name], source)
    predictor = runtime.Predictor(layers, dtype=np.dtype(dtype).name, threads=source.choice([1, 2]))
    arrays = {
        "inputs": numbers.standard_normal([B, T, I]),
        "sequence_length": numbers.randint(0, T + 1, [B]),
        "initial_state": numbers.standard_normal([len(sizes), 2, B, source.choice(sizes)]),
    }
    for name in source.sample(sorted(arrays), source.choice([0, 1, 2])):
        arrays[name] = hostile_array(arrays[name], source)
    for name in ("sequence_length", "initial_state"):
        if source.random() < 0.4:
            del arrays[name]
    predictor(arrays.pop("inputs"), time_major=source.random() < 0.5, **arrays)
    return "computed"


def read(path, source):
    """Reads a file that may be hostile, in this process."""
    names = source.choice([None, ".*"])
    layers = checkpoints.read(path, names=names).layers
    if source.random() < 0.5:
        checkpoints.plan(path, [layer.weights for layer in layers], template=path, template_names=names)
    return "read"


def is_clean_for_files(error):
    """Whether an error is one that `read` documents, in one line."""
    text = str(error)
    starts = ("checkpoints.read: expected ", "checkpoints.write: expected ", "layouts.", "runtime.")
    return isinstance(error, ValueError) and text.startswith(starts) and "MemoryError" not in text


@functools.lru_cache(maxsize=None)
def native_layer(number):
    """A layer of native ops of the configuration `number`, and a session."""
    source = random.Random(number)
    dtype = source.choice(["float32", "float64"])
    with tf.Graph().as_default() as graph:
        layer = native_ops.build(
            dtype,
            biases=source.random() < 0.7,
            lengths=source.random() < 0.7,
            layers=source.choice([1, 1, 2, 3]),
        )
    return layer, dtype, tf.Session(graph=graph)


def hostile_op(seed, folder):
    """Calls the native ops forward and backward with arrays. Some have wrong shapes or numbers."""
    source = random.Random(seed)
    layer, dtype, session = native_layer(seed // 50)
    numbers = native_ops.random_values(
        seed % 2**32,
        source.choice([0, 1, 2, 5]),
        source.choice([0, 1, 3, 16]),
        source.choice([0, 1, 3, 17]),
        [source.choice([1, 2, 8, 16, 18]) for _ in range(sum(name.split("_")[0] == "c" for name in layer.feeds))],
    )
    for name in source.sample(sorted(layer.feeds), source.choice([0, 1, 1, 2])):
        numbers[name] = hostile_array(numbers[name], source)
    feeds = {
        tensor: np.asarray(numbers[name], np.int32 if name == "lengths" else dtype)
        for name, tensor in layer.feeds.items()
    }
    session.run(layer.results, feeds)
    return "computed"


def hostile_array(array, source):
    action = source.randrange(6)
    if action == 0:
        return array[..., None]
    if action == 1:
        return array.ravel()[:1].reshape([]) if array.size else np.zeros([])
    if action == 2 and array.ndim:
        axis = source.randrange(array.ndim)
        return np.repeat(array, source.choice([0, 2, 3]), axis=axis)
    if action == 3 and array.ndim:
        return array[:-1]
    if action == 4 and array.ndim > 1:
        return array.T
    return np.full_like(array, source.choice([-1, 2**31 - 1, -(2**31), 7, np.nan if array.dtype.kind == "f" else 0]))


def is_clean_for_ops(error):
    return isinstance(error, (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError))


def random_network(seed, folder):
    """A random stack on each engine: outputs, states and gradients are those of NumPy."""
    source, numbers = random.Random(seed), np.random.RandomState(seed % 2**32)
    dtype = source.choice(["float64", "float64", "float32"])
    T, B, I = source.choice([1, 2, 7, 20]), source.choice([1, 2, 5, 17]), source.choice([1, 3, 16])  # noqa: E741
    sizes = [source.choice([1, 2, 8, 17, 33]) for _ in range(source.choice([1, 1, 2, 3]))]
    lengths = numbers.randint(0, T + 1, [B]) if source.random() < 0.5 else None
    activations = {
        "activation": source.choice(["tanh", "relu", "sigmoid", "linear"]),
        "recurrent_activation": source.choice(["sigmoid", "hard_sigmoid", "tanh"]),
    }
    time_major = source.random() < 0.5
    x = numbers.standard_normal([T, B, I]) * source.choice([0.1, 1.0, 5.0])
    for engine in ("graph", "native"):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(seed % 2**31)
            lstm = StackedLSTM(sizes, engine=engine, dtype=dtype, use_bias=source.random() < 0.7, **activations)
            inputs = tf.constant(x if time_major else x.transpose(1, 0, 2), dtype)
            outputs, state = lstm(inputs, sequence_length=lengths, time_major=time_major)
            scales = numbers.standard_normal([T, B, sizes[-1]])
            loss = tf.reduce_sum(outputs * tf.constant(scales if time_major else scales.transpose(1, 0, 2), dtype))
            gradient = tf.gradients(loss, inputs)[0]
            session.run(tf.global_variables_initializer())
            weights = lstm.get_weights(session).layers
            actual = dict(zip(["outputs", "x", "c", "h"], session.run([outputs, gradient, state[-1].c, state[-1].h])))
        expected = {}
        forward, states, cache = numpy_lstm.forward(weights, x.astype(dtype), None, lengths, **activations)
        zeros = [(np.zeros([B, size]), np.zeros([B, size])) for size in sizes]
        backward = numpy_lstm.backward(scales.astype(dtype), zeros, cache)["x"]
        for name, array in [("outputs", forward), ("x", backward)]:
            expected[name] = array if time_major else array.transpose(1, 0, 2)
        expected.update(c=states[-1].c, h=states[-1].h)
        for arrays in (actual, expected):
            for name, array in arrays.items():
                arrays[name] = np.where(np.abs(array) < UNDERFLOW, 0, array)
        numeric.check_same(actual, expected, 10 * TOLERANCES[dtype])
    return "equal"


def no_error(error):
    return False


KINDS = {
    "npz": Kind(functools.partial(read_file, ".npz"), is_clean_for_files),
    "safetensors": Kind(functools.partial(read_file, ".safetensors"), is_clean_for_files),
    "onnx": Kind(functools.partial(read_file, ".onnx"), is_clean_for_files),
    "h5": Kind(functools.partial(read_file, ".h5"), is_clean_for_files, can_die=True),
    "keras": Kind(functools.partial(read_file, ".keras"), is_clean_for_files, can_die=True),
    "checkpoint": Kind(read_checkpoint, is_clean_for_files, can_die=True),
    "version_1": Kind(read_version_1, is_clean_for_files, can_die=True),
    "models": Kind(load_model, is_clean_for_files),
    "predictions": Kind(hostile_prediction, is_clean_for_files),
    "ops": Kind(hostile_op, is_clean_for_ops),
    "networks": Kind(random_network, no_error),
}
