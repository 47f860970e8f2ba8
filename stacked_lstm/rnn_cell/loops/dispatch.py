"""Dispatch: which calls of the loops run on the package's engines. `engine_calls` runs them.

`CONDITIONS` alone decides. A call that does not meet them runs on TensorFlow's own loop, which is named "stepwise".
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm import activations, engines
from stacked_lstm.compat import tf
from stacked_lstm.engines import AUTO, STEPWISE, EngineUsed
from stacked_lstm.engines.engine import first_problem
from stacked_lstm.rnn_cell.base import replaced_methods
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import CellWrapper, DeviceWrapper, ResidualWrapper
from stacked_lstm.rnn_cell.wrappers.dropout_wrapper import DropoutWrapper
from stacked_lstm.rnn_cell.wrappers.highway_wrapper import HighwayWrapper
from stacked_lstm.rnn_cell.wrappers.input_output_wrappers import InputProjectionWrapper, OutputProjectionWrapper
from stacked_lstm.rnn_cell.wrappers.multi_rnn_cell import MultiRNNCell


class Call(NamedTuple):
    """A call of a loop.

    Fields:
      function: str, the function that the program has called, for messages.
      other fields: the arguments of `tf.nn.dynamic_rnn`, under its names.
    """

    function: str
    cell: Any
    inputs: Any
    sequence_length: Any
    initial_state: Any
    dtype: Any
    parallel_iterations: int | None
    swap_memory: bool
    time_major: bool
    scope: Any

    def arguments(self) -> dict[str, Any]:
        """Returns the arguments of `tf.nn.dynamic_rnn`."""
        return {name: value for name, value in self._asdict().items() if name != "function"}


# The wrappers that engines run.
_WRAPPERS = (
    *(DropoutWrapper, ResidualWrapper, DeviceWrapper),
    *(HighwayWrapper, InputProjectionWrapper, OutputProjectionWrapper),
)
for _class in (*_WRAPPERS, MultiRNNCell):
    replaced_methods.register(_class)


# Each condition is a function of a `Call`. It returns None, or a clause that says why the call does not run on an
# engine. They are asked in order; later ones rely on earlier ones.


def _no_foreign_classes(call: Call) -> str | None:
    for cell in _walk(call.cell):
        if replaced_methods.replaced_in_class(cell):
            return f"no engine runs the class {type(cell).__name__}"
    return None


def _no_replaced_methods(call: Call) -> str | None:
    for cell in _walk(call.cell):
        names = replaced_methods.replaced_in_object(cell)
        if not (_has_layer(cell) or _children(cell)):
            return f"the __init__ of the {type(cell).__name__} sets no cell"
        if _has_layer(cell) and not _has_its_activation(cell):
            names.append("_activation")
        if names:
            return f"the program has replaced `{names[0]}` of the {type(cell).__name__}"
    return None


def _has_its_activation(cell: Any) -> bool:
    """Whether the function that `call` uses is that of the activation that engines take."""
    activation = vars(cell).get("activation")
    if not isinstance(activation, activations.Activation) or "_activation" not in vars(cell):
        return False
    return activations.get(cell._activation, "LSTMCell", "activation").function is activation.function


def _forget_biases_fit(call: Call) -> str | None:
    for cell in _lstm_cells(call.cell):
        forget_bias = cell._forget_bias
        if isinstance(forget_bias, (list, tuple)):
            is_nested = any(isinstance(entry, (list, tuple)) for entry in forget_bias)
            shape = tf.TensorShape([len(forget_bias)] + [None] * is_nested)
        else:
            shape = tf.TensorShape(getattr(forget_bias, "shape", []))
        if shape.ndims is None or shape.as_list() not in ([], [1], [cell._num_units]):
            return f"the forget_bias of the {type(cell).__name__} has the shape {shape}"
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
    problems = (
        cell.problem_on_engines(width, dtype) for cell, width in _input_widths(call) if isinstance(cell, _WRAPPERS)
    )
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
            return f"the initial state has a tensor of dtype {part.dtype.name} and shape {part.shape}"
    return None


CONDITIONS = (
    _no_foreign_classes,
    _no_replaced_methods,
    _forget_biases_fit,
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
        return list(getattr(cell, "_cells", ()))
    inner = getattr(cell, "_cell", None) if isinstance(cell, (CellWrapper, *_WRAPPERS)) else None
    return [] if inner is None else [inner]


def _walk(cell: Any) -> list[Any]:
    """Returns a cell and all cells in it."""
    return [cell] + [descendant for child in _children(cell) for descendant in _walk(child)]


def is_of_package(cell: Any) -> bool:
    """Whether the steps of a cell and of all cells in it are those of this package."""
    return all(
        type(part).__module__.startswith("stacked_lstm.rnn_cell.") or not replaced_methods.replaced_in_class(part)
        for part in _walk(cell)
    )


def _lstm_cells(cell: Any) -> list[Any]:
    """Returns the LSTM cells in a cell, from the input upwards."""
    return [inner for inner in _walk(cell) if _has_layer(inner)]


def _input_widths(call: Call) -> list[tuple[Any, int]]:
    """Returns each cell in the call's cell, with the width of its inputs."""

    def walk(cell: Any, width: int) -> list[tuple[Any, int]]:
        pairs = [(cell, width)]
        width = cell._num_proj if isinstance(cell, InputProjectionWrapper) else width
        for child in _children(cell):
            pairs += walk(child, width)
            width = child.output_size
        return pairs

    return walk(call.cell, tf.convert_to_tensor(call.inputs).shape.as_list()[2])


def starts_from_zeros(call: Call) -> bool:
    """Whether the call starts from zeros: it has no initial state, and no subclass makes another one."""
    return call.initial_state is None and all(map(replaced_methods.starts_from_zeros, _walk(call.cell)))


def _has_structure(state: Any, size: Any) -> bool:
    """Whether a state has tuples, or lists, of the same lengths as a `state_size`."""
    if not isinstance(size, (list, tuple)):
        return not tf.nest.is_nested(state)
    is_sequence = isinstance(state, (list, tuple)) and len(state) == len(size)
    return is_sequence and all(map(_has_structure, state, size))


def choose(call: Call, engine: str | None) -> engines.Request | EngineUsed:
    """Decides where a call runs.

    Args:
      call: the `Call`.
      engine: "auto", "stepwise" or an engine's name; None is "auto".

    Returns:
      An `engines.Request` if the call runs on an engine; an `EngineUsed` if it runs on TensorFlow's loop.

    Raises:
      ValueError: an unknown engine; or one that was asked for by name, and the call does not meet the conditions.
    """
    request = engines.resolve(AUTO if engine is None else engine, call.function, stepwise=True)
    if request.name == STEPWISE:
        return EngineUsed(STEPWISE, f"asked for by {request.source}")
    problem = first_problem(CONDITIONS, call)
    if problem is None:
        return request
    if engine not in (None, AUTO):
        raise ValueError(
            f"{call.function}: the engine {engine!r} (asked for by name) cannot run this call: {problem}; leave out "
            "`engine`, or use 'stepwise'"
        )
    return EngineUsed(STEPWISE, f"TensorFlow's own loop, because {problem}")


def choose_for_both(calls: Sequence[Call], engine: str | None) -> engines.Request | None:
    """Returns the request for the calls of both directions if one op may run them; None if each call runs alone.

    Each call runs alone if a cell has a wrapper, if the directions share cells, or if a call runs on TensorFlow's loop.
    Calls with wrappers are not joined, because dropout masks depend on the order in which ops are added to the graph.

    Args:
      calls: the calls of the forward and of the backward direction, on the same inputs.
      engine: as for `choose`.

    Raises:
      ValueError: as in `choose`.
    """
    cells = [_walk(call.cell) for call in calls]
    if any(isinstance(cell, _WRAPPERS) for walked in cells for cell in walked):
        return None
    if {*map(id, cells[0])} & {*map(id, cells[1])}:
        return None
    choice, other = (choose(call, engine) for call in calls)
    return None if isinstance(choice, EngineUsed) or isinstance(other, EngineUsed) else choice
