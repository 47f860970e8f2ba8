"""Dispatch: which calls of the loops run on the package's engines, and how.

`CONDITIONS` alone decides. A call that does not meet them runs on TensorFlow's own loop, which is named "stepwise".
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from stacked_lstm import activations, checks, engines, tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import AUTO, STEPWISE, EngineUsed, segments
from stacked_lstm.engines.engine import first_problem
from stacked_lstm.rnn_cell import packed_states
from stacked_lstm.rnn_cell.cell import build
from stacked_lstm.rnn_cell.dropout_wrapper import DropoutWrapper
from stacked_lstm.rnn_cell.multi_rnn_cell import MultiRNNCell
from stacked_lstm.rnn_cell.wrappers import CellWrapper, DeviceWrapper, ResidualWrapper


class Call(NamedTuple):
    """The arguments of `tf.nn.dynamic_rnn`, under its names."""

    cell: Any
    inputs: Any
    sequence_length: Any
    initial_state: Any
    dtype: Any
    parallel_iterations: int | None
    swap_memory: bool
    time_major: bool
    scope: Any


# Engines run exactly these wrappers. A subclass may override anything.
_WRAPPERS = (DropoutWrapper, ResidualWrapper, DeviceWrapper)


# Each condition is a function of a `Call`. It returns None, or a clause that says why the call does not run on an
# engine. They are asked in order; later ones rely on earlier ones.


def _cells_are_known(call: Call) -> str | None:
    for cell in _walk(call.cell):
        if not _has_layer(cell) and type(cell) not in (*_WRAPPERS, MultiRNNCell):
            return f"there is a {type(cell).__name__}"
    return None


def _activations_have_names(call: Call) -> str | None:
    for cell in _lstm_cells(call.cell):
        if not activations.is_named(cell.activation):
            return f"the activation {cell.activation.name} is a Python function, not one of the package's"
    return None


def _inputs_are_one_tensor(call: Call) -> str | None:
    if tf.nest.is_nested(call.inputs):
        return "the inputs are a nest of tensors"
    shape = tf.convert_to_tensor(call.inputs).shape
    is_series = shape.ndims == 3 and shape.as_list()[2]
    return None if is_series else f"the inputs have the shape {shape}, not three axes with a known last one"


def _dtypes_are_equal(call: Call) -> str | None:
    dtypes = [tf.convert_to_tensor(call.inputs).dtype]
    dtypes += [tf.as_dtype(cell.dtype) for cell in _walk(call.cell) if cell.dtype]
    dtypes += [tf.as_dtype(call.dtype)] if call.initial_state is None else []
    names = sorted({dtype.base_dtype.name for dtype in dtypes})
    if len(names) > 1:
        return f"the dtypes are {' and '.join(names)}"
    return None if dtypes[0].is_floating else f"the dtype is {names[0]}"


def _widths_fit(call: Call) -> str | None:
    widths: dict[int, int] = {}
    for cell, width in _input_widths(call):
        if not _has_layer(cell):
            continue
        if cell.input_size not in (None, width):
            return f"a cell was built for inputs of width {cell.input_size}"
        first = widths.setdefault(id(cell), width)
        if first != width:
            return f"the same cell has inputs of width {first} and of width {width}; each layer needs its own cell"
    return None


def _wrappers_act_on_all_steps(call: Call) -> str | None:
    dtype = tf.convert_to_tensor(call.inputs).dtype
    problems = (cell.problem_on_engines(width, dtype) for cell, width in _input_widths(call) if type(cell) in _WRAPPERS)
    return next(filter(None, problems), None)


def _initial_state_fits(call: Call) -> str | None:
    if call.initial_state is None:
        return None
    if not _has_structure(call.initial_state, call.cell.state_size):
        return "the initial state does not have the structure of the cell's state"
    x = tf.convert_to_tensor(call.inputs)
    batch = x.shape.as_list()[1 if call.time_major else 0]
    for part, width in zip(tf.nest.flatten(call.initial_state), tf.nest.flatten(call.cell.state_size)):
        part = tf.convert_to_tensor(part)
        if part.dtype != x.dtype or not part.shape.is_compatible_with([batch, width]):
            return f"the initial state has a {part.dtype.name} tensor of shape {part.shape}"
    return None


CONDITIONS = (
    _cells_are_known,
    _activations_have_names,
    _inputs_are_one_tensor,
    _dtypes_are_equal,
    _widths_fit,
    _wrappers_act_on_all_steps,
    _initial_state_fits,
)


def _has_layer(cell: Any) -> bool:
    """Whether a cell is an LSTM cell that engines run, see `LSTMBase`."""
    return getattr(type(cell), "has_layer", False)


def _children(cell: Any) -> list[Any]:
    """Returns the cells of a stack, or the cell in a wrapper."""
    if isinstance(cell, MultiRNNCell):
        return cell.cells
    return [cell.wrapped_cell] if isinstance(cell, CellWrapper) else []


def _walk(cell: Any) -> list[Any]:
    """Returns a cell and all cells in it."""
    return [cell] + [descendant for child in _children(cell) for descendant in _walk(child)]


def _lstm_cells(cell: Any) -> list[Any]:
    """Returns the LSTM cells in a cell, from the input upwards."""
    return [inner for inner in _walk(cell) if _has_layer(inner)]


def _input_widths(call: Call) -> list[tuple[Any, int]]:
    """Returns each cell in the call's cell, with the width of its inputs."""

    def walk(cell: Any, width: int) -> list[tuple[Any, int]]:
        pairs = [(cell, width)]
        for child in _children(cell):
            pairs += walk(child, width)
            width = child.output_size
        return pairs

    return walk(call.cell, tf.convert_to_tensor(call.inputs).shape.as_list()[2])


def _has_structure(state: Any, size: Any) -> bool:
    """Whether a state has tuples, or lists, of the same lengths as a `state_size`."""
    if not isinstance(size, (list, tuple)):
        return not tf.nest.is_nested(state)
    is_sequence = isinstance(state, (list, tuple)) and len(state) == len(size)
    return is_sequence and all(map(_has_structure, state, size))


def choose(call: Call, engine: str | None, function: str = "dynamic_rnn") -> engines.Request | EngineUsed:
    """Decides where a call runs.

    Args:
      call: the `Call`.
      engine: "auto", "stepwise" or an engine's name; None is "auto".
      function: the name of the caller, for messages.

    Returns:
      An `engines.Request` if the call runs on an engine; an `EngineUsed` if it runs on TensorFlow's loop.

    Raises:
      ValueError: an unknown engine; or one that was asked for by name, and the call does not meet the conditions.
    """
    request = engines.resolve(AUTO if engine is None else engine, function, stepwise=True)
    if request.name == STEPWISE:
        return EngineUsed(STEPWISE, f"asked for by {request.source}")
    problem = first_problem(CONDITIONS, call)
    if problem is None:
        return request
    if engine not in (None, AUTO):
        raise ValueError(
            f"{function}: the engine {engine!r} (asked for by name) cannot run this call: {problem}; leave out "
            "`engine`, or use 'stepwise'"
        )
    return EngineUsed(STEPWISE, f"TensorFlow's own loop, because {problem}")


def run(call: Call, request: engines.Request) -> tuple[tf.Tensor, Any, EngineUsed]:
    """Runs a call that meets the conditions on an engine; returns (outputs, final state, `EngineUsed`).

    The ops of the engine are in a scope of their own. The results have the names that TensorFlow's loop gives them.
    """
    x = tf.convert_to_tensor(call.inputs)
    with tf.variable_scope(call.scope or "rnn"):
        build(call.cell, [None, x.shape.as_list()[2]], x.dtype.base_dtype.name)
        x = x if call.time_major else tf.transpose(x, [1, 0, 2])
        with tf.name_scope("engine"):
            outputs, state, used = _run_time_major(call, x, request)
        return _name_outputs(outputs, call.time_major), _name_states(state), used


def _run_time_major(call: Call, x: tf.Tensor, request: engines.Request) -> tuple[tf.Tensor, Any, EngineUsed]:
    """Runs a call with a built cell on inputs [T, B, I]; returns (outputs [T, B, N], final state, `EngineUsed`)."""
    segment = call.cell.segment()
    steps, batch = tensor_checks.sizes(x, time_major=True)
    lengths = None if call.sequence_length is None else _lengths(call.sequence_length, steps, batch)
    state = call.cell.zero_state(batch.value, x.dtype) if call.initial_state is None else call.initial_state
    widths = [(layer.hidden_size, layer.output_size) for layer in segments.layers(segment)]
    pairs = packed_states.unpack(state, call.cell.state_size, widths)
    states = tensor_checks.states(pairs, widths, batch, x.dtype, "dynamic_rnn", "initial_state")
    outputs, finals, used = engines.run(
        request,
        segment,
        x,
        states,
        lengths,
        time_major=True,
        function="dynamic_rnn",
        starts_from_zeros=call.initial_state is None,
    )
    return outputs, packed_states.pack(finals, call.cell.state_size, widths), used


# Programs freeze graphs by these names, which `tf.nn.dynamic_rnn` gives to its results under control flow v1.


def _name_outputs(outputs: tf.Tensor, time_major: bool) -> tf.Tensor:
    """Takes outputs [T, B, N]; returns the outputs of the call."""
    if time_major:
        return tf.identity(outputs, name="TensorArrayStack/TensorArrayGatherV3")
    return tf.transpose(outputs, [1, 0, 2], name="transpose_1")


def _name_states(state: Any) -> Any:
    """Returns the final state. The first three results of TensorFlow's loop are not states."""
    names = [f"while/Exit_{k + 3}" for k in range(len(tf.nest.flatten(state)))]
    parts = [tf.identity(part, name=name) for part, name in zip(tf.nest.flatten(state), names)]
    return tf.nest.pack_sequence_as(state, parts)


def _lengths(lengths: tf.Tensor, steps: tensor_checks.Size, batch: tensor_checks.Size) -> tf.Tensor:
    """Returns `sequence_length` as int32 [B] between 0 and T: TensorFlow's loop, too, takes entries beyond T as T.

    If there are not B lengths, an assertion fails when the graph runs.
    """
    if not lengths.shape.is_compatible_with([batch.static]):
        checks.fail("dynamic_rnn", f"`sequence_length` of shape ({batch.static},)", lengths.shape)
    expected, shape = batch.dynamic[None], tf.shape(lengths)
    is_vector_of_batch = tf.reduce_all(tf.equal(shape, expected))
    message = ["dynamic_rnn: expected `sequence_length` of shape", expected, "got", shape]
    with tf.control_dependencies([tensor_checks.assertion(is_vector_of_batch, message)]):
        lengths = tf.identity(lengths)
    lengths.set_shape([batch.static])
    return tf.maximum(tf.minimum(lengths, steps.dynamic), 0)


# graph -> name of a tensor -> `EngineUsed`.
_ENGINES_USED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def record(outputs: Any, used: EngineUsed) -> None:
    """Keeps for `engine_used` which engine made the tensors of a nest."""
    for tensor in tf.nest.flatten(outputs):
        _ENGINES_USED.setdefault(tensor.graph, {})[tensor.name] = used


def engine_used(outputs: Any) -> EngineUsed:
    """Returns the engine that runs a call of a loop such as `dynamic_rnn`, and the reason.

    Args:
      outputs: the outputs that a loop of this package returned, a tensor or a list; for `bidirectional_dynamic_rnn`,
        the forward or the backward outputs.

    Returns:
      `EngineUsed(name, reason)`, two strings. The name is "cudnn", "native", "graph", or "stepwise" for TensorFlow's
      own loop. If layers run on different engines, it is like "native and graph".

    Raises:
      ValueError: `outputs` are not from such a call.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> class MyCell(rnn_cell.LSTMCell):
      ...     pass
      >>> outputs, state = rnn_cell.dynamic_rnn(MyCell(32), tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> rnn_cell.engine_used(outputs).name
      'stepwise'
      >>> rnn_cell.engine_used(outputs).reason
      "TensorFlow's own loop, because there is a MyCell"
    """
    for tensor in tf.nest.flatten(outputs)[:1]:
        if tf.is_tensor(tensor) and tensor.name in _ENGINES_USED.get(tensor.graph, {}):
            return _ENGINES_USED[tensor.graph][tensor.name]
    return checks.fail("engine_used", "outputs of this package's loops", checks.describe(outputs))
