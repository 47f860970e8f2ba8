"""rnn_decoder: a cell over the inputs of a decoder, or over its own outputs."""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm import checks, graph_checks
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.engines import AUTO, STEPWISE, EngineUsed, resolve
from stacked_lstm.rnn_cell.loops import dense_checks, engines_used, step_lists
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell


@without_autograph
def rnn_decoder(
    decoder_inputs: Sequence[Any],
    initial_state: Any,
    cell: Any,
    loop_function: Callable[[Any, int], Any] | None = None,
    scope: Any = None,
    engine: str | None = None,
) -> tuple[list[Any], Any]:
    """Runs a cell over a list of steps; with `loop_function`, each input is made from the output before it.

    It replaces `tf.contrib.legacy_seq2seq.rnn_decoder` of TensorFlow 1.15; `engine` is a new argument. Without
    `loop_function` it is `static_rnn`, and LSTM cells, stacks of them and wrappers around them run on the package's
    engines. Otherwise the ops of every step are added to the graph. `engine_used(outputs)` tells which one and why. B
    is the batch size, T the number of time steps, I the width of the inputs.

    Args:
      decoder_inputs: list of T tensors [B, I].
      initial_state: tensors in the structure of `cell.state_size`, with B rows each.
      cell: an `RNNCell` of this module, or a cell of TensorFlow or of your own with the same methods.
      loop_function: function (output of step t - 1, t) -> input of step t. Only the first one of `decoder_inputs` is
        then read. It is called in the scope `loop_function`, which reuses variables. Default None: no function.
      scope: str or `tf.VariableScope` for the variables. Default None: "rnn_decoder".
      engine: as for `dynamic_rnn`; "stepwise" adds the ops of every step. Default None: "auto".

    Returns:
      (outputs, final state): list of T outputs [B, output size]; the state after the last step, in the structure of
      `cell.state_size`.

    Raises:
      ValueError: an unknown engine, or one that was asked for by name and cannot run the call; shapes or dtypes that do
        not fit.
      RuntimeError: the call is in eager mode.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.LSTMCell(8)
      >>> steps, zeros = tf.unstack(tf.ones([4, 20, 8]), axis=1), cell.zero_state(4, tf.float32)
      >>> outputs, state = rnn_cell.rnn_decoder(steps, zeros, cell, engine="graph")
      >>> len(outputs), outputs[0].shape.as_list(), cell.variables[0].op.name
      (20, [4, 8], 'rnn_decoder/lstm_cell/kernel')
      >>> sampled, _ = rnn_cell.rnn_decoder(steps[:5], zeros, cell, lambda output, t: output)  # its output is its input
      >>> len(sampled), rnn_cell.engine_used(sampled)
      (5, EngineUsed(name='stepwise', reason='step by step, because there is a loop_function'))
    """
    graph_checks.graph_mode("rnn_decoder")
    if not isinstance(decoder_inputs, (list, tuple)):
        expected = "`decoder_inputs` to be a list with a tensor [B, I] for each step, as tf.unstack makes it"
        checks.fail("rnn_decoder", expected, checks.describe(decoder_inputs))
    if initial_state is None:
        checks.fail("rnn_decoder", "an `initial_state`", None)
    read = decoder_inputs if loop_function is None else decoder_inputs[:1]
    dense_checks.check_steps("rnn_decoder", cell, read, argument="decoder_inputs")
    dense_checks.check_state("rnn_decoder", cell, initial_state)
    used = _obstacle(cell, decoder_inputs, initial_state, loop_function, engine)
    scope = scope or "rnn_decoder"
    if used is None:
        check_cell(cell)
        return step_lists.run("rnn_decoder", cell, decoder_inputs, initial_state, None, None, scope, engine)
    outputs, state = _run_steps(cell, decoder_inputs, initial_state, loop_function, scope)
    engines_used.record(outputs, used)
    return outputs, state


def _obstacle(
    cell: Any, inputs: Sequence[Any], initial_state: Any, loop_function: Callable | None, engine: str | None
) -> EngineUsed | None:
    """Returns None if a call runs on an engine, and an `EngineUsed` that says why if it runs step by step."""
    if loop_function is None or resolve(engine or AUTO, "rnn_decoder", stepwise=True).name == STEPWISE:
        return step_lists.obstacle("rnn_decoder", cell, inputs, initial_state, None, engine)
    if engine not in (None, AUTO):
        checks.fail("rnn_decoder", f"no `loop_function` for engine {engine!r}", loop_function)
    return EngineUsed(STEPWISE, "step by step, because there is a loop_function")


def _run_steps(
    cell: Any, inputs: Sequence[Any], state: Any, loop_function: Callable[[Any, int], Any] | None, scope: Any
) -> tuple[list[Any], Any]:
    """Adds the ops of every step, in TensorFlow's scopes."""
    outputs: list[Any] = []
    with tf.variable_scope(scope) as variables:
        for t, step in enumerate(inputs):
            if loop_function is not None and outputs:
                with tf.variable_scope("loop_function", reuse=True):
                    step = loop_function(outputs[-1], t)
            if t > 0:
                variables.reuse_variables()
            output, state = cell(step, state)
            outputs.append(output)
    return outputs, state
