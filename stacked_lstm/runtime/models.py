"""Models in files: `save` and `load`.

checkpoints/stack_archives.py describes the package's own file. `checkpoints` reads the files of other libraries.
"""

from __future__ import annotations

import os
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checkpoints, checks
from stacked_lstm.checkpoints import npz_files, stack_archives
from stacked_lstm.checkpoints.safety import atomic_files
from stacked_lstm.checkpoints.safety.files import Arrays, Content
from stacked_lstm.kernels import ACTIVATIONS
from stacked_lstm.layer_arrays import NORM_OF_OUTPUT, check_initial_state, check_options
from stacked_lstm.runtime import weights
from stacked_lstm.runtime.predictor import Predictor


def save(
    path: str | os.PathLike[str],
    layers: Sequence[Mapping[str, Any]],
    initial_state: Sequence[Mapping[str, Any]] | None = None,
    *,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    other_arrays: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a model to an .npz file, for `load`.

    The file is complete or not there at all, also if the process is killed. The weights of a stack with `residual`,
    zoneout or clips are refused, because a `Predictor` does not have these options. `export.npz` writes the layers of a
    graph, and checks that the predictor computes the same.

    Args:
      path: the file, whose name ends in .npz.
      layers, initial_state: as `StackedLSTM.get_weights` returns them, and as `Predictor` takes them.
      activation, recurrent_activation: names, as `Predictor` takes them.
      other_arrays: mapping from names to arrays, which `load` leaves alone, such as an embedding. In the file, their
        names begin with other_arrays/. Default None.
      overwrite: whether an existing file is replaced. Default False.

    Raises:
      ValueError: an argument has a wrong value or shape, the file exists, or `layers` are those of a stack with other
        activations or with options that a `Predictor` does not have.

    Example: from a TensorFlow program to one without TensorFlow.

      >>> from stacked_lstm import runtime
      >>> lstm = stacked_lstm.StackedLSTM([3], initial_state="learned")
      >>> outputs, state = lstm(tf.ones([1, 4, 2]))
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     runtime.save("model.npz", *lstm.get_weights(session))
      ...     expected = session.run(outputs)
      >>> predictor = runtime.load("model.npz")
      >>> predictor
      Predictor([3], input_size=2, float32, learned)
      >>> print(np.allclose(predictor(np.ones([1, 4, 2]))[0], expected, atol=1e-6))
      True
    """
    path = str(path)
    if not path.endswith(".npz"):
        checks.fail("runtime.save", "`path` to end in .npz", repr(path))
    check_options(layers, [NORM_OF_OUTPUT], "a Predictor", "runtime.save")  # `Predictor` refuses gains.
    check_initial_state(layers, initial_state, "runtime.save")
    initial_state = initial_state or []
    names = {"activation": activation, "recurrent_activation": recurrent_activation}
    stack_names = getattr(layers, "activations", None) or tuple(names.values())
    if stack_names != tuple(names.values()):
        expected = f"the activations of the stack, {' and '.join(stack_names)}"
        checks.fail("runtime.save", expected, " and ".join(names.values()))
    for argument, name in names.items():
        checks.one_of(ACTIVATIONS, name, "runtime.save", argument)
    weights.check(layers, initial_state, "runtime.save")
    arrays = {name: np.array(value) for name, value in names.items()}
    for group, values in (("", layers), (stack_archives.INITIAL_STATE, initial_state)):
        for number, layer in enumerate(values, 1):
            present = {name: array for name, array in layer.items() if array is not None}
            arrays.update(
                (stack_archives.array_name(number, name, group), np.asarray(array)) for name, array in present.items()
            )
    arrays.update(
        (stack_archives.OTHER_ARRAYS + name, np.asarray(array)) for name, array in (other_arrays or {}).items()
    )
    atomic_files.write(
        path, Content(arrays, None), npz_files.save, lambda name: npz_files.load(name, None), overwrite, "runtime.save"
    )


def load(
    path: str | os.PathLike[str],
    *,
    names: str | None = None,
    forget_bias: float | None = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    dtype: str = "float32",
    weights_dtype: str | None = None,
    threads: int | None = None,
) -> Predictor:
    """Makes a `Predictor` from a file.

    Args:
      path: an .npz file of `save`, `export.npz` or `checkpoints.write(..., "stacked_lstm")`, or a file of another
        library that `checkpoints.read` reads. Only the files of TensorFlow need TensorFlow.
      names: regular expression for the names of the layers to take from a file of another library; see
        `checkpoints.read`. Default None: all LSTM layers.
      forget_bias: as for `checkpoints.read`.
      activation, recurrent_activation: names as for `Predictor`. Default None: those that `save` wrote; for another
        file "tanh" and "sigmoid".
      dtype, weights_dtype, threads: as for `Predictor`.

    Raises:
      ValueError: the file cannot be read, or its layers are no stack that a `Predictor` can run.
      RuntimeError: the kernels cannot be compiled.

    Example: an LSTM of PyTorch.

      >>> from stacked_lstm import runtime
      >>> np.savez("lstm.npz", weight_ih_l0=np.ones([12, 2]), weight_hh_l0=np.ones([12, 3]))
      >>> runtime.load("lstm.npz")
      Predictor([3], input_size=2, float32, zeros)
    """
    path = str(path)
    arguments = {"activation": activation, "recurrent_activation": recurrent_activation}
    if path.endswith(".npz") and stack_archives.is_archive(path):
        if names is not None:
            expected = f"no `names`, because {path} has the layers of one stack"
            checks.fail("runtime.load", expected, repr(names))
        arrays = npz_files.load(path, None).arrays
        layers, initial_state = _own_layers(arrays, path)
        stored = {name: str(arrays[name]) for name in stack_archives.ACTIVATIONS if name in arrays}
    else:
        layers, initial_state = _layers(checkpoints.read(path, names=names, forget_bias=forget_bias), path)
        stored = {}
    stored.update((name, value) for name, value in arguments.items() if value is not None)
    return Predictor(layers, initial_state, dtype=dtype, weights_dtype=weights_dtype, threads=threads, **stored)


def _own_layers(arrays: Arrays, path: str) -> tuple[list[Arrays], list[Arrays]]:
    """Sorts the arrays of the package's own file into layers and initial states."""
    for name in arrays:
        is_of_layer = stack_archives.NAME.fullmatch(name) is not None
        if not (is_of_layer or name in stack_archives.ACTIVATIONS or name.startswith(stack_archives.OTHER_ARRAYS)):
            expected = f"only arrays of a stack, and of {stack_archives.OTHER_ARRAYS}, in {path}"
            checks.fail("runtime.load", expected, name)
    groups = stack_archives.names_by_layer(arrays)
    for numbers in groups:
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            checks.fail("runtime.load", f"layers with the numbers 1, 2, ... in {path}", sorted(numbers))
    layers, initial_state = (
        [{key: arrays[name] for key, name in numbers[number].items()} for number in sorted(numbers)]
        for numbers in groups
    )
    return layers, initial_state


def _layers(checkpoint: checkpoints.Checkpoint, path: str) -> tuple[list[Arrays], list[Arrays]]:
    """The layers and the initial states of a file of another library."""
    directions = {layer.direction for layer in checkpoint.layers}
    networks = {layer.network for layer in checkpoint.layers}
    if directions != {"forward"}:
        expected = f"layers in {path} that read sequences forward, or `names` that select such layers"
        checks.fail("runtime.load", expected, {layer.name: layer.direction for layer in checkpoint.layers})
    if len(networks) > 1:
        checks.fail("runtime.load", f"one network in {path}, or `names` that select its layers", sorted(networks))
    initial_states = [layer.initial_state for layer in checkpoint.layers]
    return [layer.weights for layer in checkpoint.layers], initial_states if any(initial_states) else []
