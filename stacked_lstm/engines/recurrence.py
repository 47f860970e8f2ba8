"""A group of layers over time as one differentiable function, with a hand-written gradient.

First derivatives: `loops.backward` gathers dz of all steps; each weight gradient is then one product over T x B rows.

Second derivatives: the backward pass has a gradient of its own. It computes J' u, J the Jacobian of the forward pass
and u the incoming gradient; along a direction v its scalar product is <u, J v>, and J v is `loops.tangent`, an ordinary
loop that TensorFlow differentiates correctly under every control flow. A third derivative would differentiate a
gradient loop again, which TensorFlow itself refuses under control flow v1.
"""

import collections

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines import loops, padding
from stacked_lstm.state import LSTMState

_Arguments = collections.namedtuple("_Arguments", ["below", "weights", "states"])
_Results = collections.namedtuple("_Results", ["outputs", "finals"])


def run(below, layers, states, lengths=None):
    """Runs a group of layers over time, differentiably in every tensor.

    Args:
      below: [T, B, I] inputs of the first layer, or its input product [T, B, 4H_1], bias included.
      layers: list of `loops.GroupLayer`.
      states: list of `LSTMState`, each [B, H_l].
      lengths: int32 [B], or None where all sequences have T steps.

    Returns:
      ([T, B, H_L] the last layer's h, zero past each end; final states as `LSTMState` per layer).
    """
    arguments = _Arguments(below, [_weights(layer) for layer in layers], states)
    group = _Group(layers, arguments, lengths)
    if _left_to_tensorflow(layers):
        arguments = tf.nest.map_structure(_once_differentiable, arguments)
        return group.results(*group.forward(arguments, back_prop=True))

    @tf.custom_gradient
    def forward(*flat):
        group_arguments = group.pack(flat)
        states, tapes = group.forward(group_arguments)
        results = group.results(states, tapes)

        def backward(*d_results):
            return _differentiable_backward(group, flat, tapes, d_results)

        return tf.nest.flatten(results), backward

    return tf.nest.pack_sequence_as(group.results_structure, forward(*tf.nest.flatten(arguments)))


def _differentiable_backward(group, flat, tapes, d_results):
    """Gradients of everything in `flat`, with a gradient of their own: see the module's docstring."""

    @tf.custom_gradient
    def backward(*flat_and_d_results):
        arguments = group.pack(flat_and_d_results[: len(flat)])
        d_results = tf.nest.pack_sequence_as(group.results_structure, flat_and_d_results[len(flat) :])

        def second(*directions):
            # Differentiating with respect to copies sees the tangent alone: the arguments depend on each other
            # (states on inputs, the incoming gradient on everything), which is the caller's business.
            directions = [tf.convert_to_tensor(direction) for direction in directions]
            for direction, primal in zip(directions, flat):
                direction.set_shape(primal.shape)
            # TensorFlow keeps the gradients of TensorArrays apart by the last "gradients" in the names of ops. Within
            # the scope of the outer tf.gradients two of them would share one and silently read each other's zeros.
            with tf.name_scope(None), tf.name_scope("stacked_lstm_tangent"):
                copies = [tf.identity(tensor) for tensor in flat]
                moved = tf.nest.flatten(group.tangent(group.pack(copies), group.pack(directions)))
                product = tf.add_n([tf.reduce_sum(u * m) for u, m in zip(tf.nest.flatten(d_results), moved)])
                return tf.gradients(product, copies) + moved

        return tf.nest.flatten(group.backward(arguments, tapes, d_results)), second

    # The gradient of tf.gather is IndexedSlices.
    return backward(*flat, *[tf.convert_to_tensor(d) for d in d_results])


def _left_to_tensorflow(layers):
    """Whether TensorFlow shall differentiate the loop itself, which costs speed.

    A callable may be more than elementwise, or own variables: only TensorFlow knows its derivative, and that of
    another equation. And within a function, or in the user's own tf.cond or tf.while_loop, TensorFlow moves the
    backward pass to places where a custom gradient cannot follow.
    """
    functions = [f for layer in layers for f in (layer.activation, layer.recurrent_activation)]
    unknown = any(f.times_slope is None for f in functions) or any(layer.step for layer in layers)
    return unknown or inside_function_or_control_flow()


def _once_differentiable(tensor):
    """`tensor`, where a second derivative through it would have to differentiate a gradient loop of control flow v1."""
    if tf.control_flow_v2_enabled() or tf.get_default_graph().building_function:
        return tensor

    @tf.custom_gradient
    def identity_with_gradient(d):
        def refuse(*_):
            raise ValueError(
                "StackedLSTM: expected control flow v2 for second derivatives with a callable as activation or step, "
                "got control flow v1; call tf.compat.v1.enable_control_flow_v2() before the graph is built, or use "
                "named activations and the plain equations"
            )

        return tf.identity(d), refuse

    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda d: identity_with_gradient(d)  # custom_gradient inspects its signature

    return identity(tensor)


class _Group:
    """What is fixed about a group (its activations, its sequences' ends), and the passes over it."""

    def __init__(self, layers, arguments, lengths):
        self._layers = layers
        self._lengths = lengths
        self._structure = arguments
        self.results_structure = _Results(0, [LSTMState(0, 0) for _ in layers])

    def pack(self, flat):
        return tf.nest.pack_sequence_as(self._structure, flat)

    def _with(self, arguments):
        return [_with_weights(layer, weights) for layer, weights in zip(self._layers, arguments.weights)]

    def forward(self, arguments, back_prop=False):
        return loops.forward(arguments.below, self._with(arguments), arguments.states, self._lengths, back_prop)

    def results(self, states, tapes):
        """`_Results` from the states after step T, and from c and h of all steps, TensorArrays of T + 1 entries.

        Only where sequences end early does it take c of all steps, so that plain inference need not keep it.
        """
        outputs = padding.zero_past_end(tapes[-1].h.stack()[1:], self._lengths)
        if self._lengths is None:
            return _Results(outputs, states)
        series = [LSTMState(tape.c.stack(), tape.h.stack()) for tape in tapes]
        return _Results(outputs, [LSTMState(*[padding.at_end(s, self._lengths) for s in pair]) for pair in series])

    def tangent(self, arguments, directions):
        moving = (directions.below, self._with(directions), directions.states)
        states, tapes = loops.tangent(arguments.below, self._with(arguments), arguments.states, *moving, self._lengths)
        return self.results(states, tapes)

    def backward(self, arguments, tapes, d_results):
        """Gradients of `arguments`, in their structure."""
        layers = self._with(arguments)
        d_outputs = padding.zero_past_end(d_results.outputs, self._lengths)
        of_steps, d_states = loops.backward(tapes, layers, d_outputs, d_results.finals, self._lengths)
        d_weights, below = [], arguments.below
        for layer, tape, gradient in zip(layers, tapes, of_steps):
            h = tape.h.stack()
            rows = h[:-1]
            if not layer.has_input_product:
                rows = loops.joined(layer, rows, below, tf.ones_like(rows[:, :, :1]))
            d_kernel = self._product(rows, gradient.z)
            d_weights.append([d_kernel] + self._d_extras(layer, tape, gradient))
            below = h[1:]
        return _Arguments(_d_below(layers[0], of_steps[0].z, arguments.below), d_weights, d_states)

    def _product(self, series, d_series):
        """The gradient [N, M] of a matrix that took `series` [T, B, N], given that of what it made [T, B, M]."""
        return tf.matmul(_rows(padding.zero_past_end(series, self._lengths)), _rows(d_series), transpose_a=True)

    def _d_extras(self, layer, tape, gradient):
        """Gradients of peepholes and projection, as `_weights` lists them."""
        d_extras = [[], []]
        if layer.extras.peepholes:
            dzi, _, dzf, dzo = tf.split(gradient.z, 4, axis=-1)
            c = tape.c.stack()
            before, after = padding.zero_past_end(c[:-1], self._lengths), padding.zero_past_end(c[1:], self._lengths)
            pairs = [(dzi, before), (dzf, before), (dzo, after)]
            d_extras[0] = [tf.reduce_sum(dz * seen, axis=[0, 1]) for dz, seen in pairs]
        if layer.extras.projection is not None:
            d_extras[1] = [self._product(tape.o.stack() * tape.squashed.stack(), gradient.projected)]
        return d_extras


def _weights(layer):
    """The tensors of a layer that have gradients: [kernel, peepholes, projection], the last two lists, maybe empty."""
    projection = layer.extras.projection
    return [layer.kernel, list(layer.extras.peepholes or []), [] if projection is None else [projection]]


def _with_weights(layer, weights):
    """`layer` with other tensors, as `_weights` lists them."""
    kernel, peepholes, projection = weights
    extras = layer.extras._replace(peepholes=peepholes or None, projection=projection[0] if projection else None)
    return layer._replace(kernel=kernel, extras=extras)


def _d_below(layer, dz, below):
    """Gradient of a group's inputs: dz itself where they are the input product, else one GEMM over all steps."""
    if layer.has_input_product:
        return dz
    first = loops.output_size(layer)
    kernel = layer.kernel[first : first + below.shape.as_list()[-1]]
    return tf.reshape(tf.matmul(_rows(dz), kernel, transpose_b=True), tf.shape(below))


def _rows(series):
    """[T, B, N] as [T B, N]."""
    return tf.reshape(series, [-1, series.shape.as_list()[-1]])
