"""Which calls of dynamic_rnn run on the package's engines, and how.

`CONDITIONS` is the one place that decides. What does not meet them runs on TensorFlow's own loop, engine "stepwise".
"""

import collections
import weakref

from stacked_lstm import checks, engines, tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import AUTO, STEPWISE, EngineUsed
from stacked_lstm.engines.engine import first_problem
from stacked_lstm.engines.segments import Segment
from stacked_lstm.rnn_cell.cell import build
from stacked_lstm.rnn_cell.dropout_wrapper import DropoutWrapper
from stacked_lstm.rnn_cell.lstm_cells import BasicLSTMCell, LSTMCell
from stacked_lstm.rnn_cell.multi_rnn_cell import MultiRNNCell

Call = collections.namedtuple(
    "Call",
    [
        "cell",
        "inputs",
        "sequence_length",
        "initial_state",
        "dtype",
        "parallel_iterations",
        "swap_memory",
        "time_major",
        "scope",
    ],
)
Call.__doc__ = """The arguments of `tf.nn.dynamic_rnn`."""


# The conditions: each is a function of a `Call` that returns None, or what keeps the call from the engines. They are
# asked in order, so that later ones may rely on earlier ones.


def _cells(call):
    others = [type(c).__name__ for c in layers_of(call.cell) if type(c) not in (BasicLSTMCell, LSTMCell)]
    return f"there is a {others[0]}" if others else None


def _states_are_tuples(call):
    cells = [call.cell] + layers_of(call.cell)
    return None if all(isinstance(c.state_size, tuple) for c in cells) else "state_is_tuple is False"


def _named_activations(call):
    for cell in layers_of(call.cell):
        if cell.activation.times_slope is None:
            return f"the activation {cell.activation.name} is a function that is not known by name"
    return None


def _one_series(call):
    if tf.nest.is_nested(call.inputs):
        return "the inputs are a nest of tensors"
    shape = tf.convert_to_tensor(call.inputs).shape
    return None if shape.ndims == 3 and shape.as_list()[2] else f"the inputs have the shape {shape}"


def _one_dtype(call):
    dtypes = [tf.convert_to_tensor(call.inputs).dtype]
    dtypes += [tf.as_dtype(cell.dtype) for cell in layers_of(call.cell) if cell.dtype]
    dtypes += [tf.as_dtype(call.dtype)] if call.initial_state is None else []
    names = sorted({dtype.base_dtype.name for dtype in dtypes})
    if len(names) > 1:
        return f"the dtypes are {' and '.join(names)}"
    return None if dtypes[0].is_floating else f"the dtype is {names[0]}"


def _built_for_the_inputs(call):
    width = tf.convert_to_tensor(call.inputs).shape.as_list()[2]
    for cell in layers_of(call.cell):
        if cell.input_size not in (None, width):
            return f"a cell was built for inputs of width {cell.input_size}"
        width = cell.output_size
    return None


def _state_as_the_cell_has_it(call):
    if call.initial_state is None:
        return None
    sizes = call.cell.state_size if _is_stack(call.cell) else (call.cell.state_size,)
    states = call.initial_state if _is_stack(call.cell) else (call.initial_state,)
    if not _is_tuple_of(states, len(sizes)) or not all(_is_tuple_of(state, 2) for state in states):
        return "the initial state is not a tuple (c, h), or one per layer"
    x = tf.convert_to_tensor(call.inputs)
    batch = x.shape.as_list()[1 if call.time_major else 0]
    for state, size in zip(states, sizes):
        for part, width in zip(state, size):
            part = tf.convert_to_tensor(part)
            if part.dtype != x.dtype or not part.shape.is_compatible_with([batch, width]):
                return f"the initial state has a {part.dtype.name} tensor of shape {part.shape}"
    return None


def _loop_options(call):
    if call.swap_memory:
        return "swap_memory is for TensorFlow's loop"
    if call.parallel_iterations not in (None, 32):
        return "parallel_iterations is for TensorFlow's loop"
    return None


CONDITIONS = (
    _cells,
    _states_are_tuples,
    _named_activations,
    _one_series,
    _one_dtype,
    _built_for_the_inputs,
    _state_as_the_cell_has_it,
    _loop_options,
)


def choose(call, engine):
    """Returns (`engines.Request`, None), or where the call stays on TensorFlow's loop (None, `EngineUsed`).

    Raises:
      ValueError: no such engine, or it was asked for by name and the conditions are not met.
    """
    request = engines.resolve(AUTO if engine is None else engine, "dynamic_rnn", stepwise=True)
    if request.name == STEPWISE:
        return None, EngineUsed(STEPWISE, f"asked for by {request.source}")
    problem = first_problem(CONDITIONS, call)
    if problem is None:
        return request, None
    if engine not in (None, AUTO):
        checks.fail("dynamic_rnn", f"a plain stack of LSTM cells for engine {engine!r}", problem)
    return None, EngineUsed(STEPWISE, "TensorFlow's own loop, because " + problem)


def run(call, request):
    """Runs a call that meets the conditions; returns (outputs, final state, `EngineUsed`)."""
    x = tf.convert_to_tensor(call.inputs)
    with tf.variable_scope(call.scope or "rnn"):
        build(call.cell, [None, x.shape.as_list()[2]], x.dtype.base_dtype.name)
        layers = [cell.layer() for cell in layers_of(call.cell)]
        steps, batch = tensor_checks.sizes(x, call.time_major)
        lengths = None if call.sequence_length is None else _lengths(call.sequence_length, steps, batch)
        state = call.cell.zero_state(batch.value, x.dtype) if call.initial_state is None else call.initial_state
        states = state if _is_stack(call.cell) else [state]
        widths = [(layer.hidden_size, layer.output_size) for layer in layers]
        states = tensor_checks.states(states, widths, batch, x.dtype, "dynamic_rnn", "initial_state")
        outputs, finals, used = engines.run(
            request, [Segment(layers)], x, states, lengths, call.time_major, "dynamic_rnn"
        )
    return outputs, tuple(finals) if _is_stack(call.cell) else finals[0], used


def layers_of(cell):
    """The cells of a stack, or the one that there is, without the wrappers that do nothing."""
    cell = _inside(cell)
    return [_inside(each) for each in cell.cells] if type(cell) is MultiRNNCell else [cell]


def _is_stack(cell):
    return type(_inside(cell)) is MultiRNNCell


def _inside(cell):
    """What is in a DropoutWrapper that drops nothing, as in many graphs for evaluation."""
    while type(cell) is DropoutWrapper and cell.drops_nothing:
        cell = cell.wrapped_cell
    return cell


def _is_tuple_of(value, count):
    return isinstance(value, (list, tuple)) and len(value) == count


def _lengths(lengths, steps, batch):
    """`sequence_length` int32 [B]; as in TensorFlow's loop, entries beyond T count as T.

    Another number of them than sequences fails when the graph runs.
    """
    wanted, given = batch.dynamic[None], tf.shape(lengths)
    same = tf.reduce_all(tf.equal(given, wanted))
    message = ["dynamic_rnn: expected `sequence_length` of shape", wanted, "got", given]
    with tf.control_dependencies([tensor_checks.assertion(same, message)]):
        lengths = tf.identity(lengths)
    lengths.set_shape([batch.static])
    return tf.maximum(tf.minimum(lengths, steps.dynamic), 0)


# graph -> name of a tensor -> `EngineUsed`.
_USED = weakref.WeakKeyDictionary()


def remember(outputs, used):
    """Notes for `engine_used` which engine made the tensors of a nest."""
    for tensor in tf.nest.flatten(outputs):
        _USED.setdefault(tensor.graph, {})[tensor.name] = used


def engine_used(outputs):
    """Returns `EngineUsed(name, reason)`: which engine ran a call of (bidirectional_)dynamic_rnn, and why.

    Args:
      outputs: the first of the two results of the call; for two directions the forward or the backward outputs.

    Raises:
      ValueError: not outputs of such a call.
    """
    for tensor in tf.nest.flatten(outputs)[:1]:
        if tf.is_tensor(tensor) and tensor.name in _USED.get(tensor.graph, {}):
            return _USED[tensor.graph][tensor.name]
    return checks.fail("engine_used", "outputs of this package's dynamic_rnn", outputs)
