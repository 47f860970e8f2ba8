"""The `cudnn` engine: NVIDIA's LSTM on a GPU, by TensorFlow's op CudnnRNNV3.

Successive layers of one width are one call. cuDNN takes all their weights in one buffer. The graph packs it from the
variables, so that gradients reach them and every engine can restore any checkpoint:

    W_i W_f W_c W_o R_i R_f R_c R_o V  of the first layer, W [H, I] for inputs and R [H, P] for h, each row by row;
                                       V [P, H] is the projection, if there is one; otherwise P is H
    W_i ... R_o V                      of the second layer, and so on
    bW_i bW_f bW_c bW_o bR_i ... bR_o  of the first layer, [H] each, two biases per gate that add; and so on

Sources: NVIDIA, cuDNN API Reference, cudnnGetRNNWeightParams and cudnnRNNMode_t,
https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html. That V follows R in the buffer is
what Apache MXNet relies on, python/mxnet/gluon/rnn/rnn_layer.py.

TensorFlow has the op's first derivatives. Second derivatives are those of the `graph` engine. A graph with the op can
be built anywhere, but the op has no kernel for CPUs. TensorFlow's error then contains the name of the op's scope,
which says what to do.
"""

from __future__ import annotations

import itertools
from typing import Any, Sequence

from stacked_lstm import activations, log, tf32
from stacked_lstm.compat import tf
from stacked_lstm.engines import conditions, padding, second_derivatives
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.place import Place
from stacked_lstm.equations import GATE_ORDER, PLAIN
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState

_SCOPE = "needs_a_GPU_without_one_build_the_graph_with_engine_native_or_graph"

_GATES = ("i", "f", "c", "o")  # The order in the buffer.

_ACTIVATION, _RECURRENT_ACTIVATION = "tanh", "sigmoid"  # cuDNN has no others.
_ATTRIBUTES = {"rnn_mode": "lstm", "input_mode": "linear_input", "direction": "unidirectional", "time_major": True}


def _tanh_and_sigmoid(layers: Sequence[Layer], place: Place) -> str | None:
    del place
    for layer in layers:
        if layer.activation is not activations.ACTIVATIONS[_ACTIVATION]:
            return f"cuDNN's activation is {_ACTIVATION}, not {layer.activation.name}"
        if layer.recurrent_activation is not activations.ACTIVATIONS[_RECURRENT_ACTIVATION]:
            return f"cuDNN's recurrent_activation is {_RECURRENT_ACTIVATION}, not {layer.recurrent_activation.name}"
    return None


def _narrow_projections(layers: Sequence[Layer], place: Place) -> str | None:
    del place
    for layer in layers:
        if layer.extras.projection is not None and layer.output_size >= layer.hidden_size:
            sizes = f"from {layer.hidden_size} units to {layer.output_size}"
            return f"cuDNN's projection has fewer columns than there are units, and this one goes {sizes}"
    return None


def _not_rocm(layers: Sequence[Layer], place: Place) -> str | None:
    del layers, place
    return "AMD's library arranges weights in another way" if tf.test.is_built_with_rocm() else None


def _with_cuda(layers: Sequence[Layer], place: Place) -> str | None:
    del layers, place
    return None if tf.test.is_built_with_cuda() else "this TensorFlow is built without CUDA"


def _gpu_visible(layers: Sequence[Layer], place: Place) -> str | None:
    del layers
    return None if place.has_gpu else "there is no GPU"


def run(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None = None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers; see `Engine.run_layers`.

    cuDNN takes neither empty sequences nor empty batches. The engine therefore adds a step or a sequence, and removes
    the results of these. With lengths it always adds a step: TensorFlow keeps in the op whether all sequences of the
    first batch of a size have all steps, and wrongly assumes the same for other batches of that size
    (https://github.com/tensorflow/tensorflow/issues/41630).
    """
    tf32.off_unless_asked_for()
    _warn_without_gpu(layers, Place())
    x = padding.zero_past_end(x, lengths)
    steps, batch = tf.unstack(tf.shape(x)[:2])
    extra_steps = tf.maximum(1 - steps, 0) if lengths is None else 1
    extra_batch = tf.maximum(1 - batch, 0)
    x = _lengthen(x, [extra_steps, extra_batch, 0])
    if lengths is None:
        lengths, op_lengths, padded_lengths = tf.fill([batch], steps), tf.fill(tf.shape(x)[1:2], tf.shape(x)[0]), None
    else:
        padded_lengths = tf.pad(lengths, [[0, extra_batch]])
        op_lengths = tf.maximum(padded_lengths, 1)
    finals = []
    for _, group in itertools.groupby(zip(layers, states), lambda pair: (pair[0].hidden_size, pair[0].output_size)):
        group_layers, group_states = zip(*group)
        padded_states = [[_lengthen(part, [extra_batch, 0]) for part in state] for state in group_states]
        x, group_finals = _call(group_layers, x, padded_states, op_lengths)
        x = padding.zero_past_end(x, padded_lengths)
        finals += group_finals
    outputs = _shorten(x, [steps, batch, -1])
    return outputs, [_final_state(lengths, batch, *pair) for pair in zip(finals, states)]


def _warn_without_gpu(layers: Sequence[Layer], place: Place) -> None:
    """Logs once that this process cannot run the graph. A program may build it for another one."""
    if conditions.in_this_process(layers, place) is None and not place.has_gpu:
        log.warn_once(
            "the engine 'cudnn' was asked for by name, but this process sees no GPU; a session without a GPU cannot "
            "run this graph, which needs engine='native' or engine='graph' there"
        )


# A graph may be built where no GPU is, so a visible GPU is a preference. It comes last because asking starts CUDA.
ENGINE = Engine(
    "cudnn",
    run,
    needs=(
        conditions.dtypes("float16", "float32", "float64"),
        _tanh_and_sigmoid,
        conditions.standard_step,
        conditions.no_mask_on_states,
        conditions.without_norm_and_noise,
        conditions.no_extras_except("projection"),
        _narrow_projections,
        conditions.device_type("GPU"),
        _not_rocm,
    ),
    prefers=(conditions.in_this_process, conditions.outside_of_functions, _with_cuda, _gpu_visible),
)


def _final_state(lengths: tf.Tensor, batch: tf.Tensor, final: LSTMState, initial: Any) -> LSTMState:
    """Returns the `LSTMState` [B, H] at the end of each sequence: `initial` for empty sequences, else `final`.

    `final` may have one sequence more than the batch.
    """
    finals = [_shorten(part, [batch, -1]) for part in final]
    return LSTMState(*[tf.where(lengths > 0, after, before) for after, before in zip(finals, initial)])


def _lengthen(x: tf.Tensor, counts: Sequence[Any]) -> tf.Tensor:
    """Returns `x` with zeros at the end of each axis, as many as `counts` says."""
    with _gradient_of("Pad", "StackedLstmLengthen"):
        return tf.pad(x, [[0, count] for count in counts])


def _shorten(x: tf.Tensor, sizes: Sequence[Any]) -> tf.Tensor:
    """Returns the first entries of `x` on each axis, as many as `sizes` says; -1 means all."""
    with _gradient_of("Slice", "StackedLstmShorten"):
        return tf.slice(x, [0] * len(sizes), sizes)


# TensorFlow's own gradients of these two ops compute sizes on the GPU, and the host waits for them.


@tf.RegisterGradient("StackedLstmLengthen")
def _lengthen_gradient(op: tf.Operation, d_result: tf.Tensor) -> list:
    x = op.inputs[0]
    return [_shorten(d_result, tf.unstack(tf.shape(x), x.shape.ndims)), None]


@tf.RegisterGradient("StackedLstmShorten")
def _shorten_gradient(op: tf.Operation, d_result: tf.Tensor) -> list:
    x = op.inputs[0]
    return [_lengthen(d_result, tf.unstack(tf.shape(x) - tf.shape(d_result), x.shape.ndims)), None, None]


def _call(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers of one width in one op. All `lengths` are 1 or more."""
    c, h = (tf.stack(parts) for parts in zip(*states))
    projection_size = 0 if layers[0].extras.projection is None else layers[0].output_size
    outputs, h, c, _, _ = _forward(x, h, c, pack(layers), lengths, projection_size)
    outputs.set_shape(x.shape[:2].concatenate([layers[0].output_size]))
    return outputs, [LSTMState(*state) for state in zip(tf.unstack(c, len(layers)), tf.unstack(h, len(layers)))]


def _forward(
    x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, params: tf.Tensor, lengths: tf.Tensor, projection_size: int
) -> Sequence[tf.Tensor]:
    """Adds the op CudnnRNNV3; returns outputs, final h and c, the reserve space, and what is reserved on the host.

    A `projection_size` of 0 means that there is no projection.
    """
    with _gradient_of("CudnnRNNV3", "StackedLstmCudnn"), tf.name_scope(_SCOPE):
        return tf.raw_ops.CudnnRNNV3(
            input=x,
            input_h=h,
            input_c=c,
            params=params,
            sequence_lengths=lengths,
            num_proj=projection_size,
            is_training=True,  # When the graph is built, TensorFlow does not say whether gradients will follow.
            **_ATTRIBUTES,
        )


def pack(layers: Sequence[Layer]) -> tf.Tensor:
    """Returns cuDNN's buffer of the weights of layers of one width, a vector; see the docstring of the module."""
    matrices, biases = [], []
    for layer in layers:
        fused = layer.fused(_GATES)
        matrices += [tf.transpose(fused.inputs), tf.transpose(fused.recurrent)]
        matrices += [] if layer.extras.projection is None else [tf.transpose(layer.extras.projection)]
        zeros = tf.zeros([4 * layer.hidden_size], layer.dtype)
        biases += [zeros if fused.bias is None else fused.bias, zeros]
    return tf.concat([tf.reshape(part, [-1]) for part in matrices + biases], axis=0)


def unpack(
    params: tf.Tensor, input_size: int, hidden_size: int, layer_count: int, projection_size: int = 0
) -> list[Layer]:
    """Returns the `Layer`s whose weights are in a buffer. The two biases of a gate are added."""
    output_size = projection_size or hidden_size
    widths = [input_size] + [output_size] * (layer_count - 1)
    sizes = [4 * hidden_size * rows for width in widths for rows in (width, output_size, projection_size / 4)]
    matrices, biases = tf.split(params, [int(sum(sizes)), -1])
    parts = tf.split(matrices, [int(size) for size in sizes])
    biases = tf.reshape(biases, [layer_count, 2, 4, hidden_size])
    layers = []
    for k, width in enumerate(widths):
        inputs, recurrent = (
            tf.transpose(tf.reshape(part, [4, hidden_size, -1]), [0, 2, 1]) for part in parts[3 * k : 3 * k + 2]
        )
        kernels = tf.unstack(tf.concat([recurrent, inputs], axis=1))
        projection = tf.transpose(tf.reshape(parts[3 * k + 2], [projection_size, hidden_size]))
        layer_biases = tf.unstack(tf.add(*tf.unstack(biases[k])))
        layers.append(
            Layer(
                width,
                hidden_size,
                kernels=[kernels[_GATES.index(gate)] for gate in GATE_ORDER],
                biases=[layer_biases[_GATES.index(gate)] for gate in GATE_ORDER],
                activation=activations.ACTIVATIONS[_ACTIVATION],
                recurrent_activation=activations.ACTIVATIONS[_RECURRENT_ACTIVATION],
                extras=PLAIN._replace(projection=projection) if projection_size else PLAIN,
            )
        )
    return layers


def _gradient_of(op_type: str, name: str) -> Any:
    """A context in which new ops of a type have the gradient that is registered as `name`."""
    return tf.get_default_graph().gradient_override_map({op_type: name})


@tf.RegisterGradient("StackedLstmCudnn")
def _gradient(op: tf.Operation, *d_results: tf.Tensor) -> list:
    x, h, c, params, lengths = op.inputs
    # On the device of the layers, where the reserve space is, not on that of the call of tf.gradients.
    device = op.outputs[0].device
    with _gradient_of("CudnnRNNBackpropV3", "StackedLstmCudnnBackprop"), tf.device(None), tf.device(device):
        size = _projection_size(op)
        results = _forward(x, h, c, params, lengths, size) if _reserve_space_is_used(op) else op.outputs
        gradients = tf.raw_ops.CudnnRNNBackpropV3(
            input=x,
            input_h=h,
            input_c=c,
            params=params,
            sequence_lengths=lengths,
            output=results[0],
            output_h=results[1],
            output_c=results[2],
            output_backprop=d_results[0],
            output_h_backprop=d_results[1],
            output_c_backprop=d_results[2],
            reserve_space=results[3],
            host_reserved=results[4],
            num_proj=size,
            **_ATTRIBUTES,
        )
    return list(gradients) + [None]


def _projection_size(op: tf.Operation) -> int:
    return op.get_attr("num_proj")


def _reserve_space_is_used(op: tf.Operation) -> bool:
    """Whether another gradient may use the op's reserve space, which cuDNN's backward pass overwrites.

    In a function that is always possible, because each caller of the function can ask for gradients. Elsewhere the ops
    that read the space are other gradients, except those with which TensorFlow makes zeros of the space's shape.
    """
    readers = [reader for reader in op.outputs[3].consumers() if reader.type not in ("ZerosLike", "Shape")]
    return op.outputs[3].graph.building_function or bool(readers)


@tf.RegisterGradient("StackedLstmCudnnBackprop")
def _second_gradient(op: tf.Operation, *directions: tf.Tensor) -> list:
    x, h, c, params, lengths = op.inputs[:5]
    input_size = x.shape.with_rank(3).as_list()[2]
    layer_count, _, hidden_size = c.shape.with_rank(3).as_list()
    if None in (input_size, layer_count, hidden_size):  # TensorFlow 1.15 loses them in loops of control flow v2.
        raise ValueError(
            "StackedLSTM: second derivatives of the engine 'cudnn' need inputs and states of known widths, which this "
            "version of TensorFlow loses in loops; use the engine 'graph'"
        )

    def run(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, params: tf.Tensor) -> list[tf.Tensor]:
        layers = unpack(params, input_size, hidden_size, layer_count, _projection_size(op))
        states = list(zip(tf.unstack(c), tf.unstack(h)))
        outputs, *finals = second_derivatives.results(layers, x, states, lengths)
        return [outputs, tf.stack(finals[layer_count:]), tf.stack(finals[:layer_count])]

    d_primals, d_upstream = second_derivatives.gradient(run, [x, h, c, params], op.inputs[8:11], directions)
    return d_primals + [None] * 4 + d_upstream + [None, None]
