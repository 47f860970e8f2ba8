"""The `native` engine: one compiled op per layer and direction, on a CPU.

`CONDITIONS` says what it can run, `PREFERENCES` what `engine="auto"` leaves to other engines all the same.
"""

import itertools

from stacked_lstm import equations
from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines.native import library, ops

_DTYPES = ("float32", "float64")


# Each is a function of the layers that returns None, or what is in the way.


def _dtype(layers):
    dtypes = sorted({kernel.dtype.base_dtype.name for layer in layers for kernel in layer.matrices().kernels})
    return None if set(dtypes) <= set(_DTYPES) else "it computes in %s, not in %s" % (" and ".join(_DTYPES), dtypes[0])


def _named_activations(layers):
    for layer in layers:
        for function in (layer.activation, layer.recurrent_activation):
            if function.times_slope is None:
                return "the activation %s is a function that is not known by name" % function.name
    return None


def _plain_equations(layers):
    plain = all(layer.extras == equations.PLAIN for layer in layers)
    return None if plain else "there are peepholes, a projection or clips"


def _on_a_cpu(layers):
    del layers
    with tf.name_scope("stacked_lstm_native"):
        device = tf.no_op("device").device  # Where ops go that are made here.
    return "the device is %s" % device if device and "cpu" not in device.lower() else None


def _compiled(layers):
    del layers
    try:
        library.load()
    except library.BuildError as error:
        return str(error)
    return None


def _no_gpu(layers):
    del layers
    return "there is a GPU" if tf.config.experimental.list_physical_devices("GPU") else None


def _outside_of_functions(layers):
    del layers
    return "XLA may compile what is inside functions and loops" if inside_function_or_control_flow() else None


# In the order in which they are asked: the library is built only where everything else is as it should be.
CONDITIONS = (_dtype, _named_activations, _plain_equations, _on_a_cpu, _compiled)
PREFERENCES = (_no_gpu, _outside_of_functions)


def unsupported(layers):
    """Why this engine cannot run `layers`; None where it can."""
    return next(filter(None, (condition(layers) for condition in CONDITIONS)), None)


def passed_over(layers):
    """Why "auto" shall not take this engine for `layers`; None where it shall."""
    return next(filter(None, (condition(layers) for condition in PREFERENCES + CONDITIONS)), None)


def run(weights, x, state, sequence_length=None):
    """Runs one layer; the contract of every engine.

    Args:
      weights: `weights.LayerWeights`, or anything that has its sizes, activations and `matrices()`.
      x: [T, B, I].
      state: pair (c, h), [B, H] each.
      sequence_length: int32 [B], or None.

    Returns:
      ([T, B, H] with zeros past each end, `LSTMState` at each end), differentiable in every input.
    """
    outputs, (final,) = run_stack([weights], x, [state], sequence_length)
    return outputs, final


def run_stack(layers, x, states, sequence_length=None):
    """Runs layers one on the other: `run` for a list of weights and of states; returns a list of final states.

    It is one op, but where the activations or the number of matrices changes from layer to layer.
    """
    finals = []
    for _, group in itertools.groupby(zip(layers, states), lambda pair: ops.signature(pair[0])):
        group_layers, group_states = zip(*group)
        x, group_finals = ops.stack(group_layers, x, group_states, sequence_length)
        finals += group_finals
    return x, finals
