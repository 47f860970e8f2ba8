"""The `graph` engine: plain TensorFlow, any device, any dtype, every activation.

A stack is cut into groups of layers, one loop over time each. Wide layers have a loop of their own, because then
their input product, half of their work, is one GEMM over all T x B rows before the loop. Layers so narrow that a step
is bound by op dispatch share a loop, where the executor overlaps them.
"""

import functools

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines import loops, padding, recurrence
from stacked_lstm.engines.engine import Engine
from stacked_lstm.state import LSTMState

# Layers whose fused kernel has at most this many entries (1 MB in float32, about a core's L2 cache) share a loop.
_SHARED_LOOP_ENTRIES = 2**18

# The first layer's inputs go through the loop where they are this many times narrower than its state: widening the
# recurrent product a little then costs less than writing and reading [T, B, 4H].
_NARROW_INPUT = 4


def run(layers, x, states, lengths=None):
    """See `Engine.run_layers`."""
    steps, x = tf.shape(x)[0], padding.zero_past_end(x, lengths)
    # XLA may compile what is inside functions and loops, and has no sizes that depend on values.
    trims = lengths is not None and not inside_function_or_control_flow()
    if trims:
        x = padding.trim(x, lengths)
    finals, first = [], 0
    for size in _group_sizes(layers):
        below, group = _prepare(layers[first : first + size], x)
        group_states = [LSTMState(*state) for state in states[first : first + size]]
        x, group_finals = recurrence.run(below, group, group_states, lengths)
        finals += group_finals
        first += size
    if trims:
        x = padding.untrim(x, steps)
    return x, finals


ENGINE = Engine("graph", run)


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
        kernel, inputs, bias = layer.fused()
        product_outside = k == 0 and layer.input_size * _NARROW_INPUT > layer.hidden_size
        if product_outside:
            x = _input_product(x, inputs, bias)
        else:
            kernel = tf.concat([kernel, inputs] + ([] if bias is None else [bias[None]]), axis=0)
        has_bias = bias is not None and not product_outside
        step = functools.partial(layer.step, layer=layer) if layer.step else None
        functions = layer.activation, layer.recurrent_activation
        group.append(loops.GroupLayer(kernel, product_outside, has_bias, *functions, extras=layer.extras, step=step))
    return x, group


def _input_product(x, kernel, bias):
    """x W + b for all steps, [T, B, 4H], in one GEMM."""
    product = tf.matmul(tf.reshape(x, [-1, kernel.shape.as_list()[0]]), kernel)
    if bias is not None:
        product = tf.nn.bias_add(product, bias)
    return tf.reshape(product, tf.concat([tf.shape(x)[:2], kernel.shape.as_list()[1:]], axis=0))
