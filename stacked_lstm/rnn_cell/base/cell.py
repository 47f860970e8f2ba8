"""RNNCell: the names, variables and zero states that all cells share.

The names of a cell's variables are a contract with the checkpoints of TensorFlow 1.15. The rules are TensorFlow's. A
cell takes its scope at its first use: `<surrounding scope>/<name of the cell, without its number>`. Its first call
makes the variables there. Later calls reuse them, wherever they are.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

from stacked_lstm import graph_checks
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base import keras_layers, layer_names, zero_states
from stacked_lstm.rnn_cell.base.variable_lists import VariableLists
from stacked_lstm.rnn_cell.base.variables import recording_getter


class RNNCell(VariableLists):
    """Base class of all cells; a cell is one step of a recurrent network.

    It replaces `tf.nn.rnn_cell.RNNCell` of TensorFlow 1.15 and needs no Keras. A subclass defines the properties
    `state_size` and `output_size` and the method `call(inputs, state)`, which returns `(output, new_state)`. It makes
    its variables in `call` with `tf.get_variable`, or in `build(inputs_shape)` with `self.add_variable`.

    Attributes:
      name: str. Without the argument `name`, it is the name of the class in snake case with a number, which counts the
        cells of this class in the graph: lstm_cell_1, lstm_cell_2.
      dtype: str, the name of the variables' dtype. Without the argument `dtype`, the first call sets it to the dtype
        of its inputs; before that it is None.
      trainable: bool, whether optimizers change the variables.
      built: bool, whether `build` has run.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> class Sum(rnn_cell.RNNCell):
      ...     state_size = output_size = property(lambda self: 3)
      ...
      ...     def call(self, inputs, state):
      ...         return inputs + state, inputs + state
      >>> outputs, state = rnn_cell.dynamic_rnn(Sum(), tf.ones([2, 4, 3]), dtype=tf.float32)
      >>> with tf.Session() as session:
      ...     print(session.run(state))
      [[4. 4. 4.]
       [4. 4. 4.]]
    """

    # Class attributes, because cells of users may not call this __init__.
    trainable = True
    built = False
    _base_name = "rnn_cell"  # The name without a number. TensorFlow's AttentionWrapper reads it, too.
    _name: str | None = None
    _dtype: str | None = None
    _reuse: Any = None
    _scope: Any = None
    _called = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._base_name = layer_names.snake_case(cls.__name__)

    def __init__(
        self, trainable: bool = True, name: str | tf.VariableScope | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        """Initializes the cell; no variable is made here.

        Args:
          trainable: bool, default True. False keeps optimizers from changing the variables.
          name: str, the name of the cell, and of the variables' scope; or a `tf.VariableScope`, which names only the
            scope. Default None: the name of the class in snake case, for the cell with a number.
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          **kwargs: `_reuse` (True, False, None or tf.AUTO_REUSE) and `_scope` (a str or a `tf.VariableScope`), as cells
            of users pass them on; and `autocast`, which changes nothing, because no cell casts its inputs.

        Raises:
          TypeError: an unknown argument.
        """
        self.trainable = trainable
        self._base_name, self._name = layer_names.decide(name, type(self)._base_name)
        self._dtype = None if dtype is None else tf.as_dtype(dtype).base_dtype.name
        self._reuse = kwargs.pop("_reuse", None)
        scope = kwargs.pop("_scope", None)
        kwargs.pop("autocast", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__}: got arguments that it does not have: {', '.join(sorted(kwargs))}")
        if scope:
            self._decide_scope(scope)

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = layer_names.unique(self._base_name)
        return self._name

    @property
    def dtype(self) -> str | None:
        return self._dtype

    @property
    def scope_name(self) -> str:
        """The full name of the variables' scope.

        Raises:
          ValueError: the cell has no scope yet; its first use decides the scope.
        """
        if self._scope is None:
            raise ValueError(f"{self.name}.scope_name: the first call of the cell decides it; call the cell first")
        return self._scope.name

    @property
    def state_size(self) -> Any:
        """The size of the state without its batch dimension: an int, a `tf.TensorShape`, or a nest of them."""
        raise NotImplementedError(f"{type(self).__name__}: a cell must define the property `state_size`")

    @property
    def output_size(self) -> Any:
        """The size of the output without its batch dimension: an int, a `tf.TensorShape`, or a nest of them."""
        raise NotImplementedError(f"{type(self).__name__}: a cell must define the property `output_size`")

    # Variables.

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return [v for v in self._recorded() if v.trainable and self.trainable]

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return [v for v in self._recorded() if not (v.trainable and self.trainable)]

    def _recorded(self) -> list[tf.Variable]:
        """The list of the variables that were made within the cell's scope."""
        return self.__dict__.setdefault("_recorded_variables", [])

    def add_weight(
        self,
        name: str,
        shape: Any,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Callable | None = None,
        trainable: bool | None = True,
        constraint: Callable | None = None,
        **kwargs: Any,
    ) -> tf.Variable:
        """Makes a variable in the cell's scope, or gets the one that is there.

        Args:
          name: str, the name within the scope.
          shape: list of ints or `tf.TensorShape`.
          dtype: tf.DType or its name. Default None: the cell's dtype, or float32 if the cell has none.
          initializer, regularizer, trainable, constraint, **kwargs: arguments of `tf.get_variable`.

        Returns:
          The variable.
        """
        self._decide_scope(None)
        with self._variable_scope(reuse=True if self.built else self._reuse):
            return tf.get_variable(
                name,
                shape,
                tf.as_dtype(dtype or self._dtype or tf.float32),
                initializer,
                regularizer,
                trainable is not False and self.trainable,
                constraint=constraint,
                **kwargs,
            )

    def add_variable(self, *args: Any, **kwargs: Any) -> tf.Variable:
        """Calls `add_weight`, as in TensorFlow. Subclasses may override either of them."""
        return self.add_weight(*args, **kwargs)

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables for inputs of this shape. The first call of the cell does it by itself."""
        del inputs_shape  # AutoGraph warns about a function whose whole body is a docstring.

    # Calls.

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """Runs one step.

        Args:
          inputs: tensor [B, input size], or a nest of such tensors.
          state: nest of tensors in the structure of `state_size`, each with B rows.
          scope: str or `tf.VariableScope` for the variables. Default None: the cell's name. Only the first use of the
            cell reads it.

        Returns:
          (output, new state), tensors of `output_size` and `state_size` with B rows.
        """
        keras_layers.refuse(type(self).__name__)
        graph_checks.same_graph(self._recorded(), self.name, inputs)
        with self._enter_scope(scope) as variable_scope:
            if not self.built:
                self._decide_dtype(inputs)
                self._build_from_inputs(inputs)
                self.built = True
            call: Callable[..., Any] = self.call
            return call(inputs, state, scope=variable_scope) if _takes_scope(call) else call(inputs, state)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Computes one step. Subclasses define it; arguments and result are those of a call of the cell."""
        raise NotImplementedError(f"{type(self).__name__}: a cell must define the method `call(inputs, state)`")

    @contextlib.contextmanager
    def _enter_scope(self, scope: Any = None) -> Iterator[tf.VariableScope]:
        """Enters the cell's scope. The first call makes variables there, later ones reuse them."""
        self._decide_scope(scope)
        with self._variable_scope(reuse=True if self._called else self._reuse) as variable_scope:
            with tf.name_scope(variable_scope.original_name_scope):
                yield variable_scope
        self._called = True

    def _variable_scope(self, reuse: Any) -> Any:
        return tf.variable_scope(
            self._scope, reuse=reuse, auxiliary_name_scope=False, custom_getter=recording_getter(self._recorded())
        )

    def _decide_scope(self, scope: Any) -> None:
        """Decides the scope once: the argument, or else the cell's name within the surrounding scope."""
        if self._scope is not None:
            return
        if scope is None and self._reuse:
            scope = self._base_name  # A default name would be made unique, and the variables would not be found.
        with tf.variable_scope(scope, default_name=self._base_name) as variable_scope:
            self._scope = variable_scope

    def _decide_dtype(self, inputs: Any) -> None:
        if self._dtype is None:
            self._dtype = tf.as_dtype(tf.nest.flatten(inputs)[0].dtype).base_dtype.name

    def _build_from_inputs(self, inputs: Any) -> None:
        def shape(value: Any) -> tf.TensorShape:  # A tf.SparseTensor cannot be converted.
            return tf.TensorShape((value if hasattr(value, "shape") else tf.convert_to_tensor(value)).shape)

        self.build(tf.nest.map_structure(shape, inputs))

    # States.

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Returns a state of zeros.

        Args:
          batch_size: B, an int or a scalar integer tensor.
          dtype: tf.DType of the zeros.

        Returns:
          Tensors in the structure of `state_size`, [B] + size each.
        """
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return tf.nest.map_structure(lambda size: zero_states.zeros(batch_size, size, dtype), self.state_size)

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Returns `zero_state` with the batch size and the dtype of `inputs`, or with those of the arguments.

        Args:
          inputs: tensor [B, ...]. Default None: `batch_size` and `dtype` are needed.
          batch_size: B, an int or a scalar integer tensor. Next to `inputs` it must be their static batch size.
          dtype: tf.DType. Next to `inputs` it must be their dtype.

        Returns:
          Zeros as from `zero_state`.

        Raises:
          ValueError: the arguments contradict each other, or something is missing. The messages are TensorFlow's.
        """
        keras_layers.refuse(type(self).__name__)
        if inputs is not None:
            inputs = tf.convert_to_tensor(inputs)
            batch_size = zero_states.batch_size_of(inputs, batch_size)
            dtype = zero_states.dtype_of(inputs, dtype)
        if batch_size is None or dtype is None:
            raise ValueError(
                "batch_size and dtype cannot be None while constructing initial state: "
                f"batch_size={batch_size}, dtype={dtype}"
            )
        return self.zero_state(batch_size, dtype)

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__` as a dictionary. `from_config` makes an equal cell from it."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RNNCell:
        """Returns a new cell with the arguments that `get_config` returned."""
        return cls(**config)


def build(cell: RNNCell, inputs_shape: Any, dtype: str | None) -> None:
    """Builds a cell unless it is built. A cell without a dtype takes this one."""
    graph_checks.same_graph(cell._recorded(), cell.name)
    if not cell.built:
        cell._dtype = cell._dtype or dtype
        cell.build(inputs_shape)
        cell.built = True


def _takes_scope(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and "scope" in code.co_varnames[: code.co_argcount]
