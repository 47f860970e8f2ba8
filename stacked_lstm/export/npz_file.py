"""`npz`: the LSTM layers of a graph in a file for `stacked_lstm.runtime`, which runs them without TensorFlow."""

from __future__ import annotations

import os
from typing import Any, Mapping

from stacked_lstm import runtime
from stacked_lstm.compat import tf
from stacked_lstm.export import npz_conditions, npz_variables, trial
from stacked_lstm.export.formats import Format
from stacked_lstm.export.frozen import freeze
from stacked_lstm.export.frozen_layers import by_gate, calls_in, check_weights

ENTRY = Format("npz_file", ".npz", (), "stacked_lstm.runtime")


def npz(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Writes the LSTM layers that some outputs need to an .npz file, for `stacked_lstm.runtime.load`.

    The layers must be one stack. The predictor of the file takes what the lowest layer reads, and returns what the
    layers return. It computes no other op. The values of all other variables that the outputs need, such as those of an
    embedding and a dense layer, are in the file, too: `np.load(path)["other_arrays/dense/kernel"]`. If the initial
    state is a placeholder, the predictor takes it as an argument.

    Args:
      session, inputs, outputs, path, example: as for `write`. The path ends in .npz.

    Returns:
      Dictionary with the keys "outputs" and "state": the largest differences of the predictor's results from those of
      the layers in the session, as fractions of the largest number. They are at most 1e-5.

    Raises:
      ValueError: as in `write`; or the layers have something that `runtime.Predictor` does not compute, such as
        `residual`, zoneout, layer normalization, peepholes, projections or clips.

    Example:
      >>> from stacked_lstm import export, runtime
      >>> x = tf.placeholder(tf.float32, [None, 5, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3], initial_state="projected")(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     differences = export.npz(session, {"x": x}, {"h": state[-1].h}, "model.npz")
      >>> runtime.load("model.npz")
      Predictor([3], input_size=2, float32, projected)
    """
    path = str(path)
    trial.check_path(path, ENTRY)
    with trial.quiet():
        frozen = freeze(session, inputs, outputs)  # It checks the arguments.
        names = [tensor.op.name for tensor in outputs.values()]
        definition = tf.graph_util.extract_sub_graph(session.graph.as_graph_def(), names)
        nodes = {node.name for node in definition.node}
        calls = calls_in(session.graph, nodes)
        npz_conditions.check(calls, nodes)
        for call in frozen.calls:
            check_weights(call)
        arrays = trial.arrays_of(inputs, example, ENTRY)
        fetches = {"x": calls[0].x, "states": [list(state) for call in calls for state in call.states]}
        fetches["state"] = [list(final) for call in calls for final in call.finals]
        fetches["outputs"] = calls[-1].outputs
        if calls[0].lengths is not None:
            fetches["lengths"] = calls[0].lengths
        results: dict[str, Any] = trial.run_session(session, inputs, fetches, arrays, example is None)
        initial = npz_variables.initial_state(session, calls, results["states"])
        layers = [layer for call in frozen.calls for layer in call.layers]
        with trial.new_file(path) as new:
            runtime.save(
                new,
                [by_gate(layer) for layer in layers],
                initial.arrays,
                activation=layers[0].activation.name,
                recurrent_activation=layers[0].recurrent_activation.name,
                other_arrays=npz_variables.other_arrays(session, calls, nodes, initial),
            )
            differences = _differences(new, results, initial.is_passed)
            trial.check_differences(differences, {name: results["x"] for name in differences}, path, ENTRY, None)
    return differences


def _differences(path: str, results: Mapping[str, Any], passes_states: bool) -> dict[str, float]:
    """How much the results of a file's predictor differ from those of the session."""
    predictor = runtime.load(path, dtype=results["x"].dtype.name)
    states = [tuple(state) for state in results["states"]] if passes_states else None
    outputs, final = predictor(results["x"], results.get("lengths"), states, time_major=True)
    pairs = zip([part for state in final for part in state], [part for state in results["state"] for part in state])
    return {
        "outputs": trial.difference(outputs, results["outputs"]),
        "state": max(trial.difference(array, expected) for array, expected in pairs),
    }
