"""The `cudnn` engine: NVIDIA's LSTM, TensorFlow's op CudnnRNNV3, on a GPU.

Successive layers of one width are one call. cuDNN takes all their weights in one buffer, which is packed from the
variables in the graph, so that gradients reach them and any checkpoint serves every engine:

    W_i W_f W_c W_o R_i R_f R_c R_o    of the first layer, W [H, I] for inputs and R [H, H] for h, each row by row
    W_i ... R_o                        of the second layer, and so on
    bW_i bW_f bW_c bW_o bR_i ... bR_o  of the first layer, [H] each, two biases per gate that add; and so on

(NVIDIA, cuDNN API Reference, cudnnGetRNNWeightParams and cudnnRNNMode_t.) TensorFlow has the op's first derivatives;
second ones are the graph engine's. A graph can be built anywhere, but the op has no kernel for CPUs: the name of its
scope, which TensorFlow puts into that error, says what to do.
"""

import itertools

from stacked_lstm import activations, tf32
from stacked_lstm.compat import tf
from stacked_lstm.engines import conditions, padding, second_derivatives
from stacked_lstm.engines.engine import Engine
from stacked_lstm.equations import GATE_ORDER
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState

_SCOPE = "needs_a_GPU_without_one_build_the_graph_with_engine_native_or_graph"

_GATES = ("i", "f", "c", "o")  # In the buffer.

_FUNCTIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}  # cuDNN has no others.
_ATTRIBUTES = {"rnn_mode": "lstm", "input_mode": "linear_input", "direction": "unidirectional", "time_major": True}


def _tanh_and_sigmoid(layers, place):
    del place
    for layer in layers:
        for role, name in _FUNCTIONS.items():
            if getattr(layer, role) is not activations.ACTIVATIONS[name]:
                return f"cuDNN's {role} is {name}, not {getattr(layer, role).name}"
    return None


def _not_rocm(layers, place):
    del layers, place
    return "AMD's library arranges weights in another way" if tf.test.is_built_with_rocm() else None


def _with_cuda(layers, place):
    del layers, place
    return None if tf.test.is_built_with_cuda() else "this TensorFlow is built without CUDA"


def _gpu_visible(layers, place):
    del layers
    return None if place.has_gpu else "there is no GPU"


def run(layers, x, states, lengths=None):
    """See `Engine.run_layers`.

    cuDNN knows neither empty sequences nor empty batches: it is given a step, or a sequence, more, and what comes of
    that is taken away. With lengths there is always a step more: whether all sequences of a batch are whole is kept in
    the op by TensorFlow from the first batch of a size, and taken for true of the others (tensorflow#41630).
    """
    tf32.off_unless_asked_for()
    x = padding.zero_past_end(x, lengths)
    steps, batch = tf.unstack(tf.shape(x)[:2])
    more_steps = tf.maximum(1 - steps, 0) if lengths is None else 1
    more_batch = tf.maximum(1 - batch, 0)
    x = _lengthen(x, [more_steps, more_batch, 0])
    if lengths is None:
        lengths, ends, padded_lengths = tf.fill([batch], steps), tf.fill(tf.shape(x)[1:2], tf.shape(x)[0]), None
    else:
        padded_lengths = tf.pad(lengths, [[0, more_batch]])
        ends = tf.maximum(padded_lengths, 1)
    finals = []
    for _, group in itertools.groupby(zip(layers, states), lambda member: member[0].hidden_size):
        group_layers, group_states = zip(*group)
        group_states = [[_lengthen(part, [more_batch, 0]) for part in state] for state in group_states]
        x, group_finals = _call(group_layers, x, group_states, ends)
        x = padding.zero_past_end(x, padded_lengths)
        finals += group_finals
    outputs = _shorten(x, [steps, batch, -1])
    return outputs, [_final_state(lengths, batch, *pair) for pair in zip(finals, states)]


# There need not be a GPU where a graph is built: that there is one is a preference, and the last, as it starts CUDA.
ENGINE = Engine(
    "cudnn",
    run,
    needs=(
        conditions.dtypes("float16", "float32", "float64"),
        _tanh_and_sigmoid,
        conditions.plain_equations,
        conditions.device_type("GPU"),
        _not_rocm,
    ),
    prefers=(conditions.in_this_process, conditions.outside_of_functions, _with_cuda, _gpu_visible),
)


def _final_state(lengths, batch, final, state):
    """`LSTMState` [B, H]: `final`, which may have a sequence more, and for empty sequences `state`, the initial one."""
    finals = [_shorten(part, [batch, -1]) for part in final]
    return LSTMState(*[tf.where(lengths > 0, after, before) for after, before in zip(finals, state)])


def _lengthen(x, more):
    """`x` with as many zeros more at the end of each axis as `more` says."""
    with _gradient_of("Pad", "StackedLstmLengthen"):
        return tf.pad(x, [[0, number] for number in more])


def _shorten(x, sizes):
    """The first entries of `x` on each axis, as many as `sizes` says; -1 means all."""
    with _gradient_of("Slice", "StackedLstmShorten"):
        return tf.slice(x, [0] * len(sizes), sizes)


# TensorFlow's own gradients of the two compute sizes on the GPU, and the host waits for these.


@tf.RegisterGradient("StackedLstmLengthen")
def _lengthen_gradient(op, d_result):
    x = op.inputs[0]
    return [_shorten(d_result, tf.unstack(tf.shape(x), x.shape.ndims)), None]


@tf.RegisterGradient("StackedLstmShorten")
def _shorten_gradient(op, d_result):
    x = op.inputs[0]
    return [_lengthen(d_result, tf.unstack(tf.shape(x) - tf.shape(d_result), x.shape.ndims)), None, None]


def _call(layers, x, states, ends):
    """Layers of one width in cuDNN; `ends` are their lengths, 1 or more."""
    c, h = (tf.stack(parts) for parts in zip(*states))
    outputs, h, c, _, _ = _forward(x, h, c, pack(layers), ends)
    outputs.set_shape(x.shape[:2].concatenate([layers[0].hidden_size]))
    return outputs, [LSTMState(*state) for state in zip(tf.unstack(c, len(layers)), tf.unstack(h, len(layers)))]


def _forward(x, h, c, params, ends):
    """The op CudnnRNNV3: outputs, the final h and c, the reserve space, and what is reserved on the host."""
    with _gradient_of("CudnnRNNV3", "StackedLstmCudnn"), tf.name_scope(_SCOPE):
        return tf.raw_ops.CudnnRNNV3(
            input=x,
            input_h=h,
            input_c=c,
            params=params,
            sequence_lengths=ends,
            is_training=True,  # TensorFlow does not say whether a gradient will be asked for.
            **_ATTRIBUTES,
        )


def pack(layers):
    """The buffer of the weights of layers of one width, a tensor of one axis; see the module's docstring."""
    matrices, biases = [], []
    for layer in layers:
        fused = layer.fused(_GATES)
        matrices += [tf.transpose(fused.inputs), tf.transpose(fused.recurrent)]
        zeros = tf.zeros([4 * layer.hidden_size], layer.dtype)
        biases += [zeros if fused.bias is None else fused.bias, zeros]
    return tf.concat([tf.reshape(part, [-1]) for part in matrices + biases], axis=0)


def unpack(params, input_size, hidden_size, number):
    """`number` `Layer`s from their buffer; the two biases are added."""
    widths = [input_size] + [hidden_size] * (number - 1)
    sizes = [4 * hidden_size * rows for width in widths for rows in (width, hidden_size)]
    parts = tf.split(params, sizes + [4 * hidden_size] * (2 * number))
    layers = []
    for k, width in enumerate(widths):
        inputs, recurrent = (
            tf.transpose(tf.reshape(part, [4, hidden_size, -1]), [0, 2, 1]) for part in parts[2 * k : 2 * k + 2]
        )
        kernels = tf.unstack(tf.concat([recurrent, inputs], axis=1))
        biases = tf.split(tf.add(*parts[2 * (number + k) : 2 * (number + k) + 2]), 4)
        by_name = [dict(zip(_GATES, tensors)) for tensors in (kernels, biases)]
        weights = ([tensors[gate] for gate in GATE_ORDER] for tensors in by_name)
        functions = {role: activations.ACTIVATIONS[name] for role, name in _FUNCTIONS.items()}
        layers.append(Layer(width, hidden_size, *weights, **functions))
    return layers


def _gradient_of(op_type, name):
    """A context in which new ops of this type have the gradient that is registered as `name`."""
    return tf.get_default_graph().gradient_override_map({op_type: name})


@tf.RegisterGradient("StackedLstmCudnn")
def _gradient(op, *d_results):
    x, h, c, params, ends = op.inputs
    # Where the layers are, not where the gradients were asked for: the reserve space is there.
    with _gradient_of("CudnnRNNBackpropV3", "StackedLstmCudnnBackprop"), tf.device(None), tf.device(op.device):
        results = _forward(*op.inputs) if _reserve_is_taken(op) else op.outputs
        gradients = tf.raw_ops.CudnnRNNBackpropV3(
            input=x,
            input_h=h,
            input_c=c,
            params=params,
            sequence_lengths=ends,
            output=results[0],
            output_h=results[1],
            output_c=results[2],
            output_backprop=d_results[0],
            output_h_backprop=d_results[1],
            output_c_backprop=d_results[2],
            reserve_space=results[3],
            host_reserved=results[4],
            **_ATTRIBUTES,
        )
    return list(gradients) + [None]


def _reserve_is_taken(op):
    """Whether another gradient may use the op's reserve space, which cuDNN's backward pass overwrites.

    In a function it always may: each of the function's callers can ask for gradients. Elsewhere the ops that read the
    space are other gradients, except those with which TensorFlow makes zeros of the space's shape.
    """
    readers = [reader for reader in op.outputs[3].consumers() if reader.type not in ("ZerosLike", "Shape")]
    return op.graph.building_function or bool(readers)


@tf.RegisterGradient("StackedLstmCudnnBackprop")
def _second_gradient(op, *directions):
    x, h, c, params, ends = op.inputs[:5]
    input_size = x.shape.with_rank(3).as_list()[2]
    number, _, hidden_size = h.shape.with_rank(3).as_list()
    if None in (input_size, number, hidden_size):  # TensorFlow 1.15 loses them in loops of control flow v2.
        message = "CudnnRNNBackpropV3: expected inputs of known width for second derivatives, got %s and states %s"
        raise ValueError(message % (x.shape, h.shape))

    def run(x, h, c, params):
        layers = unpack(params, input_size, hidden_size, number)
        outputs, *finals = second_derivatives.results(layers, x, list(zip(tf.unstack(c), tf.unstack(h))), ends)
        return [outputs, tf.stack(finals[number:]), tf.stack(finals[:number])]

    d_primals, d_upstream = second_derivatives.gradient(run, [x, h, c, params], op.inputs[8:11], directions)
    return d_primals + [None] * 4 + d_upstream + [None, None]
