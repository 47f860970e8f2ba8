"""What the `native` engine can run, and how layers become ops."""

import itertools

from stacked_lstm.engines import conditions
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.native import library, ops


def _named_activations(layers, place):
    del place
    for layer in layers:
        for function in (layer.activation, layer.recurrent_activation):
            if function.times_slope is None:
                return f"the activation {function.name} is a function that is not known by name"
    return None


def _no_gpu(layers, place):
    del layers
    if place.device.device_type:  # A CPU, or this would not be asked.
        return None
    return "there is a GPU" if place.has_gpu else None


def _compiled(layers, place):
    del layers, place
    return library.problem()


def load_native_ops():
    """Makes the native engine's ops known to TensorFlow, in this process, and builds them if need be.

    A program calls it before it imports a graph that has them (`tf.import_graph_def`, `tf.train.import_meta_graph`, a
    SavedModel), and so does each process of a cluster that runs one. A program that builds such a graph has no need.

    Raises:
      RuntimeError: they cannot be built or loaded; the message has the compiler's words.
    """
    library.load()


def run(layers, x, states, lengths=None):
    """See `Engine.run_layers`. It is one op for all layers with the same activations and numbers of kernels."""
    finals = []
    for _, group in itertools.groupby(zip(layers, states), lambda member: ops.signature(member[0])):
        x, group_finals = ops.stack(*zip(*group), x, lengths)
        finals += group_finals
    return x, finals


ENGINE = Engine(
    "native",
    run,
    needs=(
        conditions.dtypes("float32", "float64"),
        _named_activations,
        conditions.plain_equations,
        conditions.device_type("CPU"),
    ),
    prefers=(conditions.in_this_process, conditions.outside_of_functions, _no_gpu),
    ready=(_compiled,),
)
