"""Writes the golden files of TensorFlow 1.15, in tensorflow_1_15/.

Python 3.7, pip install "tensorflow==1.15.5" "protobuf<3.21" "numpy<1.19" "h5py<3"
"""

import types

import numpy as np
import tensorflow.compat.v1 as tf

from golden import cells, loops, losses, tagging
from golden.files import BATCH, INPUT, TIME, UNITS, numbered, path, random_state
from support.processes import legacy_program


def tensorflow_1_15():
    """Writes cells.ckpt.* and cells.npz with every case of cells.py."""
    write("cells", networks_of(cells.CASES, tf.nn.rnn_cell))


def block_cells():
    """Writes block_cells.ckpt.* and block_cells.npz with every case of BLOCK_CASES."""
    write("block_cells", networks_of(cells.BLOCK_CASES, contrib()))


def contrib_cells():
    """Writes contrib_cells.ckpt.* and contrib_cells.npz with every case of CONTRIB_CASES."""
    write("contrib_cells", networks_of(cells.CONTRIB_CASES, contrib()))


def contrib():
    """The cells of tf.contrib in one module."""
    import tensorflow  # tensorflow.compat.v1 has no contrib.

    names = [name for name in dir(tensorflow.contrib.rnn) if name[0].isupper()]
    module = types.SimpleNamespace(**{name: getattr(tensorflow.contrib.rnn, name) for name in names})
    module.CudnnCompatibleLSTMCell = tensorflow.contrib.cudnn_rnn.CudnnCompatibleLSTMCell
    return module


def unrolled_loops():
    """Writes loops.ckpt.* and loops.npz with every case of loops.py."""
    import tensorflow  # tensorflow.compat.v1 has no contrib.

    functions = {name: getattr(tensorflow.contrib.rnn, name) for name in loops.FUNCTIONS if name != "rnn_decoder"}
    functions["rnn_decoder"] = tensorflow.contrib.legacy_seq2seq.rnn_decoder
    write("loops", {name: loops.build(name, tf.nn.rnn_cell, functions) for name in loops.CASES})


def sequence_losses():
    """Writes losses.npz with every case of losses.py, by `<case>/loss` and `<case>/gradient`."""
    import tensorflow  # tensorflow.compat.v1 has no contrib.

    modules = {name: getattr(tensorflow.contrib, name) for name in ("seq2seq", "legacy_seq2seq")}
    archive = {}
    with tf.Session() as session:
        for name in losses.CASES:
            arrays = session.run(losses.build(name, modules))
            archive.update({f"{name}/{key}": array for key, array in zip(("loss", "gradient"), arrays)})
    np.savez_compressed(path("tensorflow_1_15", "losses.npz"), **archive)


def tagging_functions():
    """Writes tagging.npz with every tensor of tagging.py."""
    import tensorflow  # tensorflow.compat.v1 has no contrib.

    tensors = tagging.build(tensorflow.contrib.crf, tensorflow.contrib.layers)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        archive = session.run(tensors)
    np.savez_compressed(path("tensorflow_1_15", "tagging.npz"), **archive)


def networks_of(names, rnn_cell):
    return {name: cells.build(name, rnn_cell, tf.nn.dynamic_rnn, tf.nn.bidirectional_dynamic_rnn) for name in names}


def write(target, networks):
    """Writes one checkpoint with the variables of all networks, and an archive with their arrays by `<name>/<key>`."""
    archive = {}
    with tf.Session() as session:
        for name, network in networks.items():
            random = random_state(name)
            for variable in network.variables:
                variable.load(0.5 * random.randn(*variable.shape.as_list()), session)
            inputs = {
                key: random.randn(*tensor.shape.as_list()).astype(tensor.dtype.as_numpy_dtype)
                for key, tensor in network.placeholders.items()
            }
            if network.placeholders["inputs"].dtype.is_integer:
                inputs["inputs"] = random.randint(cells.case_of(name).classes, size=inputs["inputs"].shape)
            if "sequence_length" in inputs:
                inputs["sequence_length"] = np.array(cells.LENGTHS, np.int32)
            results = session.run(network.results, {network.placeholders[key]: inputs[key] for key in inputs})
            archive.update({f"{name}/{key}": array for key, array in dict(inputs, **results).items()})
        target = path("tensorflow_1_15", target)
        tf.train.Saver().save(session, target + ".ckpt", write_meta_graph=False, write_state=False)
    np.savez_compressed(target + ".npz", **archive)


def program():
    """Runs tests/support/processes/legacy_program.py and writes program.ckpt.* and program.npz.

    The archive has what `legacy_program.run` returns: by `first/<key>` for the 50 steps before the checkpoint, and by
    `next/<key>` for 10 steps after it in a new session.
    """
    checkpoint = path("tensorflow_1_15", "program.ckpt")
    archive = {}
    for part, steps, files in (("first", 50, {"save_to": checkpoint}), ("next", 10, {"restore_from": checkpoint})):
        costs = legacy_program.run(tf.nn.rnn_cell, tf.nn.dynamic_rnn, steps, **files)
        archive.update({f"{part}/{key}": array for key, array in costs.items()})
    np.savez_compressed(path("tensorflow_1_15", "program.npz"), **archive)


def cudnn_lstm():
    """Writes a whole model of CuDNNLSTM layers of Keras, cudnn_lstm.h5, and cudnn_lstm.npz.

    A CPU can make and save these layers, but it cannot run them. The outputs are those of LSTM layers that load the
    file; Keras converts the weights. The archive has inputs, outputs, the arrays of each layer by `<layer>/weights/0`
    and so on, and those of the converted layer by `<layer>/converted/0` and so on.
    """
    keras = tf.keras
    tf.enable_eager_execution()  # A session looks for a kernel of CuDNNLSTM even if it does not run it.

    def model_of(kind, **options):
        keras.backend.clear_session()
        layers = [kind(units, return_sequences=True, **options) for units in UNITS]
        return keras.Sequential([keras.layers.InputLayer((TIME, INPUT))] + layers)

    random, target = random_state("cudnn_lstm"), path("tensorflow_1_15", "cudnn_lstm")
    source = model_of(keras.layers.CuDNNLSTM)
    source.set_weights([0.5 * random.randn(*array.shape) for array in source.get_weights()])
    source.save(target + ".h5")
    archive = {"inputs": random.randn(BATCH, TIME, INPUT).astype(np.float32)}
    names = [layer.name for layer in source.layers]
    arrays = [layer.get_weights() for layer in source.layers]
    converted = model_of(keras.layers.LSTM, recurrent_activation="sigmoid")
    converted.load_weights(target + ".h5")
    archive["outputs"] = converted.predict(archive["inputs"])
    for name, kept, layer in zip(names, arrays, converted.layers):
        archive.update(numbered(name + "/weights", kept))
        archive.update(numbered(name + "/converted", layer.get_weights()))
    np.savez_compressed(target + ".npz", **archive)


def other_cells():
    """Writes other_cells.ckpt.*: cells that are no plain LSTM, and plain ones in wrappers, each in a scope."""
    from tensorflow.contrib import rnn, seq2seq

    cell = tf.nn.rnn_cell
    inputs = tf.zeros([BATCH, TIME, 3])
    attention = seq2seq.BahdanauAttention(4, inputs)
    networks = {
        "layer_norm": rnn.LayerNormBasicLSTMCell(4),
        "coupled": rnn.CoupledInputForgetGateLSTMCell(4),
        "gru": cell.GRUCell(4),
        "basic_rnn": cell.BasicRNNCell(4),
        "nas": rnn.NASCell(4),
        "ugrnn": rnn.UGRNNCell(4),
        "attention": rnn.AttentionCellWrapper(cell.BasicLSTMCell(4), 3, state_is_tuple=True),
        "seq2seq": seq2seq.AttentionWrapper(cell.BasicLSTMCell(4), attention, attention_layer_size=3),
        "output": rnn.OutputProjectionWrapper(cell.LSTMCell(4), 2),
        "input": rnn.InputProjectionWrapper(cell.LSTMCell(4), 2),
        "highway": rnn.HighwayWrapper(cell.BasicLSTMCell(3)),
        "dropout": cell.DropoutWrapper(cell.BasicLSTMCell(3)),
        "mixed": cell.MultiRNNCell([cell.BasicLSTMCell(4), cell.GRUCell(4)]),
        "mixed_layer_norm": cell.MultiRNNCell([cell.BasicLSTMCell(4), rnn.LayerNormBasicLSTMCell(4)]),
    }
    for name, network in networks.items():
        with tf.variable_scope(name):
            tf.nn.dynamic_rnn(network, inputs, dtype=tf.float32)
    random = random_state("other_cells")
    with tf.Session() as session:
        for variable in tf.global_variables():
            variable.load(random.randn(*variable.shape.as_list()), session)
        target = path("tensorflow_1_15", "other_cells.ckpt")
        tf.train.Saver().save(session, target, write_meta_graph=False, write_state=False)
