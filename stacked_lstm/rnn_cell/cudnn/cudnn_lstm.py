"""CudnnLSTM: layers of cuDNN's LSTM, of one or two directions, with all weights in one variable."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

from stacked_lstm import checks, engines, graph_checks, tensor_checks
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.engines import AUTO
from stacked_lstm.rnn_cell.base import layer_names
from stacked_lstm.rnn_cell.base.variable_lists import VariableLists
from stacked_lstm.rnn_cell.base.variables import recording_getter
from stacked_lstm.rnn_cell.cudnn import cudnn_layers
from stacked_lstm.rnn_cell.cudnn.cudnn_parameters import Shapes
from stacked_lstm.rnn_cell.cudnn.cudnn_saveable import CudnnLSTMSaveable
from stacked_lstm.rnn_cell.loops import engines_used
from stacked_lstm.separate_ops import separate

# Direction -> the number of directions.
_DIRECTIONS = {"unidirectional": 1, "bidirectional": 2}
_INPUT_MODES = ("linear_input", "skip_input", "auto_select")
_DTYPES = (tf.float16, tf.float32, tf.float64)


class CudnnLSTM(VariableLists):
    """Layers of NVIDIA's LSTM, of one or two directions.

    It replaces `tf.contrib.cudnn_rnn.CudnnLSTM` of TensorFlow 1.15 and runs on CPUs, too: on NVIDIA GPUs the engine
    `cudnn` runs it, elsewhere another engine. `engine_used(outputs)` tells which one. The equations are those of
    `CudnnCompatibleLSTMCell`. Dropout has other masks than cuDNN's.

    All weights are in one variable, `opaque_kernel`, as in TensorFlow 1.15. `tf.train.Saver` also saves and restores
    them as kernels and biases of `CudnnCompatibleLSTMCell`s, within the scope of the layer: for example
    `rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell/kernel`, or with two directions
    `stack_bidirectional_rnn/cell_0/bidirectional_rnn/fw/cudnn_compatible_lstm_cell/kernel`. If a checkpoint has
    only these, `tf.train.Saver([lstm.saveable])` restores the layer.

    Attributes:
      num_layers, num_units, input_mode, direction: arguments of `__init__`.
      num_dirs: int, the number of directions.
      rnn_mode: "lstm".
      input_size: I, an int. Before `build`, reading it raises ValueError.
      kernel: the variable; None before `build`.
      saveable: the object in the collection `SAVEABLE_OBJECTS` that stands for kernels and biases; None before `build`,
        and for a layer that reuses variables.
      name, dtype: str.
      built: bool, whether `build` has run.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> lstm = rnn_cell.CudnnLSTM(num_layers=2, num_units=32, direction="bidirectional", dropout=0.2)
      >>> outputs, (h, c) = lstm(tf.zeros([20, 4, 8]))
      >>> outputs.shape.as_list(), h.shape.as_list()
      ([20, 4, 64], [4, 4, 32])
      >>> [v.op.name for v in lstm.trainable_variables]
      ['cudnn_lstm/opaque_kernel']
    """

    rnn_mode = "lstm"

    def __init__(
        self,
        num_layers: int,
        num_units: int,
        input_mode: str = "linear_input",
        direction: str = "unidirectional",
        dropout: float = 0.0,
        seed: int | None = None,
        dtype: Any = tf.float32,
        kernel_initializer: Callable | None = None,
        bias_initializer: Callable | None = None,
        name: str | tf.VariableScope | None = None,
    ) -> None:
        """Initializes the layer with TensorFlow 1.15's arguments.

        Args:
          num_layers: int, the number of layers.
          num_units: H, an int.
          input_mode: "linear_input", the default; or "auto_select", which is the same unless the inputs have the width
            num_units.
          direction: "unidirectional", the default, or "bidirectional".
          dropout: float, at least 0 and less than 1, the share of the outputs of each layer except the last that
            training drops. Default 0.0.
          seed: int, for the same dropout masks and initial weights in every session. Default None.
          dtype: tf.float16, tf.float32 (the default) or tf.float64.
          kernel_initializer: function (shape, dtype) -> tensor, called for each matrix of each gate, whose shapes are
            [H, width of the inputs] and [H, H]. Default None: the uniform one of Glorot and Bengio.
          bias_initializer: the same for each bias [H]. Each gate has two, which add. Default None: zeros.
          name: str, the name of the layer, and of the variable's scope; or a `tf.VariableScope`, which names the scope,
            but not the layer. Default None: the scope is "cudnn_lstm", and the layer is cudnn_lstm_1, cudnn_lstm_2 and
            so on within the graph.

        Raises:
          ValueError: an unknown direction, input mode or dtype, a size that is not positive, or a dropout that is out
            of range. TensorFlow's "skip_input" is refused: no engine supports it.
        """
        if direction not in _DIRECTIONS:
            raise ValueError(f"Invalid direction: {direction}, expecting unidirectional or bidirectional")
        if input_mode not in _INPUT_MODES:
            raise ValueError(f"Invalid input_mode: {input_mode}, expect one of ({', '.join(_INPUT_MODES)})")
        if dtype not in _DTYPES:
            raise ValueError(f"Only support float16, float32, float64, provided {dtype}")
        if input_mode == "skip_input":
            checks.fail("CudnnLSTM", "`input_mode` to be 'linear_input'", "'skip_input', which no engine supports")
        if not 0 <= checks.number(dropout, "CudnnLSTM", "dropout") < 1:
            checks.fail("CudnnLSTM", "a `dropout` of at least 0 and less than 1", dropout)
        self.num_layers = checks.size(num_layers, "CudnnLSTM", "num_layers")
        self.num_units = checks.size(num_units, "CudnnLSTM", "num_units")
        self.input_mode = input_mode
        self.direction = direction
        self.num_dirs = _DIRECTIONS[direction]
        self._base_name, self.name = layer_names.decide(name, layer_names.snake_case(type(self).__name__))
        self.kernel: Any = None
        self.saveable: CudnnLSTMSaveable | None = None
        self.built = False
        self._dropout = dropout
        self._seed = seed
        self._plain_dtype = tf.as_dtype(dtype)
        self._kernel_initializer = kernel_initializer or tf.glorot_uniform_initializer(seed)
        self._bias_initializer = bias_initializer or tf.zeros_initializer()
        self._input_size: int | None = None
        self._scope: Any = None
        self._variables: list[tf.Variable] = []

    @property
    def dtype(self) -> str:
        return self._plain_dtype.name

    @property
    def input_size(self) -> int:
        if self._input_size is None:
            raise ValueError("'input_size' is unknown since layer has not been built.")
        return self._input_size

    @property
    def scope_name(self) -> str:
        """The full name of the variable's scope. Before `build`, it raises ValueError."""
        if self._scope is None:
            raise ValueError("CudnnLSTM.scope_name: the first call of the layer decides it; call the layer first")
        return self._scope.name

    @property
    def canonical_weight_shapes(self) -> list[tuple[int, int]]:
        """The shapes of the matrices in the variable. Before `build`, they raise ValueError."""
        return self._shapes.weights

    @property
    def canonical_bias_shapes(self) -> list[list[int]]:
        """The shapes of the biases in the variable, which are after all matrices."""
        return self._shapes.biases

    def state_shape(self, batch_size: Any) -> tuple[list[Any], list[Any]]:
        """Returns the shapes of h and c for a batch size."""
        shape = [self.num_layers * self.num_dirs, batch_size, self.num_units]
        return shape, list(shape)

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return [v for v in self._variables if v.trainable]

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return [v for v in self._variables if not v.trainable]

    @property
    def _shapes(self) -> Shapes:
        return Shapes(self.input_size, self.num_units, self.num_layers, self.num_dirs)

    def build(self, input_shape: Any) -> None:
        """Makes the variable. The first call of the layer does it by itself.

        As in TensorFlow 1.15, the kernels and biases in checkpoints are then in the scope around this call, not in the
        scope of the layer.

        Args:
          input_shape: shape of the inputs, of rank 3 and with a known last dimension.

        Raises:
          ValueError: another shape.
        """
        if self.built:
            return
        shape = tf.TensorShape(input_shape)
        if shape.ndims != 3:
            raise ValueError(f"Expecting input_shape with 3 dims, got {shape.ndims}")
        width = shape.as_list()[2]
        if width is None:
            raise ValueError("The last dimension of the inputs to `CudnnRNN` should be defined. Found `None`.")
        if self.input_mode == "auto_select" and width == self.num_units:
            expected = f"`input_mode` to be 'linear_input' for inputs of width {width}, the number of units"
            checks.fail("CudnnLSTM", expected, "'auto_select', which means 'skip_input' for them")
        self._input_size = width
        canonical_scope = tf.get_variable_scope()
        with self._enter_scope() as scope:
            scope.set_partitioner(None)
            size, dtype = self._shapes.size, self._plain_dtype
            self.kernel = tf.get_variable("opaque_kernel", [size], dtype, initializer=self._initial_weights)
        if self._variables and canonical_scope.reuse is not True:
            self._add_saveable(canonical_scope.name)
        self.built = True

    def _initial_weights(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> tf.Tensor:
        """Returns the initial value of the variable."""
        del partition_info
        parts = [self._kernel_initializer(shape, dtype=dtype) for shape in self._shapes.weights]
        parts += [self._bias_initializer(shape, dtype=dtype) for shape in self._shapes.biases]
        return tf.reshape(tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0), shape)

    def _add_saveable(self, scope: str) -> None:
        """Tells savers about kernels and biases, unless another layer with this variable has done it."""
        present = tf.get_collection(tf.GraphKeys.SAVEABLE_OBJECTS)
        saveable = CudnnLSTMSaveable(self._variables[0], self._shapes, scope)
        if saveable.name not in [other.name for other in present]:
            self.saveable = saveable
            tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, saveable)

    @contextlib.contextmanager
    def _enter_scope(self, scope: Any = None) -> Iterator[tf.VariableScope]:
        """Enters the layer's scope, which the first use decides."""
        if self._scope is None:
            with tf.variable_scope(scope, default_name=self._base_name) as variable_scope:
                self._scope = variable_scope
        getter = recording_getter(self._variables)
        with tf.variable_scope(self._scope, auxiliary_name_scope=False, custom_getter=getter) as variable_scope:
            with tf.name_scope(variable_scope.original_name_scope):
                yield variable_scope

    autograph_info__: dict[str, Any] = {}  # TensorFlow 1.15 looks for it here, not at `__call__`.

    @without_autograph
    def __call__(
        self,
        inputs: Any,
        initial_state: Any = None,
        sequence_lengths: Any = None,
        time_major: bool = True,
        training: bool = True,
        scope: Any = None,
        engine: str | None = None,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Runs the layers over time.

        T is the number of time steps, B the batch size, N the number of layers times that of directions.

        Args:
          inputs: tensor [T, B, I], or [B, T, I] if `time_major` is False.
          initial_state: tuple (h, c) of tensors [N, B, H], or [B, N, H] if `time_major` is False. The order of N is
            layer 0 forward, layer 0 backward, layer 1 forward, and so on. Default None: zeros.
          sequence_lengths: int32 or int64 [B]. Past its length, a sequence keeps its state and its outputs are zero.
            Default None: all sequences have T steps.
          time_major: bool, default True: inputs and outputs begin with time. False: they begin with the batch.
          training: bool, default True: dropout acts.
          scope: str or `tf.VariableScope` for the variable. Default None: the layer's name. Only the first use of the
            layer reads it.
          engine: as for `dynamic_rnn`; "stepwise" is refused. Default None: "auto".

        Returns:
          (outputs [T, B, H] or, with two directions, [T, B, 2H], in the layout of the inputs; the final state, a tuple
          (h, c) like `initial_state`).

        Raises:
          TypeError: `initial_state` is not a tuple, or `training` is not a bool.
          ValueError: shapes or dtypes that do not fit; an engine as in `dynamic_rnn`.
          RuntimeError: the call is in eager mode.
        """
        graph_checks.graph_mode("CudnnLSTM")
        request = engines.resolve(AUTO if engine is None else engine, "CudnnLSTM")
        if initial_state is not None and not isinstance(initial_state, tuple):
            raise TypeError(f"Invalid initial_state type: {checks.describe(initial_state)}, expecting tuple.")
        if not isinstance(training, checks.BOOLS):
            raise TypeError(f"CudnnLSTM: expected `training` to be True or False, got {checks.describe(training)}")
        graph_checks.same_graph(self._variables, "CudnnLSTM")
        with self._enter_scope(scope):
            x = self._checked_inputs(inputs, time_major)
            time, batch = tensor_checks.sizes(x, time_major)
            lengths = tensor_checks.lengths(sequence_lengths, time, batch, "CudnnLSTM", "sequence_lengths")
            states = cudnn_layers.unpack_states(initial_state, self._shapes, batch, self._plain_dtype, time_major)
            x = x if time_major else tf.transpose(x, [1, 0, 2])
            layers = cudnn_layers.make(self.kernel, self._shapes)
            drops = cudnn_layers.drops(self.num_layers, self._dropout if training else 0.0, self._seed)
            from_zeros = initial_state is None
            outputs, finals, used = cudnn_layers.run(request, layers, x, states, lengths, drops, from_zeros)
            outputs = outputs if time_major else tf.transpose(outputs, [1, 0, 2])
            outputs, state = separate((outputs, cudnn_layers.pack_states(finals, time_major)))
        engines_used.record(outputs, used)
        return outputs, state

    def _checked_inputs(self, inputs: Any, time_major: bool) -> tf.Tensor:
        """Returns the inputs as a tensor, after `build`."""
        tensor_checks.dense(inputs, "CudnnLSTM", "inputs", tensor_checks.ragged_series(time_major, "sequence_lengths"))
        if not tf.is_tensor(inputs):
            inputs = tf.convert_to_tensor(inputs, self._plain_dtype)
        self.build(inputs.shape)
        x = tensor_checks.inputs(inputs, self._plain_dtype, time_major, "CudnnLSTM")
        if x.shape.as_list()[2] != self.input_size:
            checks.fail("CudnnLSTM", f"inputs of width {self.input_size}, as in its first call", f"shape {x.shape}")
        return x
