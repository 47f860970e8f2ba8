"""`write`: layers into a new file, or into a copy of an existing one."""

from __future__ import annotations

from typing import Any, Collection, Mapping, Sequence, Union

from stacked_lstm import checks
from stacked_lstm.checkpoints import initial_states, new_files, slots, stacks, templates
from stacked_lstm.checkpoints.formats import find_format, format_to_read
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location
from stacked_lstm.checkpoints.plans import Plan
from stacked_lstm.checkpoints.reading import Path
from stacked_lstm.layer_arrays import check_activations, check_initial_state, check_options

Layers = Sequence[Union[CheckpointLayer, Mapping[str, Any]]]


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
        "rnn/multi_rnn_cell/cell_%d/lstm_cell" with their number from 0. If the last part is no name of a cell, as in
        "rnn/encoder", `read` needs `names`. PyTorch and ONNX take a prefix: "lstm." gives lstm.weight_ih_l0 and so on.
        Keras names layers itself.
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
      initial_state: what the layers start from: a mapping for each layer, as `StackedLSTM.get_weights` returns them in
        `initial_state`; or [] for zeros. None: the initial state of a `CheckpointLayer`, and zeros for other layers.
        None is an error for layers from `get_weights` of a stack with a learned or projected initial state.
        "stacked_lstm" and ONNX have a place for an initial state.
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
    check_initial_state(layers, initial_state, "checkpoints.write")
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
        return templates.plan(
            entry,
            path,
            layers,
            initial_state,
            template=str(template),
            template_names=template_names,
            layout=layout,
            forget_bias=forget_bias,
            max_bytes=max_bytes,
            activations=activations,
        )
    if template_names is not None:
        checks.fail("checkpoints.write", "no `template_names` without `template`", repr(template_names))
    check_activations(activations, entry.codec().activations({}), "checkpoints.write")
    layers = stacks.one_stack(layers, entry.has_directions, entry.always_has_biases)
    states = initial_states.states_of(layers, initial_state)
    return new_files.plan(entry, path, layers, states, scope, forget_bias, other_arrays or {}, averages)
