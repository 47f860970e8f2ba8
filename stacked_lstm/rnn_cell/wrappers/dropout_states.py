"""The leaves of a state that a visitor selects, and dropout on the states of layers that run on an engine."""

from __future__ import annotations

import itertools
from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import segments
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.rnn_cell.base import packed_states


class Part(NamedTuple):
    """The c or the h of one layer, as a part of the state of a cell.

    Fields:
      number: its number in [c of layer 1, h of layer 1, c of layer 2, ...].
      leaf: the number of its tensor in the flat state.
      columns: its columns in that tensor, a slice.
    """

    number: int
    leaf: int
    columns: slice


class Leaf(NamedTuple):
    """A tensor, or another value, of a nest.

    Fields:
      value: the tensor.
      number: its number, from which its seed is made. The leaves of a part that is not selected share one number.
      selected: bool, whether the visitor selects it.
    """

    value: Any
    number: int
    selected: bool


def selected_leaves(state_size: Any, visitor: Callable[[Any], Any]) -> list[bool] | None:
    """Returns for each tensor of a state whether a visitor selects it.

    Args:
      state_size: the cell's.
      visitor: `dropout_state_filter_visitor`. It gets tensors like those in TensorFlow's loop, in a graph of their own.

    Returns:
      List of bools in the order of the flat state. None if the visitor fails because it needs the loop's own tensors.
    """
    with tf.Graph().as_default():
        state = tf.nest.map_structure(lambda size: tf.placeholder(tf.float32, [None, size]), state_size)
        try:
            return [leaf.selected for leaf in leaves(state, visitor)]
        except Exception:  # It is a user's function.
            return None


def leaves(values: Any, visitor: Callable[[Any], Any]) -> list[Leaf]:
    """Returns the leaves of a nest in its flat order, each with what a visitor says about it, as in TensorFlow 1.15.

    Raises:
      TypeError: the visitor returns something else than a bool, or a bool for each part of a nest.
    """
    numbers = itertools.count()

    def walk(value: Any, selected: Any) -> list[Leaf]:
        selected = selected and visitor(value)
        if selected is False or not tf.nest.is_nested(value):
            _check_bools([selected], selected)
            number = next(numbers)
            return [Leaf(leaf, number, selected) for leaf in tf.nest.flatten(value)]
        parts = _parts(value)
        selections = dict.fromkeys(parts, True) if selected is True else _parts(selected)
        _check_bools([selections.get(key) if key in parts else None for key in {*parts, *selections}], selected)
        # AutoGraph of TensorFlow 1.15 cannot transform two loops in one comprehension.
        return list(itertools.chain.from_iterable(map(walk, parts.values(), map(selections.get, parts))))

    return walk(values, True)


def _parts(value: Any) -> dict[Any, Any]:
    """Returns the parts of a nest by their keys in the order of `tf.nest`; none for a leaf."""
    if isinstance(value, dict):
        return {key: value[key] for key in sorted(value)}
    return dict(enumerate(value)) if tf.nest.is_nested(value) else {}


def _check_bools(selections: Sequence[Any], selected: Any) -> None:
    if not all(isinstance(selection, bool) for selection in selections):
        raise TypeError(
            "DropoutWrapper: expected `dropout_state_filter_visitor` to return a bool, or a bool for each part of the "
            f"state, got {checks.describe(selected)}"
        )


def with_mask_for_all_steps(
    segment: Segment, state_size: Any, selected: Sequence[bool], mask: Callable[[Part], tf.Tensor]
) -> Segment:
    """Returns the layers of a tree with dropout on the selected parts of their states, besides what they have.

    Args:
      segment: `Segment` of the cell.
      state_size, selected: those of `selected_leaves`.
      mask: function from a `Part` to its mask [1, N].
    """

    def drop(layer: Layer, field: str, part: Part) -> Layer:
        part_mask = mask(part)
        if field == "draw_c_masks":  # Only masks on h can be in the kernel.
            masks = lambda shape: dropout_masks.after_ones(tf.ones(shape, layer.dtype) * part_mask)  # noqa: E731
            return _with_masks(layer, field, masks)
        return layer._replace(h_mask=part_mask if layer.h_mask is None else layer.h_mask * part_mask)

    return _map_parts(drop, segment, state_size, selected)


def with_mask_per_step(
    segment: Segment, state_size: Any, selected: Sequence[bool], draw: Callable[[Part, tf.Tensor], tf.Tensor]
) -> Segment:
    """Returns the layers of a tree with dropout on the selected parts of their states, besides what they have.

    Args:
      segment, state_size, selected: as for `with_mask_for_all_steps`.
      draw: function from a `Part` and the shape [T, B, N] to its masks [T + 1, B, N]. Entry 0 has ones.
    """
    return _map_parts(
        lambda layer, field, part: _with_masks(layer, field, lambda shape: draw(part, shape)),
        segment,
        state_size,
        selected,
    )


def _with_masks(layer: Layer, field: str, draw: Callable[[tf.Tensor], tf.Tensor]) -> Layer:
    """Returns a layer with more masks on its c or h."""
    others = getattr(layer, field)

    def draw_all(shape: tf.Tensor) -> tf.Tensor:
        return draw(shape) if others is None else draw(shape) * others(shape)

    changes: dict[str, Any] = {field: draw_all}
    return layer._replace(**changes)


def _map_parts(
    function: Callable[[Layer, str, Part], Layer], segment: Segment, state_size: Any, selected: Sequence[bool]
) -> Segment:
    """Returns a tree after `function(layer, "draw_c_masks" or "draw_h_masks", part)` of all selected parts."""
    widths = [(layer.hidden_size, layer.output_size) for layer in segments.layers(segment)]
    places = packed_states.places(state_size, widths)

    def change(k: int, layer: Layer) -> Layer:
        for number, field, width in zip((2 * k, 2 * k + 1), ("draw_c_masks", "draw_h_masks"), widths[k]):
            leaf, column = places[number]
            if selected[leaf]:
                layer = function(layer, field, Part(number, leaf, slice(column, column + width)))
        return layer

    return segments.map_layers(change, segment)
