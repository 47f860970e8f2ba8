"""Derivatives of a whole network by central differences, for the tests of all engines and of single engines."""

import itertools
from unittest import mock

import numpy as np

from stacked_lstm import StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from support.references import numeric

# Hidden sizes, input size: the input product in the loop or before it, layers with a shared loop or their own.
STACKS = {
    "in the loop": ([8], 2),
    "before the loop": ([3], 5),
    "shared loop": ([4, 7, 3], 5),
    "own loops": ([260, 5], 3),
}

# Activation -> where its slope jumps. A central difference must not reach over such a kink.
KINKS = {
    "hard_sigmoid": (-2.5, 2.5),
    "hard_sigmoid_6": (-3, 3),
    "relu": (0,),
    "relu6": (0, 6),
    "leaky_relu": (0,),
    "selu": (0,),
}


class Problem:
    """A scalar that depends on every output and every final state, as a function of the inputs and all variables."""

    def __init__(self, session, hidden_sizes, input_size, lengths=None, second=False, engine="graph", **options):
        random = np.random.RandomState(0)
        self._session, self._lengths = session, lengths
        self._activations = {key: name for key, name in options.items() if key.endswith("activation")}
        self.batch, self.steps = 3, 5
        self.x = tf.placeholder(tf.float64, [None, None, input_size])
        options.update(dtype=tf.float64, bias_initializer="tn", engine=engine)
        self.lstm = StackedLSTM(hidden_sizes, **options)
        self.outputs, self.state = self.lstm(self.x, lengths)
        mixing = tf.constant(random.standard_normal([self.batch, self.steps, self.outputs.shape.as_list()[-1]]))
        self.loss = tf.reduce_sum(self.outputs * self.outputs * mixing)
        for layer in self.state:
            self.loss += tf.reduce_sum(tf.sin(layer.c)) + 0.7 * tf.reduce_sum(tf.cos(layer.h))
        self.variables = self.lstm.variables
        self.gradients = tf.gradients(self.loss, [self.x] + self.variables)
        if second:  # Control flow v2 does not let loops change after the first run.
            self.direction = [random.standard_normal(shape) for shape in self._shapes(input_size)]
            along = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(self.gradients, self.direction)])
            self._hessian_vectors = tf.gradients(along, [self.x] + self.variables)
        self._new = [tf.placeholder(tf.float64, v.shape) for v in self.variables]
        self._assign = [v.assign(new) for v, new in zip(self.variables, self._new)]
        session.run(tf.global_variables_initializer())
        self.point = [random.standard_normal([self.batch, self.steps, input_size])] + session.run(self.variables)

    def draw_weights(self, scale):
        """Takes weights for which the arguments of all activations are far from kinks, on both sides of each.

        scale: the standard deviation of the weights.
        """
        for seed in itertools.count():
            random = np.random.RandomState(seed)
            weights = [scale * random.standard_normal(shape) for shape in self._shapes(0)[1:]]
            if all(_is_far_on_both_sides(*item) for item in self._arguments(weights).items()):
                self.point[1:] = weights
                return

    def _arguments(self, weights):
        """Returns activation -> the arguments that it gets in `numpy_lstm`, for the activations that have kinks."""
        layers = [{} for _ in self.lstm.layers]
        for variable, array in zip(self.variables, weights):
            _, layer, name = variable.op.name.split("/")
            layers[int(layer[len("layer_") :]) - 1][name] = array
        arguments = {name: [] for name in self._activations.values() if name in KINKS}

        def record(name):
            function, slope = numpy_lstm.ACTIVATIONS[name]
            return lambda z: arguments[name].extend(np.ravel(z)) or function(z), slope

        x = np.swapaxes(self.point[0], 0, 1)
        if not arguments:
            return {}
        with mock.patch.dict(numpy_lstm.ACTIVATIONS, {name: record(name) for name in arguments}):
            numpy_lstm.forward(layers, x, None, self._lengths, **self._activations)
        return arguments

    def _shapes(self, input_size):
        return [[self.batch, self.steps, input_size]] + [v.shape.as_list() for v in self.variables]

    def at(self, point, fetches):
        """Returns the values of `fetches` if inputs and variables have the values `point`."""
        self._session.run(self._assign, dict(zip(self._new, point[1:])))
        return self._session.run(fetches, {self.x: point[0]})

    def check_gradients(self):
        gradients = self.at(
            self.point, self.gradients
        )  # One run for all, because TensorFlow prepares a graph for each set.
        for k, gradient in enumerate(gradients):
            direction = [np.zeros_like(value) for value in self.point]
            direction[k] = np.random.RandomState(k).standard_normal(direction[k].shape)
            expected = numeric.central_difference(lambda p: self.at(p, self.loss), self.point, direction)
            got = np.sum(gradient * direction[k])
            assert abs(got - expected) <= 1e-6 * max(abs(expected), 1e-2), k

    def check_second_derivatives(self, step=1e-5):
        def gradients_at(point):
            return np.concatenate([np.ravel(gradient) for gradient in self.at(point, self.gradients)])

        expected = numeric.central_difference(gradients_at, self.point, self.direction, step)
        expected = np.split(expected, np.cumsum([value.size for value in self.point])[:-1])
        for k, hessian_vector in enumerate(self.at(self.point, self._hessian_vectors)):
            assert numeric.relative_difference(np.ravel(hessian_vector), expected[k]) < 1e-6, k


def _is_far_on_both_sides(activation, arguments):
    """Whether arguments of an activation are below, between and above its kinks, and none but 0 is near one.

    The cell state of a layer with relu is 0 at a kink, and stays there.
    """
    arguments, kinks = np.array(arguments), np.array(KINKS[activation])
    distances = np.abs(arguments[arguments != 0, None] - kinks)
    sides = set(np.searchsorted(kinks, arguments[arguments != 0]))
    return np.min(distances) > 1e-3 and len(sides) == len(kinks) + 1
