"""Networks of TensorFlow 1's cells. TensorFlow 1.15 computed golden numbers with them; tests compare with these.

`build` makes the network of a case from any module that has the cells of `tf.nn.rnn_cell`. The name of the case is the
outermost scope of the variables, e.g. `basic_lstm/rnn/basic_lstm_cell/kernel`. In a test:

    network = cells.build(name, rnn_cell, rnn_cell.dynamic_rnn, rnn_cell.bidirectional_dynamic_rnn)
    golden = cells.arrays_of(np.load("tests/golden/tensorflow_1_15/cells.npz"), name)
    tf.train.Saver(network.variables).restore(session, "tests/golden/tensorflow_1_15/cells.ckpt")
    found = session.run(network.results, {network.placeholders[key]: golden[key] for key in network.placeholders})

For every key, found[key] should equal golden[key]. Use a fresh session, because a second run draws new dropout masks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from golden.cases import BATCH, BLOCK_CASES, CASES, INPUT, LENGTHS, TIME
from golden.contrib_cases import CONTRIB_CASES

__all__ = ["BLOCK_CASES", "CASES", "CONTRIB_CASES", "LENGTHS", "Network", "arrays_of", "build", "case_of"]

SEED = 7  # The graph's seed. Dropout has its own seeds, because masks would depend on the number of ops before it.


class Network(NamedTuple):
    """A case's network in a graph.

    Fields:
      placeholders: name -> placeholder: inputs, sequence_length, initial_state/0 and so on (the leaves of the
        structure, in order), and the gradients of a loss with respect to the results: d_outputs, d_state/0 and so on.
      results: name -> tensor: outputs (both directions side by side), state/0 and so on, and that loss's
        other gradients: gradient/inputs, gradient/initial_state/0 and so on, and gradient/<name in the scope>.
      variables: list of the variables, for a `tf.train.Saver`.
    """

    placeholders: dict[str, Any]
    results: dict[str, Any]
    variables: list[Any]


def case_of(name):
    """The `Case` of a name in any of the tables."""
    return dict(CASES, **BLOCK_CASES, **CONTRIB_CASES)[name]


def build(name, rnn_cell, dynamic_rnn, bidirectional_dynamic_rnn):
    """Adds a case's network to the default graph.

    Args:
      name: a name of one of the tables, and the scope of the variables.
      rnn_cell: the module of cells.
      dynamic_rnn, bidirectional_dynamic_rnn: functions with the arguments of TensorFlow's.

    Returns:
      A `Network`.
    """
    case = case_of(name)
    tf.set_random_seed(SEED)
    placeholders = {}

    def placeholder(key, shape, dtype=case.dtype):
        placeholders[key] = tf.placeholder(dtype, shape)
        return placeholders[key]

    axes = [TIME, BATCH] if case.time_major or case.fused else [BATCH, TIME]
    inputs = placeholder("inputs", axes + ([1] if case.classes else [INPUT]), "int32" if case.classes else case.dtype)
    options = {"dtype": tf.as_dtype(case.dtype)}
    if not case.fused:
        options.update(time_major=case.time_major, parallel_iterations=1)  # Masks are drawn in order.
    if case.lengths:
        options["sequence_length"] = placeholder("sequence_length", [BATCH], tf.int32)
    with tf.variable_scope(name):
        directions = [make(rnn_cell) for make in (case.cell, case.backward) if make]
        if case.initial_state:
            sizes = [(cell.num_units,) * 2 if case.fused else cell.state_size for cell in directions]
            leaves = [placeholder(f"initial_state/{k}", [BATCH, n]) for k, n in enumerate(tf.nest.flatten(sizes))]
            starts = tf.nest.pack_sequence_as(sizes, leaves)
            options.update(
                zip(["initial_state_fw", "initial_state_bw"] if case.backward else ["initial_state"], starts)
            )
        if case.backward:
            outputs, state = bidirectional_dynamic_rnn(*directions, inputs=inputs, **options)
            outputs = tf.concat(outputs, 2)
        elif case.fused:
            outputs, state = directions[0](inputs, **options)
        else:
            outputs, state = dynamic_rnn(*directions, inputs=inputs, **options)
    variables = tf.global_variables(name + "/")
    sources = {key: tensor for key, tensor in placeholders.items() if tensor.dtype.is_floating}
    sources.update({variable.op.name[len(name) + 1 :]: variable for variable in variables})
    results = {"outputs": outputs}
    results.update({f"state/{k}": leaf for k, leaf in enumerate(tf.nest.flatten(state))})
    output_gradients = [placeholder("d_" + key, _shape(tensor)) for key, tensor in results.items()]
    gradients = tf.gradients(list(results.values()), list(sources.values()), output_gradients)
    results.update({"gradient/" + key: tf.convert_to_tensor(d) for key, d in zip(sources, gradients) if d is not None})
    return Network(placeholders, results, variables)


def _shape(tensor):
    """The shape of a result as a list; only the batch may be unknown to TensorFlow."""
    return [BATCH if size is None else size for size in tensor.shape.as_list()]


def arrays_of(archive, name):
    """key -> array of one case, from an archive of `np.load` with the keys `<case>/<key>`."""
    return {key[len(name) + 1 :]: archive[key] for key in archive.files if key.startswith(name + "/")}
