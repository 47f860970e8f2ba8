"""The graph engine's gradient: a group of layers over time as one function whose derivatives are written by hand.

First derivatives: `loops.backward` collects the gradients of z of all steps. Each weight gradient is then one product
over T x B rows.

Second derivatives: the backward pass has a gradient of its own. It computes J' u, where J is the Jacobian of the
forward pass and u the incoming gradient. Its scalar product with a direction v is <u, J v>. J v is `tangent_loop`, an
ordinary loop that TensorFlow differentiates correctly under both control flows. A third derivative would differentiate
a gradient loop again, which TensorFlow refuses under control flow v1.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.custom_gradient import available_after, custom_gradient
from stacked_lstm.engines import padding
from stacked_lstm.engines.graph import loop_gradients, loop_series, loops, tangent_loop
from stacked_lstm.engines.graph.group_layer import GroupLayer
from stacked_lstm.lstm.equations import StepGradient, masked
from stacked_lstm.state import LSTMState


class _Arguments(NamedTuple):
    """The arguments of a group that have gradients. `weights` has an entry per layer, as `_weights` returns it."""

    inputs: Any
    weights: Any
    states: Any


class _Results(NamedTuple):
    """The results of a group: h of the last layer, and the final `LSTMState` per layer."""

    outputs: Any
    finals: Any


def run(
    inputs: tf.Tensor,
    layers: Sequence[GroupLayer],
    states: Sequence[LSTMState],
    lengths: tf.Tensor | None = None,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs a group of layers over time. The result is differentiable in every tensor.

    Args:
      inputs: [T, B, I], the inputs of the first layer, or its input product [T, B, 4H_1], bias included.
      layers: list of `GroupLayer`.
      states: list of `LSTMState`, c [B, H_l] and h [B, P_l].
      lengths: int32 [B], or None if all sequences have T steps.

    Returns:
      (h of the last layer, [T, B, P_L], zero past the end of each sequence; an `LSTMState` per layer at the end of each
      sequence).
    """
    arguments = _Arguments(inputs, [_weights(layer) for layer in layers], states)
    group = _Group(layers, arguments, lengths)
    if _needs_tensorflow_gradient(layers):
        return _run_loop_that_tensorflow_differentiates(group, arguments)

    @custom_gradient
    def forward(*flat: tf.Tensor) -> Any:
        states, tapes = group.forward(group.pack(flat))
        results = group.results(states, tapes)

        def backward(*d_results: tf.Tensor) -> Any:
            return _differentiable_backward(group, flat, tapes, d_results)

        return tf.nest.flatten(results), backward

    return tf.nest.pack_sequence_as(group.results_structure, forward(*tf.nest.flatten(arguments)))


def _run_loop_that_tensorflow_differentiates(group: _Group, arguments: _Arguments) -> _Results:
    """Returns the results of `group`. TensorFlow differentiates the loop."""
    if inside_function_or_control_flow():
        once = tf.nest.map_structure(_differentiable_once, arguments)
        return group.results(*group.forward(once, back_prop=True))

    def build() -> _Results:
        return _without_extra_step(group.results(*group.forward(arguments, back_prop=True)), arguments)

    results: _Results = loop_gradients.differentiable(build, optional=[arguments.inputs, *group.masks])
    return results


def _differentiable_backward(
    group: _Group, flat: Sequence[tf.Tensor], tapes: Sequence[loops.Tape], d_results: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """Gradients of all tensors in `flat`, which have a gradient themselves; see the docstring of the module."""

    @custom_gradient
    def backward(*flat_and_d_results: tf.Tensor) -> Any:
        arguments = group.pack(flat_and_d_results[: len(flat)])
        d_results = tf.nest.pack_sequence_as(group.results_structure, flat_and_d_results[len(flat) :])

        def second(*directions: tf.Tensor) -> list[tf.Tensor]:
            # Differentiating with respect to copies sees the tangent alone. That the arguments depend on each other
            # (states on inputs, the incoming gradient on everything) is the caller's business.
            tensors = [tf.convert_to_tensor(direction) for direction in directions]
            for direction, primal in zip(tensors, flat):
                direction.set_shape(primal.shape)
            # TensorFlow tells the gradients of TensorArrays apart by the last "gradients" in the names of ops. Within
            # the scope of the outer tf.gradients two of them would share one and silently read each other's zeros.
            with tf.name_scope(None), tf.name_scope("stacked_lstm_tangent"):
                copies = [tf.identity(tensor) for tensor in flat]
                tangent = tf.nest.flatten(group.tangent(group.pack(copies), group.pack(tensors)))
                product = tf.add_n([tf.reduce_sum(u * dot) for u, dot in zip(tf.nest.flatten(d_results), tangent)])
                seconds = tf.gradients(product, copies) + tangent
                return available_after(seconds, seconds)

        gradients = group.backward(arguments, tapes, d_results)
        # Nothing waits for the gradients of the inputs and of masks, because most programs do not need them.
        needed = [weights[:3] for weights in gradients.weights], gradients.states
        return available_after(tf.nest.flatten(needed), tf.nest.flatten(gradients)), second

    # The gradient of tf.gather is IndexedSlices, which this function does not take.
    return backward(*flat, *[tf.convert_to_tensor(d) for d in d_results])


def _needs_tensorflow_gradient(layers: Sequence[GroupLayer]) -> bool:
    """Whether TensorFlow has to differentiate the loop itself, which is slower.

    An activation that is a callable may do more than elementwise operations, or own variables. Only TensorFlow knows
    its derivative, and that of another equation, of masks on c, or of swish. Within a function, or in the user's
    tf.cond or tf.while_loop, TensorFlow moves the backward pass to places where a custom gradient cannot follow.
    """
    functions = [f for layer in layers for f in (layer.activation, layer.recurrent_activation)]
    is_unknown = any(f.times_slope is None for f in functions)
    is_unknown |= not all(layer.has_gradient for layer in layers)
    return is_unknown or inside_function_or_control_flow()


def _without_extra_step(results: _Results, arguments: _Arguments) -> _Results:
    """The results of a loop that ran one step even if there are none: then no outputs, and the initial states."""
    steps = loop_series.step_count(arguments.inputs)
    if isinstance(steps, int) and steps > 0:
        return results
    has_steps = tf.fill(tf.shape(arguments.inputs)[1:2], steps > 0)
    pairs = zip(results.finals, arguments.states)
    return _Results(results.outputs[:steps], [loop_series.select_state(has_steps, *pair) for pair in pairs])


def _differentiable_once(tensor: tf.Tensor) -> tf.Tensor:
    """`tensor`, whose second derivative raises an error under control flow v1.

    It would differentiate the gradient of a loop, which TensorFlow cannot do under control flow v1.
    """
    if tf.control_flow_v2_enabled() or tf.get_default_graph().building_function:
        return tensor

    @custom_gradient
    def identity_with_gradient(d: tf.Tensor) -> Any:
        return tf.identity(d), _refuse_second_derivatives

    @custom_gradient
    def identity(x: tf.Tensor) -> Any:
        return tf.identity(x), identity_with_gradient

    return identity(tensor)


def _refuse_second_derivatives(*_: tf.Tensor) -> Any:
    raise ValueError(
        "StackedLSTM: second derivatives of layers inside a tf.cond or a tf.while_loop need control flow v2; call "
        "tf.compat.v1.enable_control_flow_v2() before the graph is built"
    )


class _Group:
    """A group of layers with fixed activations and sequence lengths, and the passes over it."""

    def __init__(self, layers: Sequence[GroupLayer], arguments: _Arguments, lengths: tf.Tensor | None) -> None:
        self._layers = layers
        self._lengths = lengths
        self._structure = arguments
        self.results_structure = _Results(0, [LSTMState(0, 0) for _ in layers])

    @property
    def masks(self) -> list[tf.Tensor]:
        return [mask for layer in self._layers for mask in layer.masks]

    def pack(self, flat: Sequence[tf.Tensor]) -> _Arguments:
        return tf.nest.pack_sequence_as(self._structure, flat)

    def _layers_with(self, arguments: _Arguments) -> list[GroupLayer]:
        """The layers, with the weights of other arguments."""
        return [_replace_weights(layer, weights) for layer, weights in zip(self._layers, arguments.weights)]

    def forward(self, arguments: _Arguments, back_prop: bool = False) -> tuple[list[LSTMState], list[loops.Tape]]:
        layers = self._layers_with(arguments)
        return loops.forward(arguments.inputs, layers, arguments.states, self._lengths, back_prop)

    def results(self, states: list[LSTMState], arrays: Sequence[Any]) -> _Results:
        """The results of the group.

        c of all steps is read only if there are lengths, so that plain inference need not keep it.

        Args:
          states: list of `LSTMState` after step T.
          arrays: per layer an object with TensorArrays `c` and `h` of T + 1 entries.
        """
        outputs = padding.zero_past_end(arrays[-1].h.stack()[1:], self._lengths)
        if self._lengths is None:
            return _Results(outputs, states)
        series = [LSTMState(array.c.stack(), array.h.stack()) for array in arrays]
        finals = [LSTMState(*[padding.entry_at_end(part, self._lengths) for part in pair]) for pair in series]
        return _Results(outputs, finals)

    def tangent(self, arguments: _Arguments, directions: _Arguments) -> _Results:
        """The directional derivatives of the results."""
        states, arrays = tangent_loop.tangent(
            arguments.inputs,
            self._layers_with(arguments),
            arguments.states,
            directions.inputs,
            self._layers_with(directions),
            directions.states,
            self._lengths,
        )
        return _without_extra_step(self.results(states, arrays), directions)

    def backward(self, arguments: _Arguments, tapes: Sequence[loops.Tape], d_results: _Results) -> _Arguments:
        """The gradients of `arguments`, in their structure."""
        layers = self._layers_with(arguments)
        d_outputs = padding.zero_past_end(d_results.outputs, self._lengths)
        transposed = loops.transposed_kernels(layers)
        gradients, d_states = loops.backward(tapes, layers, transposed, d_outputs, d_results.finals, self._lengths)
        d_weights, inputs = [], arguments.inputs
        for layer, transposed_kernel, tape, gradient in zip(layers, transposed, tapes, gradients):
            h = tape.h.stack()
            rows = masked(h[:-1], layer.h_masks)
            if not layer.has_input_product:
                rows = layer.kernel_inputs(rows, inputs, tf.ones_like(rows[:, :, :1]))
            d_kernel = self._d_matrix(rows, gradient.z)
            d_weights.append([d_kernel] + self._d_extras(layer, transposed_kernel, tape, gradient))
            inputs = h[1:]
        return _Arguments(_d_inputs(layers[0], gradients[0].z, arguments.inputs), d_weights, d_states)

    def _d_matrix(self, factors: tf.Tensor, d_product: tf.Tensor) -> tf.Tensor:
        """The gradient [N, M] of a matrix, from the `factors` [T, B, N] that it multiplied and the gradient of the
        product, [T, B, M]."""
        return tf.matmul(_rows(padding.zero_past_end(factors, self._lengths)), _rows(d_product), transpose_a=True)

    def _d_extras(
        self, layer: GroupLayer, transposed_kernel: tf.Tensor, tape: loops.Tape, gradient: StepGradient
    ) -> list[list[tf.Tensor]]:
        """The gradients of peepholes, projection and masks, as `_weights` lists them.

        Nothing waits for the gradient of masks, so an optimizer may have changed the kernel by then. It is computed
        from `transposed_kernel`, a copy that the loop has read.
        """
        d_peepholes, d_projection, d_masks = [], [], []
        if layer.extras.peepholes:
            dzi, _, dzf, dzo = tf.split(gradient.z, 4, axis=-1)
            c = tape.c.stack()
            before, after = padding.zero_past_end(c[:-1], self._lengths), padding.zero_past_end(c[1:], self._lengths)
            pairs = [(dzi, before), (dzf, before), (dzo, after)]
            d_peepholes = [tf.reduce_sum(dz * cell_states, axis=[0, 1]) for dz, cell_states in pairs]
        if layer.extras.projection is not None:
            h = tape.gates.o.stack()[:-1] * tape.gates.tanh_c.stack()[:-1]
            d_projection = [self._d_matrix(h, gradient.projected)]
        if layer.h_masks is not None:  # A session computes it only if the masks depend on what it differentiates.
            h = padding.zero_past_end(tape.h.stack()[:-1], self._lengths)
            d_rows = tf.matmul(_rows(gradient.z), transposed_kernel[:, : layer.output_size])
            d_masks = [h * tf.reshape(d_rows, tf.shape(h))]
        return [d_peepholes, d_projection, d_masks]


def _weights(layer: GroupLayer) -> list:
    """The tensors of a layer that have gradients: [kernel, peepholes, projection, masks on h]. The last three are
    lists, which are empty if the layer does not have them."""
    lists = [[] if tensor is None else [tensor] for tensor in (layer.extras.projection, layer.h_masks)]
    return [layer.kernel, list(layer.extras.peepholes or []), *lists]


def _replace_weights(layer: GroupLayer, weights: list) -> GroupLayer:
    """`layer` with other tensors, which are listed as `_weights` lists them."""
    kernel, peepholes, projection, h_masks = weights
    extras = layer.extras._replace(peepholes=peepholes or None, projection=projection[0] if projection else None)
    noise = layer.noise._replace(recurrent=h_masks[0]) if h_masks else layer.noise
    return layer._replace(kernel=kernel, extras=extras, noise=noise)


def _d_inputs(layer: GroupLayer, dz: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """The gradient of a group's inputs: dz itself if they are the input product, else one GEMM over all steps."""
    if layer.has_input_product:
        return dz
    first = layer.output_size
    kernel = layer.kernel[first : first + inputs.shape.as_list()[-1]]
    return tf.reshape(tf.matmul(_rows(dz), kernel, transpose_b=True), tf.shape(inputs))


def _rows(series: tf.Tensor) -> tf.Tensor:
    """[T, B, N] as [T B, N]."""
    return tf.reshape(series, [-1, series.shape.as_list()[-1]])
