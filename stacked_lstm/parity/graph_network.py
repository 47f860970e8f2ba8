"""One network of the comparison, in the graph: StackedLSTM, or a peer with copies of its variables."""

import collections

from stacked_lstm import layouts, weights
from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMState

Recurrent = collections.namedtuple("Recurrent", ["outputs", "state", "layers", "layout", "source"])
Recurrent.__doc__ = """A stack of LSTM layers that somebody built.

Fields:
  outputs: the last layer's, [B, T, H_L] or [T, B, H_L], zero past each end.
  state: (c, h) per layer, [B, H_l] each, with these field names.
  layers: a mapping per layer from the names in `layouts.LAYOUTS[layout]` to the variables.
  layout: a name of `layouts.LAYOUTS`.
  source: where the layers come from, for people.
"""


class GraphNetwork:
    """A recurrent part and a dense layer on its last output, with gradients and training.

    Attributes:
      source: where the layers come from.
      outputs: what the recurrent part returned.
      train_step: op that makes a step of plain gradient descent; None where there is no learning rate.
    """

    def __init__(self, recurrent, initial_state, setup, placeholders, learning_rate):
        """Adds the dense layer, gradients and a training step.

        Args:
          recurrent: `Recurrent`.
          initial_state: a mapping per layer from names to the variables of the initial state; or an empty list.
          setup, placeholders: `Setup`, and the `Batch` that the recurrent part was built on.
          learning_rate: a number; None for no training step.
        """
        self.source, self.outputs = recurrent.source, recurrent.outputs
        self._recurrent, self._initial_state, self._placeholders = recurrent, initial_state, placeholders
        self._head = [
            tf.Variable(tf.zeros(shape, recurrent.outputs.dtype))
            for shape in ([setup.hidden_sizes[-1], setup.horizon], [setup.horizon])
        ]
        variables = {
            "inputs": placeholders.inputs,
            "layers": [dict(layer) for layer in recurrent.layers],
            "initial_state": [dict(layer) for layer in initial_state],
        }
        gradients = tf.gradients(self._mixed(setup.use_states), tf.nest.flatten(variables))
        self._gradients = tf.nest.pack_sequence_as(variables, gradients)
        predicted = tf.matmul(recurrent.state[-1].h, self._head[0]) + self._head[1]
        self._loss = tf.reduce_mean(tf.square(predicted - placeholders.targets))
        trained = tf.nest.flatten([variables["layers"], variables["initial_state"], self._head])
        self.train_step = None if learning_rate is None else self._descent(learning_rate, trained)

    def _descent(self, learning_rate, variables):
        rate = tf.constant(learning_rate, self._loss.dtype)  # A Python float would be rounded to float32.
        return tf.train.GradientDescentOptimizer(rate).minimize(self._loss, var_list=variables)

    def _mixed(self, use_states):
        """A scalar in which every output, and every final state if they are used, has a weight of its own."""
        total = tf.reduce_sum(self.outputs * self._placeholders.mixing)
        if use_states:
            for k, (c, h) in enumerate(self._recurrent.state):
                total += tf.reduce_sum(tf.sin(c + 0.3 * k)) - tf.reduce_sum(tf.cos(h + 0.7 * k))
        return total

    def start(self, session, values, head):
        """Gives the network weights: `weights.Weights`, and the dense layer's matrix and bias."""
        pairs = list(zip(self._head, head))
        for layer, explicit in zip(self._recurrent.layers, values.layers):
            packed = layouts.pack(explicit, self._recurrent.layout)
            pairs += [(variable, packed[name]) for name, variable in layer.items()]
        for layer, explicit in zip(self._initial_state, values.initial_state):
            pairs += [(variable, explicit[name]) for name, variable in layer.items()]
        weights.load(pairs, session)

    def compute(self, session, batch):
        """Returns name -> array: outputs, final states, and the gradients of the input and of every weight."""
        results = (self.outputs, self._recurrent.state, self._gradients)
        outputs, state, gradients = session.run(results, self.feed(batch))
        layout = self._recurrent.layout
        gradients["layers"] = [layouts.unpack(layer, layout, forget_bias=0.0) for layer in gradients["layers"]]
        return named(outputs, state, gradients)

    def train(self, session, batch):
        """Makes a training step; returns the loss before it."""
        return session.run([self._loss, self.train_step], self.feed(batch))[0]

    def infer(self, session, batch):
        """Computes the outputs, and leaves them where they are."""
        session.run(self.outputs.op, self.feed(batch))

    def feed(self, batch):
        """The feed dictionary for a `Batch`."""
        return {p: value for p, value in zip(self._placeholders, batch) if p is not None and value is not None}


def of_stacked_lstm(lstm, setup, placeholders, learning_rate):
    """The `GraphNetwork` of a `StackedLSTM`, which it calls."""
    outputs, state = lstm(placeholders.inputs, placeholders.lengths, time_major=setup.time_major)
    layers, initial_state = lstm.variables_by_layer
    recurrent = Recurrent(outputs, state, layers, layouts.OWN, "engine %s (%s)" % tuple(lstm.engine_used))
    return GraphNetwork(recurrent, initial_state, setup, placeholders, learning_rate)


def of_peer(build, lstm, setup, placeholders, learning_rate):
    """The `GraphNetwork` of a peer beside a `StackedLSTM` that was built before.

    Args:
      build: function that adds a stack of layers to the graph and returns a `Recurrent`. Its arguments are
        hidden_sizes; inputs, [B, T, I], or [T, B, I] if time_major; lengths, int32 [B] or None; initial_state, an
        `LSTMState` per layer or None for zeros; time_major. All but the first two have defaults: None, None, False.
    """
    copies = [
        {name: tf.Variable(tf.zeros(v.shape, v.dtype.base_dtype)) for name, v in layer.items()}
        for layer in lstm.variables_by_layer.initial_state
    ]
    x, lengths = placeholders.inputs, placeholders.lengths
    first = x[0] if setup.time_major else x[:, 0]
    if lengths is not None:  # What is past the end of an empty sequence is no first input.
        first = tf.where(lengths > 0, first, tf.zeros_like(first))
    states = _initial_states(copies, first) or None
    recurrent = build(setup.hidden_sizes, x, lengths, states, setup.time_major)
    return GraphNetwork(recurrent, copies, setup, placeholders, learning_rate)


def named(outputs, state, gradients):
    """name -> array of outputs, (c, h) per layer, and gradients: "inputs", "layers" and "initial_state"."""
    found = collections.OrderedDict(outputs=outputs)
    for k, pair in enumerate(state):
        found.update((f"layer_{k + 1} final {field}", part) for field, part in zip("ch", pair))
    found["d inputs"] = gradients["inputs"]
    for scope, key in (("", "layers"), ("initial_state/", "initial_state")):
        for k, layer in enumerate(gradients[key]):
            found.update((f"d {scope}layer_{k + 1}/{name}", gradient) for name, gradient in layer.items())
    return found


def _initial_states(layers, x):
    """`LSTMState` per layer, from variables called W_c and W_h or c and h, and the first input [B, I]."""
    states, c, h = [], x, x
    for layer in layers:
        if "W_c" in layer:
            c, h = tf.tanh(tf.matmul(c, layer["W_c"])), tf.tanh(tf.matmul(h, layer["W_h"]))
        else:
            c, h = (tf.zeros([tf.shape(x)[0], 1], x.dtype) + layer[field] for field in "ch")
        states.append(LSTMState(c, h))
    return states
