"""dynamic_rnn and bidirectional_dynamic_rnn: cells over time, on the package's engines where they can run them."""

from stacked_lstm import tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.rnn_cell import on_engines
from stacked_lstm.rnn_cell.wrappers import check_cell


def dynamic_rnn(
    cell,
    inputs,
    sequence_length=None,
    initial_state=None,
    dtype=None,
    parallel_iterations=None,
    swap_memory=False,
    time_major=False,
    scope=None,
    engine=None,
):
    """Runs a cell over time; `tf.nn.dynamic_rnn` of TensorFlow 1.15.

    A plain stack of LSTM cells runs on one of the package's engines, everything else on TensorFlow's own loop;
    `engine_used(outputs)` says which and why.

    Args:
      cell: a cell, TensorFlow's own or a user's included.
      inputs: [B, T, I], or [T, B, I] if `time_major`; or a nest of such tensors.
      sequence_length: int32 or int64 [B]: past it outputs are zero and the state stays; None where all have T steps.
      initial_state: as `cell.state_size` has it, with B rows; None for zeros.
      dtype: of the zeros; needed where there is no initial state.
      parallel_iterations: how many steps TensorFlow's loop may have in flight, by default 32.
      swap_memory: whether TensorFlow's loop may move what it keeps for the gradient from the GPU to the host.
      time_major: the layout of inputs and outputs.
      scope: name or `tf.VariableScope` of the variables, by default "rnn".
      engine: "auto"; "stepwise", TensorFlow's own loop around the cell, which gives the bits of `static_rnn`; or the
        name of an engine (`engines.ENGINES`). None is "auto".

    Returns:
      (outputs [B, T, output size] or [T, B, output size], final state as `cell.state_size` has it).

    Raises:
      TypeError: `cell` is none.
      ValueError: an unknown engine, or one that was asked for by name and cannot run the cell; wrong shapes or dtypes;
        neither `initial_state` nor `dtype`.
      RuntimeError: called eagerly.
    """
    tensor_checks.graph_mode("dynamic_rnn")
    check_cell(cell)
    if initial_state is None and not dtype:
        raise ValueError("If there is no initial_state, you must give a dtype.")
    if sequence_length is not None:
        sequence_length = _vector(sequence_length)
    call = on_engines.Call(
        cell, inputs, sequence_length, initial_state, dtype, parallel_iterations, swap_memory, time_major, scope
    )
    request, used = on_engines.choose(call, engine)
    if used:
        outputs, state = tf.nn.dynamic_rnn(**call._asdict())
    else:
        outputs, state, used = on_engines.run(call, request)
    on_engines.remember(outputs, used)
    return outputs, state


def bidirectional_dynamic_rnn(
    cell_fw,
    cell_bw,
    inputs,
    sequence_length=None,
    initial_state_fw=None,
    initial_state_bw=None,
    dtype=None,
    parallel_iterations=None,
    swap_memory=False,
    time_major=False,
    scope=None,
    engine=None,
):
    """Runs one cell forward and one backward in time; `tf.nn.bidirectional_dynamic_rnn` of TensorFlow 1.15.

    Args:
      cell_fw, cell_bw: the cells.
      initial_state_fw, initial_state_bw: their initial states.
      scope: by default "bidirectional_rnn"; the cells' scopes within it are `fw` and `bw`.
      inputs, sequence_length, dtype, parallel_iterations, swap_memory, time_major, engine: as for `dynamic_rnn`. A
        sequence is reversed up to its own length.

    Returns:
      ((outputs forward, outputs backward), (final state forward, final state backward)); outputs of both directions in
      the order of the inputs.

    Raises:
      As `dynamic_rnn`.
    """
    tensor_checks.graph_mode("bidirectional_dynamic_rnn")
    check_cell(cell_fw, "cell_fw")
    check_cell(cell_bw, "cell_bw")
    common = {
        "sequence_length": sequence_length,
        "dtype": dtype,
        "parallel_iterations": parallel_iterations,
        "swap_memory": swap_memory,
        "time_major": time_major,
        "engine": engine,
    }

    def reverse(nest):
        return tf.nest.map_structure(lambda tensor: padding.reverse(tensor, sequence_length, time_major), nest)

    with tf.variable_scope(scope or "bidirectional_rnn"):
        with tf.variable_scope("fw") as fw:
            outputs_fw, state_fw = dynamic_rnn(cell_fw, inputs, initial_state=initial_state_fw, scope=fw, **common)
        with tf.variable_scope("bw") as bw:
            reversed_bw, state_bw = dynamic_rnn(
                cell_bw, reverse(inputs), initial_state=initial_state_bw, scope=bw, **common
            )
            outputs_bw = reverse(reversed_bw)
    on_engines.remember(outputs_bw, on_engines.engine_used(reversed_bw))
    return (outputs_fw, outputs_bw), (state_fw, state_bw)


def _vector(lengths):
    """`sequence_length` as an int32 tensor of rank 1, as far as that is known."""
    lengths = tf.convert_to_tensor(lengths)
    if lengths.shape.ndims not in (None, 1):
        raise ValueError(f"sequence_length must be a vector of length batch_size, but saw shape: {lengths.shape}")
    return tf.cast(lengths, tf.int32)
