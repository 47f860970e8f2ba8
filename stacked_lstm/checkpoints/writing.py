"""`write`: layers into a new file, or into a copy of an existing one."""

from __future__ import annotations

import os
from typing import Any, Collection, Mapping, NamedTuple, Sequence, Union

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import files, initial_states, limits, replacing, slots, stacks
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.files import Arrays, Content
from stacked_lstm.checkpoints.formats import Format, find_format, format_to_read
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location, Weights, check_fits, runtime_forget_bias
from stacked_lstm.checkpoints.reading import Path, load, select_layers
from stacked_lstm.layer_arrays import check_activations, check_options

Layers = Sequence[Union[CheckpointLayer, Mapping[str, Any]]]


class Plan(NamedTuple):
    """What `write` would write; `plan` makes it.

    Fields:
      path: the file, or the prefix of a TensorFlow checkpoint.
      codec: the functions that read and write such a file, a `codec.Codec`.
      content: everything that the file will hold, a `files.Content`.
      locations: list of `Location`: where the layers will be in it.

    Example:
      >>> weights = {name: np.zeros([5, 3], np.float32) for name in ("Wf", "Wi", "Wo", "Wc")}
      >>> plan = stacked_lstm.checkpoints.plan("lstm.npz", [weights])
      >>> plan
      <Plan lstm.npz: 1 layer, 2 arrays>
      >>> plan.write()
      >>> stacked_lstm.checkpoints.read("lstm.npz").layers
      [<CheckpointLayer l0: layout pytorch, input size 2, hidden size 3, forward>]
    """

    path: str
    codec: Codec
    content: Content
    locations: list[Location]

    def __repr__(self) -> str:
        count, arrays = len(self.locations), len(self.content.arrays)
        return f"<Plan {self.path}: {count} layer{'s' * (count > 1)}, {arrays} array{'s' * (arrays > 1)}>"

    def write(self, overwrite: bool = False) -> None:
        """Writes the file completely, or raises ValueError as `write` does and changes nothing.

        Args:
          overwrite: whether an existing file may be replaced.
        """
        replacing.write(self.path, self.content, self.codec.save, self._load, overwrite)
        self.codec.finish(os.path.realpath(self.path))

    def _load(self, path: str) -> Content:
        """Reads what was written to a temporary path; raises ValueError if the layers cannot be found there."""
        content = self.codec.load(path, limits.UNLIMITED)
        with files.file_errors(self.path, "layers that can be found again", "checkpoints.write"):
            present = [_names(location) for location in self.codec.find(content, self.path)]
        for location in self.locations:
            if _names(location) not in present:
                checks.fail("checkpoints.write", "`scope` to be a name by which layers can be found", location.name)
            check_fits(location, content.arrays, self.path, "names")
        return content


def _names(location: Location) -> set[str]:
    """The names of a layer's arrays in the file, with those of its initial state."""
    return {*location.array_names.values(), *location.initial_state.values()}


def write(
    path: Path,
    layers: Layers,
    format: str | None = None,
    scope: str | None = None,
    forget_bias: float | None = None,
    other_arrays: Mapping[str, Any] | None = None,
    template: Path | None = None,
    template_names: str | None = None,
    overwrite: bool = False,
    averages: Collection[str] = slots.AVERAGES,
    initial_state: Sequence[Mapping[str, Any]] | None = None,
    max_bytes: int | None = None,
) -> list[Location]:
    """Writes LSTM layers to a file of TensorFlow, Keras, PyTorch, ONNX or this package, completely or not at all.

    The file is written under a temporary name, read back, compared bit for bit, and renamed.

    Args:
      path: the file, or the prefix of a TensorFlow checkpoint.
      layers: list of `CheckpointLayer`, or of mappings as `StackedLSTM.get_weights` and `layouts.unpack` return them,
        from the input upwards. If some layers of a new file have biases, the others get zeros.
      format: a name in `FORMATS`; None for what the suffix of `path` implies. "stacked_lstm" with a path in .npz is the
        file that `stacked_lstm.runtime` reads without TensorFlow.
      scope: name of the layers in a new file; None for a default. "stacked_lstm" gives variables
        stacked_lstm/layer_1/Wf and so on, and .npz files of this package have no scope. Cells take "rnn/lstm_cell", or
        "rnn/multi_rnn_cell/cell_%d/lstm_cell" with their number from 0. PyTorch and ONNX take a prefix: "lstm." gives
        lstm.weight_ih_l0 and so on. Keras names layers itself.
      forget_bias: what the cells that will restore the file add to the forget gate; None for their default, 1.0. It has
        no effect on layers of libraries that add none.
      other_arrays: mapping from names to arrays that a new TensorFlow checkpoint holds unchanged beside the layers.
      template: an existing file of the same format. The new file is a copy of it with the arrays of these layers in
        place of its own. Everything else stays as it is there, also what an optimizer keeps for the layers.
      template_names: regular expression that matches the complete names of the layers of `template` to replace; None
        for all of the format. Their number, order and directions must be those of `layers`.
      overwrite: whether an existing file may be replaced.
      averages: names of the slots that are averages of the variables, as the program named its
        ExponentialMovingAverage. They contain the forget bias, other slots do not.
      initial_state: what the layers start from, a mapping for each layer as `StackedLSTM.get_weights` returns them in
        `initial_state`; [] for zeros; None for what a `CheckpointLayer` has. "stacked_lstm" and ONNX have a place for
        it.
      max_bytes: how many bytes the arrays of `template` may take together, as for `read`.

    Returns:
      List of `Location`: where the layers are in the file.

    Raises:
      ValueError: layers that do not form a stack or do not fit the template; peepholes, a projection
        or an initial state that the format lacks; options such as zoneout that programs with such a file do not have;
        names that are in use, or by which the layers would not be found again; a file that exists or cannot be
        written. No file has changed then.

    Example:
      >>> weights = {name: np.zeros([5, 3], np.float32) for name in ("Wf", "Wi", "Wo", "Wc")}
      >>> locations = stacked_lstm.checkpoints.write("lstm.npz", [weights], scope="encoder.")
      >>> locations[0].name, sorted(locations[0].array_names.values())
      ('encoder.l0', ['encoder.weight_hh_l0', 'encoder.weight_ih_l0'])
    """
    new = plan(
        path,
        layers,
        format,
        scope,
        forget_bias,
        other_arrays,
        template,
        template_names,
        averages,
        initial_state,
        max_bytes,
    )
    new.write(overwrite)
    return new.locations


def plan(
    path: Path,
    layers: Layers,
    format: str | None = None,
    scope: str | None = None,
    forget_bias: float | None = None,
    other_arrays: Mapping[str, Any] | None = None,
    template: Path | None = None,
    template_names: str | None = None,
    averages: Collection[str] = slots.AVERAGES,
    initial_state: Sequence[Mapping[str, Any]] | None = None,
    max_bytes: int | None = None,
) -> Plan:
    """Prepares what `write` would write, and writes nothing.

    Args:
      path, layers, format, scope, forget_bias, other_arrays, template, template_names, averages, initial_state,
        max_bytes: as for `write`.

    Returns:
      A `Plan`, whose method `write` writes the file.

    Raises:
      ValueError: as `write` does, except for errors that only writing shows.

    Example:
      >>> weights = {name: np.zeros([5, 3], np.float32) for name in ("Wf", "Wi", "Wo", "Wc")}
      >>> plan = stacked_lstm.checkpoints.plan("model.weights.h5", [weights])
      >>> {name: array.shape for name, array in plan.content.arrays.items()}
      {'layers/lstm/cell/vars/0': (2, 12), 'layers/lstm/cell/vars/1': (3, 12)}
    """
    path = str(path)
    entry = find_format(path, format, "checkpoints.write")
    if template is not None and format is None and str(template).endswith(".npz"):
        entry = format_to_read(str(template), None)  # The name of an .npz file does not tell.
    check_options(layers, entry.known_options(), entry.program or f"a file of {entry.layout}", "checkpoints.write")
    activations = getattr(layers, "activations", None)
    layers = stacks.checkpoint_layers(layers)
    if forget_bias is not None:
        checks.number(forget_bias, "checkpoints.write", "forget_bias")
    if other_arrays and (not entry.is_tensorflow_checkpoint or template is not None):
        expected = "no `other_arrays`, except in a new TensorFlow checkpoint"
        more = f" and {len(other_arrays) - 3} more" * (len(other_arrays) > 3)
        checks.fail("checkpoints.write", expected, ", ".join(sorted(other_arrays)[:3]) + more)
    if template is not None:
        if scope is not None:
            checks.fail("checkpoints.write", "no `scope`, since `template` names the layers", repr(scope))
        layout = entry.layout if format is not None and entry.is_tensorflow_checkpoint else None
        states = initial_states.states_of(layers, initial_state)
        _check_suffix(entry, path, str(template))
        content = load(entry.codec(), str(template), max_bytes)
        check_activations(activations, entry.codec().activations(content.arrays), "checkpoints.write")
        locations = _fill_template(entry, path, layers, layout, forget_bias, str(template), template_names, content)
        if initial_state is not None and not any(states):
            states = initial_states.zeros_at(locations, content.arrays)
        content.arrays.update(initial_states.arrays_for_template(layers, states, locations, content.arrays))
        return Plan(path, entry.codec(), content, locations)
    if template_names is not None:
        checks.fail("checkpoints.write", "no `template_names` without `template`", repr(template_names))
    check_activations(activations, entry.codec().activations({}), "checkpoints.write")
    layers = stacks.one_stack(layers, entry.has_directions, entry.always_has_biases)
    states = initial_states.states_of(layers, initial_state)
    return _new_plan(entry, path, layers, states, scope, forget_bias, other_arrays or {}, averages)


def _new_plan(
    entry: Format,
    path: str,
    layers: Sequence[CheckpointLayer],
    states: Sequence[Weights],
    scope: str | None,
    forget_bias: float | None,
    other_arrays: Mapping[str, Any],
    averages: Collection[str],
) -> Plan:
    """The `Plan` of a file without a template."""
    if not entry.has_initial_states:
        initial_states.check_zeros(layers, states, entry.layout)
    packed = [_pack(layer, entry.layout, forget_bias) for layer in layers]
    container, locations = entry.codec().create(packed, states, entry.layout, scope, path)
    arrays = _named_arrays(locations, packed)
    arrays.update(initial_states.named_arrays(states, locations))
    if entry.is_tensorflow_checkpoint:
        for layer, location in zip(layers, locations):
            target_bias = runtime_forget_bias(location.layout, forget_bias)
            arrays.update(slots.pack_slots(layer, location, target_bias, averages))
        other_arrays = initial_states.with_renamed_slots(other_arrays, layers, locations)
    in_use = sorted(set(arrays) & set(other_arrays))
    if in_use:
        expected = "`scope` to give names that differ from those of `other_arrays`"
        checks.fail("checkpoints.write", expected, ", ".join(in_use))
    arrays.update(other_arrays)
    return Plan(path, entry.codec(), Content(arrays, container), locations)


def _fill_template(
    entry: Format,
    path: str,
    layers: Sequence[CheckpointLayer],
    layout: str | None,
    forget_bias: float | None,
    template: str,
    names: str | None,
    content: Content,
) -> list[Location]:
    """Puts the arrays of the layers into the content of the template; returns their locations."""
    locations, _ = select_layers(entry.codec(), content, template, layout, names, "template_names")
    if [location.direction for location in locations] != [layer.direction for layer in layers]:
        targets, sources = (
            ", ".join(f"{item.name} {item.direction}" for item in items) for items in (locations, layers)
        )
        checks.fail("checkpoints.write", f"`layers` like those of {template} ({targets})", sources)
    packed = []
    for location, layer in zip(locations, layers):
        layer = layer._replace(weights=stacks.with_biases_at(location, layer.weights))
        packed.append(_pack(layer, location.layout, forget_bias))
        shapes = _shapes({key: content.arrays[name] for key, name in location.array_names.items()})
        new_shapes = _shapes(packed[-1])
        different = sorted(key for key in set(shapes) | set(new_shapes) if shapes.get(key) != new_shapes.get(key))
        if different:
            expected, actual = (
                ", ".join(f"{key} {found.get(key, 'missing')}" for key in different) for found in (shapes, new_shapes)
            )
            checks.fail("checkpoints.write", f"arrays for {location.name} of {template}, {expected}", actual)
    content.arrays.update(_named_arrays(locations, packed))
    return locations


def _shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {key: f"{array.dtype.name} {list(array.shape)}" for key, array in arrays.items()}


def _check_suffix(entry: Format, path: str, template: str) -> None:
    """Raises ValueError if path and template have different suffixes of their format."""
    suffixes = [next((s for s in entry.suffixes if name.endswith(s)), "") for name in (path, template)]
    if suffixes[0] != suffixes[1]:
        expected = f"`template` to have the suffix {suffixes[0]} of {path}"
        checks.fail("checkpoints.write", expected, template)


def _pack(layer: CheckpointLayer, layout: str, forget_bias: float | None) -> Weights:
    """A layer's arrays in a layout.

    Arrays that were read from cells are converted without their forget bias. If the new cells add the same one, no bias
    is rounded.
    """
    target_bias = runtime_forget_bias(layout, forget_bias)
    if target_bias and stacks.is_unchanged(layer):
        weights = layouts.unpack(layer.arrays, layer.layout, 0.0)
        return layouts.pack(weights, layout, target_bias - layer.forget_bias)
    return layouts.pack(layer.weights, layout, target_bias)


def _named_arrays(locations: Sequence[Location], packed: Sequence[Weights]) -> Arrays:
    """Names in the file -> arrays; raises ValueError if layers that share an array have different numbers for it."""
    named: Arrays = {}
    for location, arrays in zip(locations, packed):
        for key, array in arrays.items():
            name = location.array_names[key]
            if name in named and not files.same_bits(named[name], array):
                checks.fail(
                    "checkpoints.write",
                    f"the same numbers for all layers that share {name}",
                    f"others for {location.name}",
                )
            named[name] = array
    return named
