"""StackedLSTM: LSTM layers with one weight matrix per gate, and an initial state. An engine computes them."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.stack.graph import StackGraph
from stacked_lstm.stack.variables import DEFAULT_NAME


class StackedLSTM(StackGraph):
    """A stack of LSTM layers for TensorFlow 1 graphs.

    Each layer processes the time steps in order. In the first layer, x is the input of the stack at the time step. In
    the other layers, x is the new hidden state h' of the layer below. c and h are the state after the previous time
    step. `[h, x]` means concatenation. `*` multiplies element by element:

        f = sigma([h, x] Wf + bf)      forget gate: how much of the old cell state stays
        i = sigma([h, x] Wi + bi)      input gate: how much of the candidate is added
        g = tanh([h, x] Wc + bc)       candidate: what may be added to the cell state
        o = sigma([h, x] Wo + bo)      output gate: how much of the cell state becomes output
        c' = f * c + i * g             new cell state
        h' = o * tanh(c')              new hidden state, the output of the layer at this time step

    The weights and the bias of the candidate g are named Wc and bc. sigma is the logistic function 1 / (1 + exp(-z)).
    `recurrent_activation` replaces sigma. `activation` replaces tanh in g and h'.

    Shapes use these letters: B batch size, T number of time steps, I number of input features, H_l number of units of
    layer l, L number of layers.

    Variables. Layers count from 1. With the default name, layer l has the variables

        stacked_lstm/layer_l/Wf, .../Wi, .../Wc, .../Wo    [H_l + I_l, H_l], the rows for h before the rows for x
        stacked_lstm/layer_l/bf, .../bi, .../bc, .../bo    [H_l], unless use_bias=False

    where I_l is I for the first layer and H_(l-1) for the others. Options add

        stacked_lstm/layer_l/pf, .../pi, .../po            [H_l], if peepholes
        stacked_lstm/layer_l/Wp                            [H_l, P_l], if projection_size=P_l
        stacked_lstm/layer_l/gain_f, .../gain_i, .../gain_o, .../gain_c, .../gain_cell    [H_l], if layer_norm
        stacked_lstm/layer_l/shift_cell                    [H_l], if layer_norm, unless use_bias=False

    With projection_size=P_l, h and the output of layer l have the width P_l. Wf is then [P_l + I_l, H_l], I_(l+1) is
    P_l, and h and W_h of an initial state have P_l columns. The initial state may add

        stacked_lstm/initial_state/layer_l/c, .../h        [H_l], if initial_state="learned"
        stacked_lstm/initial_state/layer_l/W_c, .../W_h    [I_l, H_l], if initial_state="projected"

    These names and shapes do not change between versions, so that checkpoints stay valid. All variables are trainable.
    They are in the collections GLOBAL_VARIABLES and TRAINABLE_VARIABLES, which optimizers and `tf.train.Saver` use. The
    first call of the object, or `build`, creates the variables. Later calls reuse them.

    Options. Arguments add dropout, zoneout, layer normalization, residual connections, projections, peepholes and
    clips. m and n are masks, and u is the new cell state before zoneout:

        z_k = N([m * h, x] W_k) * gain_k + b_k + p_k * c   recurrent dropout m; layer normalization N; peepholes, for
                                                           k = f and k = i with c, for k = o with u
        u = clip(f * c + i * n * g)                        dropout n on the candidate; cell_clip
        c' = q * c + (1 - q) * u                           zoneout, with noise q of 0 and 1
        h' = r * h + (1 - r) * clip((o * tanh(u)) Wp)      zoneout; the projection and projection_clip

    `help("stacked_lstm.numpy_lstm.option_equations")` has all equations with their gradients. Masks and noise are drawn
    while the argument `training` of the call is true. At other times nothing is dropped, and q and r are the rates of
    zoneout, which are the means of the noise.

    Graphs. Eager mode must be off, for example by `tf.disable_v2_behavior()`. `tf.device` around the call sets the
    device of the layers. A graph of the `native` engine loads only where this package is installed. A graph of
    the `cudnn` engine needs an NVIDIA GPU. For other programs, use `engine="graph"`.

    Attributes:
      hidden_sizes: list of ints, [H_1, ..., H_L].
      state_sizes: list with the widths of c and h of each layer.
      dtype: the `tf.DType` of variables, inputs, outputs and states.
      compute_dtype: the `tf.DType` in which the layers compute.
      name: the scope of the variables.
      engine_used: `engines.EngineUsed(name, reason)`: the engine of the last call and the reason for its choice. None
        before the first call.
      variables, weights, trainable_variables: the list of all variables, under three names that TensorFlow 1's layers
        have.
      layers: list with one object per layer, whose attributes are the variables: `lstm.layers[0].Wf`.
      variables_by_layer: `Weights(layers, initial_state)`, two lists with one dictionary of variables per layer.

    Sources:
      The LSTM: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997.
      The forget gate: Gers, Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000.

    Example: a network that learns the sum of the first input feature over a sequence.

      >>> x = tf.placeholder(tf.float32, [None, None, 2])        # [batch, time, input]
      >>> lengths = tf.placeholder(tf.int32, [None])
      >>> lstm = stacked_lstm.StackedLSTM([16, 8])
      >>> outputs, state = lstm(x, sequence_length=lengths)
      >>> lstm
      StackedLSTM([16, 8], input_size=2, 2,016 parameters)
      >>> prediction = tf.reduce_sum(state[-1].h, axis=1)        # h of the last layer at the end of each sequence
      >>> loss = tf.reduce_mean(tf.square(prediction - tf.reduce_sum(x[:, :, 0], axis=1)))
      >>> train = tf.train.AdamOptimizer(0.01).minimize(loss)
      >>> batch = np.random.RandomState(0).uniform(size=[4, 5, 2])
      >>> batch[1, 3:] = 0                                       # the second sequence has 3 time steps
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     feed = {x: batch, lengths: [5, 3, 5, 5]}
      ...     losses = [session.run([loss, train], feed)[0] for _ in range(20)]
      ...     print(session.run(outputs, feed).shape, losses[-1] < losses[0])
      (4, 5, 8) True

    A deeper network with dropout, which is off unless a session feeds `is_training`:

      >>> is_training = tf.placeholder_with_default(False, [])
      >>> options = {"dropout": 0.3, "recurrent_dropout": 0.2, "residual": "after layer 1"}
      >>> lstm = stacked_lstm.StackedLSTM([8, 8, 8], name="deep", **options)
      >>> outputs, state = lstm(x, training=is_training)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     runs = [session.run(outputs, {x: batch, is_training: value}) for value in (False, False, True, True)]
      ...     print(np.array_equal(runs[0], runs[1]), np.array_equal(runs[2], runs[3]))
      True False
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int],
        *,
        initial_state: str = "zeros",
        activation: str | Callable[[tf.Tensor], tf.Tensor] = "tanh",
        recurrent_activation: str | Callable[[tf.Tensor], tf.Tensor] = "sigmoid",
        use_bias: bool = True,
        forget_bias: float = 1.0,
        weight_initializer: str | Callable | Mapping[str, Any] = "dl",
        bias_initializer: str | Callable | Mapping[str, Any] = "zeros",
        dtype: tf.DType = tf.float32,
        compute_dtype: tf.DType | None = None,
        engine: str = "auto",
        name: str = DEFAULT_NAME,
        input_dropout: Any = 0.0,
        dropout: Any = 0.0,
        output_dropout: Any = 0.0,
        recurrent_dropout: Any = 0.0,
        recurrent_dropout_kind: str | Sequence[str] = "variational",
        zoneout_c: Any = 0.0,
        zoneout_h: Any = 0.0,
        layer_norm: bool | str | Sequence[bool | str] = False,
        residual: bool | str | Sequence[bool] = False,
        projection_size: int | None | Sequence[int | None] = None,
        peepholes: bool | Sequence[bool] = False,
        cell_clip: float | None | Sequence[float | None] = None,
        projection_clip: float | None | Sequence[float | None] = None,
        seed: Any = None,
    ) -> None:
        """Configures the stack. It creates no variables and no ops.

        Args:
          hidden_sizes: sequence of positive ints, the number of units of each layer, first layer first.
          initial_state: str, the kind of initial state, if the call passes no states. Default "zeros",
            which needs no variables, as in dynamic_rnn. "learned": two trainable vectors c and h per layer, which are
            zero before training. "projected": computed by trainable matrices from the input x_0 of the first time step.
            The first layer starts with c = tanh(x_0 W_c) and h = tanh(x_0 W_h). Each other layer starts with
            c = tanh(c_below W_c) and h = tanh(h_below W_h), where c_below and h_below are the initial c and h of the
            layer below.
          activation: str or callable, the function that is tanh in the equations of g and h'. Default "tanh", the only
            one that the `cudnn` engine supports. Other names are "sigmoid", "hard_sigmoid" (Keras 2), "hard_sigmoid_6"
            (Keras 3), "relu" and "linear". Only the `graph` engine supports "elu", "selu", "softplus", "softsign",
            "relu6", "leaky_relu", "swish", and functions from a tensor to a tensor of the same shape.
          recurrent_activation: str or callable, the function of the three gates. It takes the same values as
            `activation`. Default "sigmoid", the only one that the `cudnn` engine supports. The sigmoid lies
            between 0 (gate closed) and 1 (gate open).
          use_bias: bool, whether there are biases bf, bi, bc and bo. Default True.
          forget_bias: float, added to the initial value of the variable bf. Nothing is added at run time, unlike in
            `BasicLSTMCell`. Default 1.0, which opens the forget gates, so that gradients reach early time steps when
            training begins (Jozefowicz, Zaremba and Sutskever, An Empirical Exploration of Recurrent Network
            Architectures, ICML 2015).
          weight_initializer: str, callable or mapping, the initial values of the matrices. Default "dl": uniform in
            +-1 / sqrt(rows). The variance of [h, x] W then does not grow with the number of units (Goodfellow, Bengio
            and Courville, Deep Learning, 2016, section 8.4). Other names are "tn", "xavier", "he", "glorot_bengio",
            "orthogonal", "zeros" and those of Keras, such as "glorot_uniform"; `help(stacked_lstm.initializers)`
            explains them. A string can also be the path of a CSV file. A callable is a TensorFlow initializer. A
            mapping assigns one of these values to the names of variables, without the scope of the stack, for example
            {"layer_1/Wf": "wf.csv"}. Other variables have the default. Peepholes and projections are weights.
          bias_initializer: str, callable or mapping, the initial values of the biases. It takes the same values as
            `weight_initializer`. Default "zeros". A mapping can also name the vectors of a learned initial state, such
            as "initial_state/layer_1/h". Their default is zero. This argument also sets shift_cell, and sets the gains
            to its values plus 1.
          dtype: `tf.DType` or its name, one of float16, bfloat16, float32 and float64: the dtype of variables, inputs,
            outputs and states. Default float32. Inputs must have this dtype. They are not converted. Adam cannot
            train float16 or bfloat16 variables; use `compute_dtype` instead.
          compute_dtype: `tf.DType` or its name, the dtype in which the layers compute. Default None: `dtype`. With
            compute_dtype=tf.float16 or tf.bfloat16, the layers round the inputs, the initial states and the weights to
            half precision, and compute products, gates and the states between time steps in it. Variables, gradients,
            outputs and final states have `dtype`, so checkpoints are those of a float32 stack. "graph" and "cudnn"
            support float16, "graph" also bfloat16. float16 needs loss scaling; see "Half precision" in
            stacked_lstm/engines/README.md.
          engine: str, the implementation of the layers: "cudnn" for NVIDIA GPUs, "native" for CPUs, "graph" for all
            devices, or "auto". Default "auto", the first of these three that supports the layers and the device.
            "native" needs a C++ compiler at its first use on a machine. "cudnn" turns TF32 off for the whole program,
            unless STACKED_LSTM_TF32=1 is in the environment. The environment variable
            STACKED_LSTM_ENGINE names the engine that "auto" selects.
          name: str, the scope of the variables. Default "stacked_lstm". Two stacks in one variable scope need two
            names. To share weights, call one stack twice, or give two stacks the same name under
            `tf.variable_scope(..., reuse=True)` or reuse=tf.AUTO_REUSE. Under tf.AUTO_REUSE, two stacks with the
            default name in one `with` block of a scope are an error, because they would share weights by accident.
          input_dropout: float or scalar tensor, the rate of dropout on the inputs of the stack: the probability that an
            entry is set to zero, from 0 to below 1. Kept entries are divided by 1 - rate. Each time step has a new mask
            (Zaremba, Sutskever and Vinyals, Recurrent Neural Network Regularization, 2014). Default 0.0.
            `input_dropout`, `output_dropout` and `seed` are one value each. Each other option is one value for all
            layers, or a list or array with one value per layer.
          dropout: the same between layers. A list has L - 1 rates. A stack of one layer ignores this argument.
          output_dropout: the same on the outputs of the stack. The returned state is not dropped out.
          recurrent_dropout: float or scalar tensor, the rate of dropout within the steps, from 0 to below 1. Default
            0.0.
          recurrent_dropout_kind: str, what recurrent dropout drops. Default "variational": entries of h in the product
            with the weights, with one mask per sequence for all time steps, also the first (Gal and Ghahramani, A
            Theoretically Grounded Application of Dropout in Recurrent Neural Networks, 2016). "candidate": entries of
            g, with a new mask for each time step, so the cell state is never dropped (Semeniuta, Severyn and Barth,
            Recurrent Dropout without Memory Loss, 2016).
          zoneout_c: float or scalar tensor, the probability that an entry of the cell state stays as it was before the
            time step, from 0 to 1. Default 0.0 (Krueger and others, Zoneout, ICLR 2017).
          zoneout_h: the same for the hidden state.
          layer_norm: bool or str. Default False. True: layer normalization of the products of the four gates, each with
            a gain, and with the bias as its shift; and of the cell state where h' is computed from it (Ba, Kiros and
            Hinton, Layer Normalization, 2016). "tensorflow": as TensorFlow 1's `LayerNormBasicLSTMCell`, where the next
            time step also sees the normalized cell state, and where the variance has 1e-12 added instead of 1e-5.
          residual: bool or str, whether the input of a layer is added to its output. Both must have the same width.
            Default False. "after layer k": the layers above layer k have it (Wu and others, Google's Neural Machine
            Translation System, 2016). With dropout, the input is added as it is before dropout.
          projection_size: int, P_l, the width to which a matrix projects h (Sak, Senior and Beaufays, 2014). Default
            None: no projection.
          peepholes: bool, whether the gates f and i also see c, and o the new cell state (Gers, Schraudolph and
            Schmidhuber, 2002). Default False.
          cell_clip: float, the bound of the new cell state u. Default None: no bound.
          projection_clip: float, the bound of the projected h. Default None: no bound.
          seed: int, or integer scalar tensor. Default None: masks follow the seed of the graph. With an int, every mask
            has a seed of its own, which depends on this one, so that all sessions draw the same masks in the same
            order. Two calls of one stack draw the same masks. With a tensor, such as the global step, the masks depend
            only on its value, so a training that was interrupted continues with the same masks. XLA ignores an int as
            seed.

        Raises:
          ValueError: an argument is out of its range. The message names the argument.
        """
        super().__init__(
            name,
            hidden_sizes,
            dtype,
            compute_dtype=compute_dtype,
            engine=engine,
            output_dropout=output_dropout,
            seed=seed,
            layer_options=dict(
                input_dropout=input_dropout,
                dropout=dropout,
                recurrent_dropout=recurrent_dropout,
                recurrent_dropout_kind=recurrent_dropout_kind,
                zoneout_c=zoneout_c,
                zoneout_h=zoneout_h,
                layer_norm=layer_norm,
                residual=residual,
                projection_size=projection_size,
                peepholes=peepholes,
                cell_clip=cell_clip,
                projection_clip=projection_clip,
            ),
            functions=(activation, recurrent_activation),
            use_bias=use_bias,
            forget_bias=forget_bias,
            initial_state=initial_state,
            weight_initializer=weight_initializer,
            bias_initializer=bias_initializer,
        )
