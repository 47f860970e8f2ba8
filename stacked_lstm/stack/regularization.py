"""The dropout, zoneout and residual connections of one call of a stack, as the `Segment` that engines run.

Dropout on inputs and outputs, and residual connections, stand around layers, so each engine runs them. What happens
within steps is `equations.Noise`.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm import tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import mask_ops, residual
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.dropout_masks import Seed
from stacked_lstm.lstm.equations import Noise, Resets
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.stack import options
from stacked_lstm.stack.options import LayerOptions
from stacked_lstm.stack.steps import Record, recorded
from stacked_lstm.stack.weights import LayerWeights


class NoiseSampler(NamedTuple):
    """Samples the masks and the noise of one call.

    Fields:
      training: bool, or bool scalar tensor.
      seed: int, `TensorSeed`, or None.
      steps, batch: T and B, ints or scalar tensors.
      dtype: tf.DType of masks.
      function: the name of the stack, for messages when the graph runs.
      engine: the name of the engine that the stack asks for, or "auto".
    """

    training: Any
    seed: Seed
    steps: Any
    batch: Any
    dtype: tf.DType
    function: str
    engine: str

    def dropout(self, rate: Any, argument: str, place: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """Returns the function that drops out of a series [T, B, N], with a mask per step; None if nothing is dropped.

        Args:
          rate: float, or scalar tensor.
          argument: the argument that has the rate, for messages.
          place: a name that no other mask of the stack has. The seed depends on it.
        """
        keep_prob = self._keep_prob(rate, argument)
        if keep_prob is None:
            return None
        seed = dropout_masks.seed_at(place, self.seed)
        return lambda series: dropout_masks.drop_in_each_step(series, keep_prob, seed)

    def noise(self, layer: Layer, layer_options: LayerOptions, scope: str) -> Noise:
        """Returns the `Noise` of a layer. `scope` is a name that no other layer has."""
        parts: dict[str, Callable[[], Any]] = {}
        if self.training is not False and _is_some(layer_options.recurrent_dropout):
            is_variational = layer_options.recurrent_dropout_kind == options.VARIATIONAL
            shape = [self.batch, layer.output_size] if is_variational else [self.steps, self.batch, layer.hidden_size]
            seed = dropout_masks.seed_at(f"{scope}/recurrent_dropout", self.seed)
            name = "recurrent" if is_variational else "candidate"
            parts[name] = lambda: self._recurrent_mask(layer_options.recurrent_dropout, shape, seed)
        for field, rate, width in [
            ("zoneout_c", layer_options.zoneout_c, layer.hidden_size),
            ("zoneout_h", layer_options.zoneout_h, layer.output_size),
        ]:
            if _is_some(rate):
                seed_of_field = dropout_masks.seed_at(f"{scope}/{field}", self.seed)
                parts[field] = functools.partial(self._share, rate, field, width, seed_of_field)
        layer = layer._replace(noise=Noise(**dict.fromkeys(parts, 0.0)))  # The choice of ops needs no values.
        with mask_ops.choose(self.engine, lambda: [layer]):
            return Noise(**{name: draw() for name, draw in parts.items()})

    def _recurrent_mask(self, rate: Any, shape: list[Any], seed: Seed) -> tf.Tensor:
        return dropout_masks.draw(tf.stack(shape), self._keep_prob(rate, "recurrent_dropout"), seed, self.dtype)

    def _share(self, rate: Any, field: str, width: int, seed: Seed) -> Any:
        """The share of the old state that zoneout keeps: noise while training, and its expectation at other times."""
        rate = self._checked(rate, field, options.UP_TO_ONE)
        if self.training is False:
            return tf.cast(rate, self.dtype) if tf.is_tensor(rate) else rate
        shape = tf.stack([self.steps, self.batch, width])
        if self.training is True:
            return dropout_masks.zoneout(shape, rate, seed, self.dtype)
        return dropout_masks.zoneout_if(self.training, shape, rate, seed, self.dtype)

    def _keep_prob(self, rate: Any, argument: str) -> Any:
        """The probability that an entry is kept; None if no entry is ever dropped."""
        if self.training is False or not _is_some(rate):
            return None
        rate = self._checked(rate, argument, options.BELOW_ONE)
        return 1 - (rate if self.training is True else rate * tf.cast(self.training, self._noise_dtype))

    def _checked(self, rate: Any, argument: str, interval: str) -> Any:
        """A rate that is a tensor, in the dtype of the noise, with a check that runs with the graph."""
        if not tf.is_tensor(rate):
            return rate
        rate = tensor_checks.scalar(rate, self.function, f"`{argument}` to be a scalar")
        is_small = rate < 1 if interval == options.BELOW_ONE else rate <= 1
        message = f"{self.function}: expected `{argument}` to be a rate {interval}, got"
        with tf.control_dependencies([tensor_checks.assertion((rate >= 0) & is_small, [message, rate])]):
            return tf.cast(tf.identity(rate), self._noise_dtype)

    @property
    def _noise_dtype(self) -> tf.DType:
        return dropout_masks.noise_dtype(self.dtype)


def _is_some(rate: Any) -> bool:
    """Whether a rate is a tensor, or a number other than 0."""
    return tf.is_tensor(rate) or bool(rate)


def segment(
    layers: Sequence[LayerWeights],
    layer_options: Sequence[LayerOptions],
    output_dropout: Any,
    sampler: NoiseSampler,
    resets: Sequence[Resets | None],
    records: list[Record] | None = None,
) -> Segment:
    """Returns a stack as the `Segment` that engines run.

    Args:
      layers: the variables of each layer.
      layer_options: the options of each layer.
      output_dropout: float or scalar tensor, the rate of dropout on the outputs of the stack.
      sampler: the `NoiseSampler` of the call.
      resets: the `Resets` of each layer, or None.
      records: a list to which each layer adds a `Record` when it runs; None for none.
    """
    rows = enumerate(zip(layers, layer_options, resets))
    parts = [_part(f"layer_{k + 1}", *row, sampler) for k, row in rows]
    if records is not None:
        parts = [recorded(part, records) for part in parts]
    drop = sampler.dropout(output_dropout, "output_dropout", "output_dropout")
    return Segment(parts, after=(lambda x, h: drop(h)) if drop else None)


def _part(
    scope: str, weights: LayerWeights, layer_options: LayerOptions, resets: Resets | None, sampler: NoiseSampler
) -> Layer | Segment:
    """A layer, and what stands around it. A residual connection adds the input as it is before dropout."""
    layer = weights.layer().cast(sampler.dtype)
    layer = layer._replace(resets=resets)
    layer = layer._replace(noise=sampler.noise(layer, layer_options, scope))
    argument = "input_dropout" if scope == "layer_1" else "dropout"
    drop = sampler.dropout(layer_options.dropout, argument, f"{scope}/dropout")
    if not drop and not layer_options.residual:
        return layer
    return Segment([layer], before=drop, after=residual.add_input if layer_options.residual else None)
