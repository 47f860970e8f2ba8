"""The options of a layer of `numpy_lstm` besides its arrays, such as masks and clips, and their checks."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm.checks import bound, is_number
from stacked_lstm.numpy_lstm import checks


class LayerOptions(NamedTuple):
    """The options of a layer of `numpy_lstm.forward`. T, B, I, H and P are as in `numpy_lstm.forward`.

    A mask or share is a number, or an array that broadcasts with the shape in this list. An array with three axes has
    an entry per step, or one entry for all steps.

    Args:
      input_mask: [T, B, I], multiplies the input of the layer. Default 1.0.
      recurrent_mask: [T, B, P], multiplies h in the product with the weights, also the initial h. Default 1.0.
      candidate_mask: [T, B, H], multiplies the candidate g. Default 1.0.
      zoneout_c: [T, B, H], the share of c before the step in c after the step. Default 0.0.
      zoneout_h: [T, B, P], the same for h. Default 0.0.
      layer_norm: True or "tensorflow", for a layer with `gain_cell`. With True, h is computed from the normalized cell
        state, and the next step reads the cell state itself. With "tensorflow", the next step also reads the normalized
        cell state, as in TensorFlow 1's LayerNormBasicLSTMCell. Default True.
      epsilon: float, added to the variance. Default None: 1e-5, and 1e-12 if `layer_norm` is "tensorflow".
      cell_clip: float, the bound of the cell state. Default None: no bound.
      projection_clip: float, the bound of the projected h. Default None: no bound.
      residual: bool, whether the input is added to the output. Default False.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> layer = {"W" + k: np.ones([3 + 3, 3]) for k in "fioc"}  # H = 3, I = 3, without biases
      >>> options = numpy_lstm.LayerOptions(cell_clip=0.5, residual=True)
      >>> outputs, state, cache = numpy_lstm.forward([layer], np.ones([2, 1, 3]), options=[options])
      >>> print(state[0].c, outputs[1].round(2))  # 1 + sigmoid(3) tanh(0.5) is about 1.45
      [[0.5 0.5 0.5]] [[1.46 1.46 1.46]]
    """

    input_mask: Any = 1.0
    recurrent_mask: Any = 1.0
    candidate_mask: Any = 1.0
    zoneout_c: Any = 0.0
    zoneout_h: Any = 0.0
    layer_norm: Any = True
    epsilon: float | None = None
    cell_clip: float | None = None
    projection_clip: float | None = None
    residual: bool = False

    def at(self, t: int) -> LayerOptions:
        """Returns the options of step t. Their arrays with three axes are replaced by entry t."""
        steps = {name: value[t] for name, value in self._asdict().items() if np.ndim(value) == 3}
        return self._replace(**steps)

    def change_the_step(self) -> bool:
        """Returns whether a step with these options may differ from a step without options."""
        plain = LayerOptions(input_mask=self.input_mask, residual=self.residual)
        return any(np.ndim(value) or value != default for value, default in zip(self, plain))


def checked_options(
    values: Any, layers: Sequence[Mapping[str, np.ndarray]], x_shape: tuple[int, ...], function: str
) -> list[LayerOptions]:
    """Returns the argument `options` as a `LayerOptions` per layer, with float64 arrays.

    Args:
      values: the argument; None for no options.
      layers: the layers, checked.
      x_shape: (T, B, I).
      function: the caller, for messages.

    Raises:
      ValueError: not one `LayerOptions` per layer, a mask that does not broadcast with its shape, a share that is not
        from 0 to 1, an unknown `layer_norm`, a wrong epsilon, clips that are not positive, a `projection_clip` without
        a projection, or a residual connection over unequal widths.
    """
    if values is None:
        return [LayerOptions()] * len(layers)
    is_list = isinstance(values, (list, tuple)) and all(isinstance(value, LayerOptions) for value in values)
    expected = f"`options` to be a list of {len(layers)} LayerOptions, one per layer"
    checks.require(is_list and len(values) == len(layers), function, expected, values)
    result, width = [], x_shape[2]
    for k, (options, layer) in enumerate(zip(values, layers)):
        hidden_size, output_size = checks.widths(layer)
        widths = dict(input_mask=width, recurrent_mask=output_size, candidate_mask=hidden_size)
        widths.update(zoneout_c=hidden_size, zoneout_h=output_size)
        shapes = {name: (*x_shape[:2], size) for name, size in widths.items()}
        options = _converted(options, shapes, function, f"options[{k}]")
        _check_settings(options, "Wp" in layer, (width, output_size), function, f"options[{k}]")
        result.append(options)
        width = output_size
    return result


def _converted(
    options: LayerOptions, shapes: Mapping[str, tuple[int, ...]], function: str, argument: str
) -> LayerOptions:
    """Returns the options with Python's bools, and masks and shares that are numbers or float64 arrays.

    Raises ValueError if a mask or a share is wrong. `shapes` has the shape of each of them.
    """
    arrays = {
        name: checks.broadcastable(getattr(options, name), shape, function, f"{argument}.{name}")
        for name, shape in shapes.items()
    }
    for name in ("zoneout_c", "zoneout_h"):
        is_share = np.all((0 <= np.asarray(arrays[name])) & (np.asarray(arrays[name]) <= 1))
        checks.require(is_share, function, f"`{argument}.{name}` of numbers from 0 to 1", arrays[name])
    if isinstance(options.layer_norm, np.bool_):
        options = options._replace(layer_norm=bool(options.layer_norm))
    return options._replace(**arrays)


def _check_settings(
    options: LayerOptions, has_projection: bool, widths: tuple[int, int], function: str, argument: str
) -> None:
    """Raises ValueError for options that are no arrays. `widths` are those of the input and the output."""
    kind, epsilon = options.layer_norm, options.epsilon
    checks.require(
        kind is True or kind == "tensorflow",
        function,
        f"`{argument}.layer_norm` to be True or 'tensorflow'",
        repr(kind),
    )
    for name in ("cell_clip", "projection_clip"):
        bound(getattr(options, name), f"numpy_lstm.{function}", f"{argument}.{name}")
    has_place = options.projection_clip is None or has_projection
    checks.require(has_place, function, f"`{argument}.projection_clip` with Wp in the layer", "a layer without Wp")
    is_valid = epsilon is None or (is_number(epsilon) and float(epsilon) >= 0)
    checks.require(is_valid, function, f"`{argument}.epsilon` to be None or a number from 0 on", repr(epsilon))
    is_bool = isinstance(options.residual, (bool, np.bool_))
    checks.require(is_bool, function, f"`{argument}.residual` to be True or False", repr(options.residual))
    fits = not options.residual or widths[0] == widths[1]
    expected = f"a layer as wide as its input for `{argument}.residual`"
    checks.require(fits, function, expected, f"input {widths[0]}, output {widths[1]}")
