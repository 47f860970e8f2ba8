"""The masks and noise that a stack draws, and the arguments of `numpy_lstm` that have them."""

import numpy as np

from stacked_lstm import numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.lstm import dropout_masks

SEED = 5  # Of the stacks.
NAMES_OF_RATES = ("input_dropout", "dropout", "output_dropout", "recurrent_dropout", "zoneout_c", "zoneout_h")
_PLACES = ("dropout", "recurrent_dropout", "zoneout_c", "zoneout_h")


class Masks:
    """Keeps the masks and noise that stacks draw. Their seeds tell which is which."""

    def __init__(self, monkeypatch):
        self._drawn = {}
        for name in ("draw", "zoneout"):
            monkeypatch.setattr(dropout_masks, name, self._keep(getattr(dropout_masks, name)))

    def _keep(self, function):
        def draw(shape, rate, seed, dtype):
            assert seed not in self._drawn, "two masks have one seed"
            self._drawn[seed] = function(shape, rate, seed, dtype)
            return self._drawn[seed]

        return draw

    def clear(self):
        """Forgets all masks."""
        self._drawn.clear()

    def all(self):
        """The masks in the order in which they were drawn."""
        return list(self._drawn.values())

    def at(self, place, seed=SEED):
        """The mask that was drawn at a place, or the number 0 if none was."""
        return self._drawn.get(dropout_masks.seed_at(place, seed), tf.constant(0.0, tf.float64))

    def by_place(self, layers, seed=SEED):
        """Place -> mask of a stack with this seed."""
        places = [f"layer_{k + 1}/{name}" for k in range(layers) for name in _PLACES]
        return {place: self.at(place, seed) for place in [*places, "output_dropout"]}


def numpy_options(values, lstm_options, layers):
    """Returns the arguments `options` and `output_mask` of `numpy_lstm.forward`.

    Args:
      values: the arrays of `Masks.by_place`.
      lstm_options: the options of the stack.
      layers: the number of layers.
    """
    options = []
    for k in range(layers):
        drop, recurrent, c, h = (values[f"layer_{k + 1}/{name}"] for name in _PLACES)
        kinds = lstm_options.get("recurrent_dropout_kind")
        is_candidate = "candidate" in (kinds, kinds[k] if isinstance(kinds, list) else None)
        options.append(
            numpy_lstm.LayerOptions(
                input_mask=drop if np.ndim(drop) else 1.0,
                recurrent_mask=recurrent if np.ndim(recurrent) and not is_candidate else 1.0,
                candidate_mask=recurrent if np.ndim(recurrent) and is_candidate else 1.0,
                zoneout_c=c,
                zoneout_h=h,
                layer_norm=lstm_options.get("layer_norm") or True,
                cell_clip=lstm_options.get("cell_clip"),
                projection_clip=lstm_options.get("projection_clip"),
                residual=bool(lstm_options.get("residual")),
            )
        )
    output = values["output_dropout"]
    return dict(options=options, output_mask=output if np.ndim(output) else 1.0)
