"""RNNCell: what all cells share, which is names, variables and zero states.

Where the variables of a TF1 program are, and how they are called, is a contract with its checkpoints. The rules are
those of TensorFlow 1.15: a cell takes a scope at its first use, `<surrounding scope>/<name of the cell>`, and keeps it;
its first call makes the variables, later ones reuse them.
"""

import contextlib
import re

from stacked_lstm import checks
from stacked_lstm.compat import tf


class RNNCell:
    """One step of a recurrent network: `output, new_state = cell(inputs, state)`.

    A cell of your own has the properties `state_size` and `output_size`, and `call(inputs, state)`; it may make its
    variables there with `tf.get_variable`, or in `build(inputs_shape)` with `add_variable`.

    Attributes:
      name: of its scope, by default the class' in snake case.
      dtype: name of the variables' dtype; that of the first input unless given, None before.
      trainable: whether its variables are.
      built: whether `build` has run.
    """

    # Defaults here rather than in __init__, which cells of users may forget to call.
    trainable = True
    built = False
    _name = None
    _dtype = None
    _reuse = None
    _scope = None
    _called = False

    def __init__(self, trainable=True, name=None, dtype=None, **kwargs):
        """Takes TensorFlow 1.15's arguments.

        Args:
          trainable: False for variables that no optimizer changes.
          name: of the scope of the variables.
          dtype: of the variables; None for that of the first input.
          **kwargs: `_reuse` (bool, None or tf.AUTO_REUSE) and `_scope` (a name or a `tf.VariableScope`), as cells of
            users hand them on.

        Raises:
          TypeError: an unknown argument.
        """
        self.trainable = trainable
        self._name = name
        self._dtype = None if dtype is None else tf.as_dtype(dtype).base_dtype.name
        self._reuse = kwargs.pop("_reuse", None)
        scope = kwargs.pop("_scope", None)
        if kwargs:
            raise TypeError(f"{type(self).__name__}: unexpected arguments {', '.join(sorted(kwargs))}")
        if scope is not None:
            self._take_scope(scope)

    @property
    def name(self):
        return self._name or snake_case(type(self).__name__)

    @property
    def dtype(self):
        return self._dtype

    @property
    def scope_name(self):
        """The scope of the variables.

        Raises:
          ValueError: before the first use, which decides it.
        """
        if self._scope is None:
            raise ValueError(f"{self.name}.scope_name: the first call of the cell decides it; call the cell first")
        return self._scope.name

    @property
    def state_size(self):
        """An int, a `tf.TensorShape`, or a nest of them: the state without its batch dimension."""
        raise NotImplementedError(f"{type(self).__name__}.state_size")

    @property
    def output_size(self):
        """Likewise for the output."""
        raise NotImplementedError(f"{type(self).__name__}.output_size")

    # Variables.

    @property
    def trainable_weights(self):
        return [v for v in self._made() if v.trainable and self.trainable]

    @property
    def non_trainable_weights(self):
        return [v for v in self._made() if not (v.trainable and self.trainable)]

    @property
    def weights(self):
        """Variables in the order in which they were made, trainable ones first."""
        return self.trainable_weights + self.non_trainable_weights

    # TensorFlow has two names for each.
    trainable_variables = property(lambda self: self.trainable_weights)
    non_trainable_variables = property(lambda self: self.non_trainable_weights)
    variables = property(lambda self: self.weights)

    def _made(self):
        """The list of variables that were made within the cell's scope."""
        return self.__dict__.setdefault("_own_variables", [])

    def add_variable(
        self, name, shape, dtype=None, initializer=None, regularizer=None, trainable=True, constraint=None, **kwargs
    ):
        """Makes a variable in the cell's scope, or gets the one that is there; returns it.

        Args:
          name, shape, dtype, initializer, regularizer, trainable, constraint, **kwargs: as for `tf.get_variable`; the
            dtype is the cell's unless given.
        """
        self._take_scope(None)
        reuse = True if self.built else self._reuse
        with tf.variable_scope(
            self._scope, reuse=reuse, auxiliary_name_scope=False, custom_getter=keeping(self._made())
        ):
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

    add_weight = add_variable

    def build(self, inputs_shape):
        """Makes the variables for inputs of this shape; the first call does so by itself. Here: there are none."""

    # Calls.

    def __call__(self, inputs, state, scope=None):
        """Runs one step.

        Args:
          inputs: [B, input size], or a nest of tensors.
          state: as `state_size` has it, with B rows.
          scope: name or `tf.VariableScope` of the variables, instead of the cell's name; only the first use counts.

        Returns:
          (output, new state).
        """
        with self._in_scope(scope) as entered:
            if not self.built:
                self._take_dtype(inputs)
                self._build_for(inputs)
                self.built = True
            if _takes_scope(self.call):
                return self.call(inputs, state, scope=entered)
            return self.call(inputs, state)

    def call(self, inputs, state):
        """The step itself, for subclasses."""
        raise NotImplementedError(f"{type(self).__name__}.call")

    @contextlib.contextmanager
    def _in_scope(self, scope=None):
        """The cell's scope: variables are made in the first call and reused afterwards."""
        self._take_scope(scope)
        reuse = True if self._called else self._reuse
        with tf.variable_scope(
            self._scope, reuse=reuse, auxiliary_name_scope=False, custom_getter=keeping(self._made())
        ) as entered, tf.name_scope(entered.original_name_scope):
            yield entered
        self._called = True

    def _take_scope(self, scope):
        """Decides the scope, once: the one given, or the cell's name within the surrounding one."""
        if self._scope is not None:
            return
        if scope is None and self._reuse:
            scope = self.name  # To find what is there, the name must not be made unique.
        with tf.variable_scope(scope, default_name=self.name) as captured:
            self._scope = captured

    def _take_dtype(self, inputs):
        if self._dtype is None:
            self._dtype = tf.as_dtype(tf.nest.flatten(inputs)[0].dtype).base_dtype.name

    def _build_for(self, inputs):
        self.build(tf.nest.map_structure(lambda tensor: tf.convert_to_tensor(tensor).shape, inputs))

    # States.

    def zero_state(self, batch_size, dtype):
        """Returns zeros in the structure of `state_size`.

        Args:
          batch_size: an int, or an integer tensor of one entry.
          dtype: of the zeros.
        """
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return tf.nest.map_structure(lambda size: _zeros(batch_size, size, dtype), self.state_size)

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        """Returns `zero_state`, for the batch size and the dtype of `inputs` where those are given.

        Raises:
          ValueError: neither `inputs` nor both of the others, or they contradict each other.
        """
        function = f"{type(self).__name__}.get_initial_state"
        if inputs is not None:
            inputs = tf.convert_to_tensor(inputs)
            static = inputs.shape.as_list()[0]
            given = tf.get_static_value(batch_size) if tf.is_tensor(batch_size) else batch_size
            if given is not None and static is not None and given != static:
                checks.fail(function, f"`batch_size` as `inputs` has it, {static}", given)
            if dtype is not None and tf.as_dtype(dtype) != inputs.dtype:
                checks.fail(function, f"`dtype` as `inputs` has it, {inputs.dtype.name}", tf.as_dtype(dtype).name)
            batch_size, dtype = tf.shape(inputs)[0] if static is None else static, inputs.dtype
        if batch_size is None or dtype is None:
            checks.fail(function, "`inputs`, or both `batch_size` and `dtype`", f"{batch_size} and {dtype}")
        return self.zero_state(batch_size, dtype)

    # Configuration.

    def get_config(self):
        """Returns the arguments of `__init__` as a dictionary, of which `from_config` makes an equal cell."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def config_of(cell):
    """{"class_name", "config"} of a cell within another one."""
    return {"class_name": type(cell).__name__, "config": cell.get_config()}


def cell_of(config):
    """The cell that `config_of` describes, or a cell as it is.

    Raises:
      ValueError: there is no class of this name that inherits from RNNCell.
    """
    if not isinstance(config, dict):
        return config
    classes, found = [RNNCell], {}
    while classes:
        kind = classes.pop()
        found.setdefault(kind.__name__, kind)
        classes += kind.__subclasses__()
    kind = checks.known(found, config["class_name"], "from_config", "class_name")
    return kind.from_config(config["config"])


def check_floating(dtype):
    """Raises ValueError unless the dtype is one that sigmoid and tanh take."""
    dtype = tf.as_dtype(dtype)
    if not (dtype.is_floating or dtype.is_complex):
        raise ValueError(f"RNN cell only supports floating point inputs, but saw dtype: {dtype.name}")


def build(cell, inputs_shape, dtype):
    """Builds a cell that is not, for inputs of a dtype that it takes over unless it has one."""
    if not cell.built:
        cell._dtype = cell._dtype or dtype
        cell.build(inputs_shape)
        cell.built = True


def keeping(variables):
    """A custom getter that remembers in the list what it gets."""

    def get(getter, *args, **kwargs):
        variable = getter(*args, **kwargs)
        remember(variable, variables)
        return variable

    return get


def remember(variable, variables):
    """Appends a variable, or the parts of a partitioned one, to the list, unless it is in there."""
    if hasattr(variable, "trainable"):  # TensorFlow's kinds of variables share no class but this.
        parts = [variable]
    else:  # What a getter of the user's made of a variable is none.
        parts = [] if tf.is_tensor(variable) else list(variable)
    variables += [part for part in parts if all(part is not known for known in variables)]


def snake_case(name):
    """BasicLSTMCell -> basic_lstm_cell; a leading underscore becomes "private_", for scopes cannot begin with one."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return "private" + name if name.startswith("_") else name


def _takes_scope(function):
    code = getattr(function, "__code__", None)
    return code is not None and "scope" in code.co_varnames[: code.co_argcount]


def _zeros(batch_size, size, dtype):
    """Zeros [batch_size] + size, with the static shape as far as it is known."""
    static = tf.get_static_value(batch_size) if tf.is_tensor(batch_size) else batch_size
    static = None if static is None else int(static)
    size = tf.TensorShape(size).as_list()
    batch = tf.reshape(tf.cast(batch_size, tf.int32), [1]) if static is None else [static]
    zeros = tf.zeros(tf.concat([batch, size], axis=0), dtype)
    zeros.set_shape([static] + size)
    return zeros
