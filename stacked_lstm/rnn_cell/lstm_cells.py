"""BasicLSTMCell and LSTMCell, one step each, operation for operation as in TensorFlow 1.15.

    i, j, f, o = split([x, h] kernel + bias)
    c' = c * sigma(f + forget_bias) + sigma(i) * tanh(j)
    h' = tanh(c') * sigma(o)

Operations are in TensorFlow's order, so that the same weights give the same bits. LSTMCell's options are
`equations.Extras`, where their sources are named. Attributes with an underscore have TensorFlow's names: cells of users
that inherit from these read them.
"""

import numpy as np

from stacked_lstm import checks, equations
from stacked_lstm.compat import tf
from stacked_lstm.layer import Layer
from stacked_lstm.rnn_cell import names
from stacked_lstm.rnn_cell.cell import RNNCell, check_floating
from stacked_lstm.state import LSTMStateTuple


class _LSTMCell(RNNCell):
    """What both cells share: state, sizes, checks, and the fused kernel and bias.

    Attributes:
      activation: `activations.Activation`.
      input_size: I, None before the cell is built.
    """

    def __init__(self, num_units, forget_bias, state_is_tuple, activation, reuse, **kwargs):
        super().__init__(_reuse=reuse, **kwargs)
        if self._dtype:
            check_floating(self._dtype)
        self._num_units = num_units
        self._forget_bias = forget_bias
        self.activation = names.activation(activation or "tanh", type(self).__name__)
        self._activation = self.activation.function
        self.input_size = None
        self._kernel = None
        self._bias = None
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self):
        sizes = LSTMStateTuple(self._num_units, self.output_size)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self):
        return self._num_units

    def build(self, inputs_shape):
        """Makes the variables for inputs [B, I]; the first call does so by itself.

        Raises:
          ValueError: I is unknown.
        """
        depth = tf.TensorShape(inputs_shape).as_list()[-1]
        if depth is None:
            raise ValueError(f"Expected inputs.shape[-1] to be known, saw shape: {inputs_shape}")
        self.input_size = depth
        self._add_variables(depth)
        self.built = True

    def layer(self):
        """The built cell as the `Layer` that engines take; its forget bias is added to the bias."""
        forget_bias = self._forget_bias
        if tf.is_tensor(forget_bias):
            forget_bias = tf.cast(forget_bias, self._bias.dtype.base_dtype)
        # A number is not cast: that would round it to float32 first.
        is_f = np.repeat([float(gate == "f") for gate in equations.GATE_ORDER], self._num_units)
        bias = self._bias + tf.constant(is_f, self._bias.dtype.base_dtype) * forget_bias
        sizes = self.input_size, self._num_units
        return Layer(*sizes, [self._kernel], [bias], activation=self.activation, extras=self._extras())

    def _extras(self):
        """What the cell has beyond the plain equations, `equations.Extras`."""
        return equations.PLAIN

    def _add_variables(self, depth, **of_kernel):
        shape = [depth + self.output_size, 4 * self._num_units]
        self._kernel = self.add_variable("kernel", shape, **of_kernel)
        # Zero, whatever the initializer of the scope is.
        self._bias = self.add_variable("bias", [4 * self._num_units], initializer=tf.zeros_initializer())

    def _unpack(self, inputs, state):
        """Returns (c, h); raises ValueError unless inputs and state are what the cell takes."""
        if self._state_is_tuple:
            if not isinstance(state, (list, tuple)) or len(state) != 2:
                expected = "Expected state of %s to be a tuple (c, h), but received: %s"
                raise ValueError(expected % (self.name, state))
            c, h = state
        else:
            sizes = [self._num_units, self.output_size]
            c, h = tf.split(state, sizes, axis=1)
        for tensor in (inputs, c, h):
            check_floating(tensor.dtype)
        if inputs.shape.ndims != 2:
            checks.fail(self.name, "inputs of rank 2, [batch, input]", f"shape {inputs.shape}")
        return c, h

    def _pack(self, c, h):
        return LSTMStateTuple(c, h) if self._state_is_tuple else tf.concat([c, h], axis=1)

    def _gates(self, inputs, h):
        """i, j, f, o before their activations, [B, H] each."""
        z = tf.nn.bias_add(tf.matmul(tf.concat([inputs, h], axis=1), self._kernel), self._bias)
        return tf.split(z, 4, axis=1)

    def __call__(self, inputs, state, scope=None):
        inputs = tf.convert_to_tensor(inputs)
        check_floating(inputs.dtype)  # Before variables of such a dtype are made.
        return super().__call__(inputs, state, scope)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_units=self._num_units,
            forget_bias=self._forget_bias,
            state_is_tuple=self._state_is_tuple,
            activation=names.activation_config(self.activation),
            reuse=self._reuse,
        )
        return config


class BasicLSTMCell(_LSTMCell):
    """The plain LSTM cell.

    Zaremba, Sutskever and Vinyals, Recurrent Neural Network Regularization, 2014 (arXiv:1409.2329). Variables:
    `basic_lstm_cell/kernel` [I + H, 4H], `basic_lstm_cell/bias` [4H].
    """

    def __init__(
        self,
        num_units,
        forget_bias=1.0,
        state_is_tuple=True,
        activation=None,
        reuse=None,
        name=None,
        dtype=None,
        **kwargs,
    ):
        """Takes TensorFlow 1.15's arguments.

        Args:
          num_units: H.
          forget_bias: added to f in every step, not part of the variables.
          state_is_tuple: False for a state [B, 2H], c and h side by side.
          activation: of j and c: a name or a function; None for tanh.
          reuse: True to find the variables in the scope, tf.AUTO_REUSE to find or make them.
          name, dtype, **kwargs: see `RNNCell`.
        """
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name=name, dtype=dtype, **kwargs)

    def call(self, inputs, state):
        c, h = self._unpack(inputs, state)
        i, j, f, o = self._gates(inputs, h)
        activation = self._activation
        forget_bias = tf.constant(self._forget_bias, dtype=f.dtype)
        c = c * tf.sigmoid(f + forget_bias) + tf.sigmoid(i) * activation(j)
        h = activation(c) * tf.sigmoid(o)
        return h, self._pack(c, h)


class LSTMCell(_LSTMCell):
    """The LSTM cell with peepholes, projection and clipping.

    Variables: `lstm_cell/kernel` [I + P, 4H], `lstm_cell/bias` [4H]; with peepholes `w_f_diag`, `w_i_diag`, `w_o_diag`
    [H]; with a projection `projection/kernel` [H, P], else P = H.
    """

    def __init__(
        self,
        num_units,
        use_peepholes=False,
        cell_clip=None,
        initializer=None,
        num_proj=None,
        proj_clip=None,
        num_unit_shards=None,
        num_proj_shards=None,
        forget_bias=1.0,
        state_is_tuple=True,
        activation=None,
        reuse=None,
        name=None,
        dtype=None,
        **kwargs,
    ):
        """Takes TensorFlow 1.15's arguments.

        Args:
          num_units: H.
          use_peepholes: whether the gates see the cell state.
          cell_clip: bound of the cell state, from -cell_clip to cell_clip; 0.0 is a bound, too.
          initializer: of all variables but the bias: a TensorFlow initializer or its Keras name, or None for that of
            the scope.
          num_proj: P, width of the projected h; None for no projection.
          proj_clip: bound of the projected h.
          num_unit_shards, num_proj_shards: into how many parts kernel and projection are partitioned.
          forget_bias, state_is_tuple, activation, reuse, name, dtype, **kwargs: see `BasicLSTMCell`.
        """
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name=name, dtype=dtype, **kwargs)
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._initializer = names.initializer(initializer, "LSTMCell")
        self._num_proj = num_proj
        self._proj_clip = proj_clip
        self._num_unit_shards = num_unit_shards
        self._num_proj_shards = num_proj_shards

    @property
    def output_size(self):
        return self._num_proj or self._num_units

    def _add_variables(self, depth):
        super()._add_variables(depth, initializer=self._initializer, partitioner=_partitioner(self._num_unit_shards))
        if self._use_peepholes:
            shape = [self._num_units]
            self._w_f_diag = self.add_variable("w_f_diag", shape, initializer=self._initializer)
            self._w_i_diag = self.add_variable("w_i_diag", shape, initializer=self._initializer)
            self._w_o_diag = self.add_variable("w_o_diag", shape, initializer=self._initializer)
        if self._num_proj:
            self._proj_kernel = self.add_variable(
                "projection/kernel",
                [self._num_units, self._num_proj],
                initializer=self._initializer,
                partitioner=_partitioner(self._num_proj_shards),
            )

    def _extras(self):
        peepholes, projection, projection_clip = None, None, None
        if self._use_peepholes:
            peepholes = [tf.convert_to_tensor(w) for w in (self._w_i_diag, self._w_f_diag, self._w_o_diag)]
        if self._num_proj:
            projection, projection_clip = tf.convert_to_tensor(self._proj_kernel), self._proj_clip
        return equations.Extras(peepholes, self._cell_clip, projection, projection_clip)

    def call(self, inputs, state):
        c, h = self._unpack(inputs, state)
        i, j, f, o = self._gates(inputs, h)
        activation = self._activation
        f = f + self._forget_bias
        if self._use_peepholes:
            f, i = f + self._w_f_diag * c, i + self._w_i_diag * c
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * activation(j)
        if self._cell_clip is not None:
            c = tf.clip_by_value(c, -self._cell_clip, self._cell_clip)
        if self._use_peepholes:
            o = o + self._w_o_diag * c
        h = tf.sigmoid(o) * activation(c)
        if self._num_proj:
            h = tf.matmul(h, self._proj_kernel)
            if self._proj_clip is not None:
                h = tf.clip_by_value(h, -self._proj_clip, self._proj_clip)
        return h, self._pack(c, h)

    def get_config(self):
        config = super().get_config()
        config.update(
            use_peepholes=self._use_peepholes,
            cell_clip=self._cell_clip,
            initializer=names.initializer_config(self._initializer),
            num_proj=self._num_proj,
            proj_clip=self._proj_clip,
            num_unit_shards=self._num_unit_shards,
            num_proj_shards=self._num_proj_shards,
        )
        return config


def _partitioner(shards):
    return None if shards is None else tf.fixed_size_partitioner(shards)
