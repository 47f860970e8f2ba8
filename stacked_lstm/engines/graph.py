"""The `graph` engine: plain TensorFlow, any device, any dtype, every activation.

A stack is cut into groups of layers, one loop over time each. Wide layers have a loop of their own, because then
their input product, half of their work, is one GEMM over all T x B rows before the loop. Layers so narrow that a step
is bound by op dispatch share a loop, where the executor overlaps them.
"""

from stacked_lstm.compat import tf
from stacked_lstm.engines import loops, padding, recurrence
from stacked_lstm.state import LSTMState

# Layers whose fused kernel has at most this many entries (1 MB in float32, about a core's L2 cache) share a loop.
_SHARED_LOOP_ENTRIES = 2**18

# The first layer's inputs go through the loop where they are this many times narrower than its state: widening the
# recurrent product a little then costs less than writing and reading [T, B, 4H].
_NARROW_INPUT = 4


def unsupported(layers):
    """Why this engine cannot run `layers`; it always can."""
    del layers
    return None


passed_over = unsupported


def run(weights, x, state, sequence_length=None):
    """Runs one layer; the contract of every engine.

    Args:
      weights: `weights.LayerWeights`, or anything that has its sizes, activations, `extras` and `fused()`.
      x: [T, B, I].
      state: pair (c, h), [B, H] each; where h is projected, it is as wide as the projection, here and below.
      sequence_length: int32 [B], or None.

    Returns:
      ([T, B, H] with zeros past each end, `LSTMState` at each end), differentiable in every input.
    """
    x = padding.zero_past_end(x, sequence_length)
    outputs, (final,) = run_stack([weights], x, [state], sequence_length)
    return outputs, final


def run_stack(layers, x, states, sequence_length=None):
    """Runs layers one on the other: `run` for a list of weights and of states; returns a list of final states.

    Padding in `x` must be finite, as `StackedLSTM` sees to.
    """
    steps = tf.shape(x)[0]
    if sequence_length is not None:
        x = padding.trim(x, sequence_length)
    finals, first = [], 0
    for size in _group_sizes(layers):
        below, group = _prepare(layers[first : first + size], x)
        group_states = [LSTMState(*state) for state in states[first : first + size]]
        x, group_finals = recurrence.run(below, group, group_states, sequence_length)
        finals += group_finals
        first += size
    if sequence_length is not None:
        x = padding.untrim(x, steps)
    return x, finals


def _group_sizes(layers):
    """How many successive layers go into each loop."""
    sizes, open_group = [], False
    for layer in layers:
        narrow = 4 * layer.hidden_size * (layer.output_size + layer.input_size) <= _SHARED_LOOP_ENTRIES
        if narrow and open_group:
            sizes[-1] += 1
        else:
            sizes.append(1)
        open_group = narrow
    return sizes


def _prepare(layers, x):
    """Returns what the group's loop reads, and its `loops.GroupLayer`s."""
    group = []
    for k, layer in enumerate(layers):
        kernel, of_inputs, bias = layer.fused()
        product_outside = k == 0 and layer.input_size * _NARROW_INPUT > layer.hidden_size
        if product_outside:
            x = _input_product(x, of_inputs, bias)
        else:
            kernel = tf.concat([kernel, of_inputs] + ([] if bias is None else [bias[None]]), axis=0)
        has_bias = bias is not None and not product_outside
        functions = layer.activation, layer.recurrent_activation
        group.append(loops.GroupLayer(kernel, product_outside, has_bias, *functions, extras=layer.extras))
    return x, group


def _input_product(x, kernel, bias):
    """x W + b for all steps, [T, B, 4H], in one GEMM."""
    product = tf.matmul(tf.reshape(x, [-1, kernel.shape.as_list()[0]]), kernel)
    if bias is not None:
        product = tf.nn.bias_add(product, bias)
    return tf.reshape(product, tf.concat([tf.shape(x)[:2], kernel.shape.as_list()[1:]], axis=0))
