"""Networks of TensorFlow 1's unrolled loops and stacks of two directions. TensorFlow 1.15 computed golden numbers.

`build` makes the network of a case from a module of cells and a table of functions. The name of the case is the
outermost scope of the variables. A test does with loops.npz and loops.ckpt what the docstring of `cells` says.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import tensorflow.compat.v1 as tf

from golden.cases import BATCH, INPUT, LENGTHS, TIME
from golden.cells import SEED, Network
from golden.user_cells import cell_with_call

__all__ = ["CASES", "FUNCTIONS", "LENGTHS", "build"]

FUNCTIONS = (
    "static_rnn",
    "static_bidirectional_rnn",
    "stack_bidirectional_rnn",
    "stack_bidirectional_dynamic_rnn",
    "rnn_decoder",
)


class Case(NamedTuple):
    """One network.

    Fields:
      function: a name of `FUNCTIONS`.
      cells: function from a module of cells to the function's arguments that are cells, or lists of cells.
      dtype: dtype of inputs, variables and outputs.
      lengths: whether the sequences have the lengths `LENGTHS`; otherwise all have TIME steps.
      initial_state: whether the network gets an initial state; otherwise it starts from zeros.
      options: further arguments of the function.
    """

    function: str
    cells: Callable[[Any], list[Any]]
    dtype: str = "float32"
    lengths: bool = True
    initial_state: bool = False
    options: dict[str, Any] = {}


def _stacks(rnn):
    return [
        [rnn.LSTMCell(4), rnn.MultiRNNCell([rnn.BasicLSTMCell(2), rnn.LSTMCell(5)])],
        [rnn.BasicLSTMCell(5), rnn.LSTMCell(2)],
    ]


def _next_input(output, step):
    return step * tf.sin(output)


_DECODER = {"lengths": False, "initial_state": True}

CASES = {
    "static": Case("static_rnn", lambda rnn: [rnn.BasicLSTMCell(4)]),
    "static_no_lengths": Case("static_rnn", lambda rnn: [rnn.LSTMCell(4)], lengths=False),
    "static_initial_state": Case("static_rnn", lambda rnn: [rnn.LSTMCell(4)], initial_state=True),
    "static_float64": Case("static_rnn", lambda rnn: [rnn.BasicLSTMCell(4)], "float64"),
    "static_scope": Case("static_rnn", lambda rnn: [rnn.LSTMCell(4)], options={"scope": "encoder"}),
    "static_peepholes": Case("static_rnn", lambda rnn: [rnn.LSTMCell(4, use_peepholes=True, num_proj=2)]),
    "static_multi": Case("static_rnn", lambda rnn: [rnn.MultiRNNCell([rnn.LSTMCell(4), rnn.BasicLSTMCell(5)])]),
    "static_user_cell": Case("static_rnn", lambda rnn: [cell_with_call(rnn, 4)], initial_state=True),
    "static_dropout": Case(
        "static_rnn", lambda rnn: [rnn.DropoutWrapper(rnn.LSTMCell(4), output_keep_prob=0.6, seed=11)]
    ),
    "static_both": Case("static_bidirectional_rnn", lambda rnn: [rnn.BasicLSTMCell(4), rnn.LSTMCell(5)]),
    "static_both_no_lengths": Case(
        "static_bidirectional_rnn", lambda rnn: [rnn.LSTMCell(4), rnn.LSTMCell(4)], lengths=False, initial_state=True
    ),
    "static_both_user_cell": Case(
        "static_bidirectional_rnn", lambda rnn: [rnn.BasicLSTMCell(4), cell_with_call(rnn, 5)]
    ),
    "stack": Case("stack_bidirectional_rnn", _stacks, initial_state=True),
    "stack_no_lengths": Case("stack_bidirectional_rnn", _stacks, lengths=False),
    "stack_dynamic": Case("stack_bidirectional_dynamic_rnn", _stacks, initial_state=True),
    "stack_dynamic_scope": Case(
        "stack_bidirectional_dynamic_rnn", _stacks, lengths=False, options={"scope": "tagger", "time_major": True}
    ),
    "decoder": Case("rnn_decoder", lambda rnn: [rnn.MultiRNNCell([rnn.LSTMCell(n) for n in (4, 5)])], **_DECODER),
    "decoder_user_cell": Case("rnn_decoder", lambda rnn: [cell_with_call(rnn, 4)], **_DECODER),
    "decoder_loop": Case(
        "rnn_decoder", lambda rnn: [rnn.LSTMCell(INPUT)], options={"loop_function": _next_input}, **_DECODER
    ),
}


def build(name, rnn_cell, functions):
    """Adds a case's network to the default graph.

    Args:
      name: a name of `CASES`, and the scope of the variables.
      rnn_cell: the module of cells.
      functions: dictionary with the functions that `FUNCTIONS` names.

    Returns:
      A `Network`. Its inputs and outputs are [TIME, BATCH, width], or [BATCH, TIME, width] for
      `stack_bidirectional_dynamic_rnn` without `time_major`.
    """
    case, placeholders = CASES[name], {}
    tf.set_random_seed(SEED)
    dynamic = case.function == "stack_bidirectional_dynamic_rnn"

    def placeholder(key, shape, dtype=case.dtype):
        placeholders[key] = tf.placeholder(dtype, shape)
        return placeholders[key]

    by_batch = dynamic and not case.options.get("time_major")
    inputs = placeholder("inputs", [BATCH, TIME, INPUT] if by_batch else [TIME, BATCH, INPUT])
    options = dict(case.options)
    if case.lengths:
        options["sequence_length"] = placeholder("sequence_length", [BATCH], tf.int32)
    with tf.variable_scope(name):
        cells = case.cells(rnn_cell)
        if case.initial_state:
            options.update(_initial_states(case.function, cells, placeholder))
        steps = inputs if dynamic else tf.unstack(inputs)
        if case.function == "rnn_decoder":
            outputs, *states = functions["rnn_decoder"](steps, cell=cells[0], **options)
        else:
            outputs, *states = functions[case.function](*cells, inputs=steps, dtype=case.dtype, **options)
    variables = tf.global_variables(name + "/")
    sources = {key: tensor for key, tensor in placeholders.items() if tensor.dtype.is_floating}
    sources.update({variable.op.name[len(name) + 1 :]: variable for variable in variables})
    results = {"outputs": outputs if dynamic else tf.stack(outputs)}
    results.update({f"state/{k}": leaf for k, leaf in enumerate(tf.nest.flatten(states))})
    output_gradients = [placeholder("d_" + key, tensor.shape) for key, tensor in results.items()]
    gradients = tf.gradients(list(results.values()), list(sources.values()), output_gradients)
    results.update({"gradient/" + key: gradient for key, gradient in zip(sources, gradients)})
    return Network(placeholders, results, variables)


def _initial_states(function, cells, placeholder):
    """The function's arguments for the initial states of its cells."""
    names = {"rnn_decoder": ["initial_state"], "static_rnn": ["initial_state"]}
    names["static_bidirectional_rnn"] = ["initial_state_fw", "initial_state_bw"]
    sizes = [[cell.state_size for cell in argument] if isinstance(argument, list) else argument.state_size
             for argument in cells]  # fmt: skip
    leaves = [placeholder(f"initial_state/{k}", [BATCH, n]) for k, n in enumerate(tf.nest.flatten(sizes))]
    states = tf.nest.pack_sequence_as(sizes, leaves)
    return dict(zip(names.get(function, ["initial_states_fw", "initial_states_bw"]), states))
