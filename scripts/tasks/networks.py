"""Parts of the tasks' networks: recurrent layers (those of StackedLSTM or of a peer) and dense layers."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

import peers
from shared import layer_options
from shared.options import format_value
from stacked_lstm import BidirectionalLSTM, StackedLSTM, compat, initializers
from stacked_lstm.compat import tf
from stacked_lstm.custom_gradient import custom_gradient


class Network(NamedTuple):
    """A network in the graph.

    Fields:
      feeds: name -> placeholder, see `inputs`; the names are those of the task's `tasks.examples.Examples`.
      losses: float32 [B], one per example; training makes their mean smaller.
      scores: float32 [B], one per example; their mean is reported.
      predictions: float32 [B, ...], what the network says about each example, from the inputs alone.
      training: bool [], a placeholder that is False if it is not fed: whether to drop values. None without dropout.
    """

    feeds: Mapping[str, tf.Tensor]
    losses: tf.Tensor
    scores: tf.Tensor
    predictions: tf.Tensor
    training: tf.Tensor | None = None


def inputs(types: Mapping[str, tuple[Any, Any]], batch: Mapping[str, tf.Tensor] | None = None) -> dict[str, tf.Tensor]:
    """Adds the inputs of a network to the graph.

    Args:
      types: name -> (dtype, shape).
      batch: name -> tensor, the value of an input that is not fed. None: each input must be fed.

    Returns:
      name -> placeholder.
    """
    if batch is None:
        return {name: tf.placeholder(*kind) for name, kind in types.items()}
    return {
        name: tf.placeholder_with_default(tf.cast(batch[name], dtype), shape) for name, (dtype, shape) in types.items()
    }


class Recurrent:
    """The recurrent layers that the flags ask for: a function from a sequence to the last layer's outputs.

    Attributes:
      description: what was built, for people; None before the call.
      training: the placeholder of the call that switches dropout and zoneout on; None if the layers have neither.
      engine: name of StackedLSTM's engine; None before the call, and for a peer.
      steps: the states and gates that the layers return with `return_steps=True`; None without it.
      lengths: the lengths of the sequences of the last call.
    """

    def __init__(
        self,
        hidden_sizes: list[int],
        peer: str | None = None,
        seed: int = 0,
        is_trained: bool = True,
        return_steps: bool = False,
        **options: Any,
    ) -> None:
        """Checks the options.

        Args:
          hidden_sizes: widths of the layers.
          peer: a name of `peers.PEERS` that has a `build`; None for StackedLSTM.
          seed: the masks depend on it, and on the global step.
          is_trained: whether the network will be trained. Otherwise the graph has no masks.
          return_steps: whether the states and gates of all time steps are returned, too, as `steps`.
          **options: StackedLSTM's arguments, None for its default; for a peer those of `peers.SETTINGS`.

        Raises:
          ValueError: the peer does not have these options, or StackedLSTM does not have these values.
        """
        for flag, value in options.items():
            if peer and (value or None) != peers.SETTINGS[flag]:
                expected = peers.SETTINGS[flag] or "none"
                raise ValueError(f"--{flag}: expected {expected} with --peer={peer}, got {format_value(value)}")
        self._hidden_sizes, self._peer, self._seed, self._is_trained = hidden_sizes, peer, seed, is_trained
        self._return_steps = return_steps
        self._options = {name: value for name, value in options.items() if value is not None}
        if not peer:
            with layer_options.flag_errors():
                StackedLSTM(hidden_sizes, **self._options)
        self.description: str | None = None
        self.engine: str | None = None
        self.training: tf.Tensor | None = None
        self.steps: Any = None
        self.lengths: Any = None
        self._lstm: StackedLSTM | BidirectionalLSTM | None = None

    def __call__(
        self, inputs: tf.Tensor, lengths: Any = None, training: Any = None, bidirectional: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Adds the layers to the graph; a further call uses the same variables.

        Args:
          inputs: float32 [B, T, I].
          lengths: int32 [B], the number of steps of each sequence; None if each has T.
          training: bool [], a placeholder; None for a new one if the layers need one.
          bidirectional: whether each layer reads the sequences in both directions; its outputs are side by side.

        Returns:
          (outputs [B, T, H_L], the output at the last step of each sequence [B, H_L]). With `bidirectional`,
          (outputs [B, T, 2 H_L], None).

        Raises:
          ValueError: an engine that cannot run here, or not these layers.
        """
        if self._peer:
            return self._peer_layers(inputs, lengths, bidirectional)
        if self._is_trained and layer_options.is_random(self._options):
            self.training = tf.placeholder_with_default(False, []) if training is None else training
        with layer_options.flag_errors():
            lstm = self._lstm = self._lstm or self._make_lstm(bidirectional)
            arguments = {"training": self.training, "return_steps": self._return_steps}
            outputs, state, *steps = lstm(inputs, sequence_length=lengths, **arguments)
        self.steps, self.lengths = steps[0] if steps else None, lengths
        engine, reason = lstm.engine_used
        if engine == "cudnn" and not compat.gpu_visible():  # TensorFlow's own message fills a screen.
            raise ValueError(
                f"--engine: expected the engine native or graph where TensorFlow sees no GPU, got cudnn ({reason})"
            )
        self.engine = engine
        self.description = f"{type(lstm).__name__} {lstm.hidden_sizes}, engine {engine} ({reason})"
        if bidirectional:
            return outputs, None
        # The state does not have what stands between the last layer and the outputs.
        is_state = not (self._options.get("residual") or self._options.get("output_dropout"))
        return outputs, state[-1].h if is_state else _reverse(outputs, lengths)[:, 0]

    def _make_lstm(self, bidirectional: bool) -> StackedLSTM | BidirectionalLSTM:
        options = self._options
        if self.training is not None:
            step = tf.cast(tf.train.get_or_create_global_step(), tf.int64)
            options = dict(options, seed=self._seed * 2**32 + step)  # A resumed run has the masks it would have had.
        return (BidirectionalLSTM if bidirectional else StackedLSTM)(self._hidden_sizes, **options)

    def _peer_layers(self, inputs: tf.Tensor, lengths: Any, bidirectional: bool) -> tuple[tf.Tensor, Any]:
        build = peers.load(peers.PEERS[self._peer].build)
        if not bidirectional:
            built = build(self._hidden_sizes, inputs, lengths)
            self.description = f"{self._hidden_sizes} of {built.source}"
            return built.outputs, built.state[-1].h
        for k, size in enumerate(self._hidden_sizes):
            with tf.variable_scope(f"layer_{k + 1}/forward"):
                forward = build([size], inputs, lengths)
            with tf.variable_scope(f"layer_{k + 1}/backward"):
                backward = build([size], _reverse(inputs, lengths), lengths)
            inputs = tf.concat([forward.outputs, _reverse(backward.outputs, lengths)], axis=2)
        self.description = f"{self._hidden_sizes} of {forward.source}, in both directions"
        return inputs, None


def _reverse(series: tf.Tensor, lengths: Any) -> tf.Tensor:
    """Reverses each sequence of [B, T, N] up to its own end."""
    return tf.reverse(series, [1]) if lengths is None else tf.reverse_sequence(series, lengths, seq_axis=1)


def pooled(outputs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The mean and the largest value of each output over the steps of a sequence.

    Args:
      outputs: float32 [B, T, N].
      lengths: int32 [B].

    Returns:
      float32 [B, 2 N], zeros for sequences without steps.
    """
    count = tf.cast(lengths, outputs.dtype)[:, tf.newaxis]
    is_step = tf.sequence_mask(lengths, tf.shape(outputs)[1], outputs.dtype)[:, :, tf.newaxis]
    mean = tf.reduce_sum(outputs * is_step, axis=1) / tf.maximum(count, 1)
    largest = tf.reduce_max(outputs + (is_step - 1) * 1e9, axis=1) * tf.minimum(count, 1)
    return tf.concat([mean, largest], axis=1)


def lookup(table: Any, ids: tf.Tensor, once: bool = False) -> tf.Tensor:
    """Looks up vectors in an embedding.

    Args:
      table: variable [N, E]; it may be partitioned into parts of consecutive rows.
      ids: int [B, T], numbers of rows.
      once: whether each row is fetched once, and its gradient sent back once. This is for a table on another machine.

    Returns:
      The vectors, [B, T, E].
    """
    if not once:
        return tf.nn.embedding_lookup(table, ids, partition_strategy="div")
    distinct, places = tf.unique(tf.reshape(ids, [-1]))

    @custom_gradient
    def spread(rows: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            flat = tf.reshape(dy, [-1, dy.shape.as_list()[-1]])
            return tf.unsorted_segment_sum(flat, places, tf.shape(distinct)[0])

        return tf.gather(rows, tf.reshape(places, tf.shape(ids))), gradient

    return spread(tf.nn.embedding_lookup(table, distinct, partition_strategy="div"))


def dropout(x: tf.Tensor, rate: float, training: tf.Tensor, seed: tuple[int, int]) -> tf.Tensor:
    """Sets a share of the values of a tensor to zero in training, and divides the others by 1 - rate.

    The mask depends only on the seed and on the global step, so a resumed run has the masks that it would have had.

    Args:
      x: any tensor of floats.
      rate: the probability of a zero, at least 0 and less than 1.
      training: bool []; if it is False, the result is x.
      seed: two integers; each call in a network has others.

    Returns:
      A tensor of x's shape.
    """
    if not rate:
        return x
    # From the seed, TensorFlow computes uniform numbers without a state of its own.
    step = tf.cast(tf.train.get_or_create_global_step(), tf.int64)
    uniform = tf.random.stateless_uniform(tf.shape(x), tf.stack([seed[0] * 2**32 + seed[1], step]))
    return tf.cond(training, lambda: x * tf.cast(uniform >= rate, x.dtype) / (1 - rate), lambda: tf.identity(x))


def dense(x: tf.Tensor, units: int, activation: Callable | None = None, seed: int | None = None) -> tf.Tensor:
    """Adds a dense layer, whose variables are W and b in a new scope `dense...`.

    Args:
      x: [B, I].
      units: number of outputs.
      activation: a function of the outputs; None for none.
      seed: W starts the same whatever is in the graph. Without it, TensorFlow's seed depends on the ops before it.

    Returns:
      activation(x W + b), [B, units].
    """
    initializer = initializers.get("glorot_bengio") if seed is None else tf.glorot_uniform_initializer(seed)
    with tf.variable_scope(None, "dense"):
        W = tf.get_variable("W", [x.shape.as_list()[-1], units], x.dtype, initializer)
        b = tf.get_variable("b", [units], x.dtype, tf.zeros_initializer())
        y = tf.nn.bias_add(tf.matmul(x, W), b)
        return activation(y) if activation else y
