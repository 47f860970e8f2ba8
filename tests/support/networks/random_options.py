"""Random networks with options for `numpy_lstm`, for the tests of NumPy and of the engines."""

import copy

import numpy as np

from stacked_lstm import LSTMState, numpy_lstm
from support.networks.random_networks import GATES

STEPS, BATCH, WIDTH = 6, 4, 3
LENGTHS = [6, 0, 1, 4]
PLAIN = numpy_lstm.LayerOptions()


def mask(random, *shape):
    """Dropout at the rate 0.5."""
    return 2.0 * (random.uniform(size=shape) < 0.5)


class Network:
    """Two layers of width 3 on inputs of width 3, with weights, masks, states and gradients that are random.

    Args:
      options: dictionary of what the network has; see `test_numpy_options.COMBINATIONS`.
    """

    def __init__(self, options):
        self.random = random = np.random.RandomState(0)
        size = options.get("projection_size") or WIDTH
        self.layers, self.options, self.start, self.d_state = [], [], [], []
        for k in range(2):
            rows = size + (WIDTH if k == 0 else size)
            layer = {"W" + gate: 0.7 * random.standard_normal([rows, WIDTH]) for gate in GATES}
            names = ["b" + gate for gate in GATES] * options.get("use_bias", True)
            names += ["p" + gate for gate in "fio"] * options.get("peepholes", False)
            if options.get("layer_norm"):
                names += ["gain_f", "gain_i", "gain_o", "gain_c", "gain_cell"]
                names += ["shift_cell"] * options.get("use_bias", True)
            layer.update((name, random.standard_normal([WIDTH])) for name in names)
            if options.get("projection_size"):
                layer["Wp"] = random.standard_normal([WIDTH, size])
            self.layers.append(layer)
            self.options.append(self._layer_options(options, k, size))
            for states in (self.start, self.d_state):
                states.append(LSTMState(random.standard_normal([BATCH, WIDTH]), random.standard_normal([BATCH, size])))
        self.x = random.standard_normal([STEPS, BATCH, WIDTH])
        self.d_outputs = random.standard_normal([STEPS, BATCH, size])
        self.output_mask = mask(random, *self.d_outputs.shape) if options.get("dropout") else 1.0
        self.lengths = LENGTHS if options.get("lengths") else None
        self.activation = options.get("activation", "tanh")
        self.reset, self.restarts = None, None
        if options.get("reset"):
            self.reset = random.uniform(size=[STEPS, BATCH]) < 0.3
            axes = (STEPS, BATCH) if options["reset"] == "steps" else (BATCH,)
            self.restarts = [LSTMState(*[random.standard_normal(axes + (n,)) for n in (WIDTH, size)]) for _ in range(2)]

    def _layer_options(self, options, k, size):
        axes, width, values = (STEPS, BATCH), WIDTH if k == 0 else size, {}
        if options.get("dropout"):
            values["input_mask"] = mask(self.random, *axes, width)
        if options.get("recurrent_mask"):
            shape = axes if options["recurrent_mask"] == "steps" else axes[1:]
            values["recurrent_mask"] = mask(self.random, *shape, size)
        if options.get("candidate_mask"):
            values["candidate_mask"] = mask(self.random, *axes, WIDTH)
        if options.get("zoneout") == "noise":
            values["zoneout_c"] = mask(self.random, *axes, WIDTH) / 2
            values["zoneout_h"] = mask(self.random, *axes, size) / 2
        elif options.get("zoneout"):
            values.update(zoneout_c=0.3, zoneout_h=0.2)
        # Dropout may drop all that a row has. The slope of a small epsilon is then too steep for central differences.
        values.update(layer_norm=options.get("layer_norm") or True, epsilon=0.1)
        values["cell_clip"] = 0.5 if options.get("cell_clip") else None
        has_clip = options.get("projection_size") and options.get("projection_clip")
        values["projection_clip"] = 0.3 if has_clip else None
        values["residual"] = bool(options.get("residual") and width == size)
        return PLAIN._replace(**values)

    def forward(self):
        return numpy_lstm.forward(
            self.layers,
            self.x,
            self.start,
            self.lengths,
            self.activation,
            options=self.options,
            output_mask=self.output_mask,
            reset=self.reset,
            reset_states=self.restarts,
        )

    def with_options(self, **values):
        """Returns the network with other options in both layers."""
        network = copy.copy(self)
        network.options = [options._replace(**values) for options in self.options]
        return network

    def without(self, option):
        """Returns the network with the same weights, but without one of its options."""
        fields = {"dropout": ["input_mask"], "zoneout": ["zoneout_c", "zoneout_h"]}.get(option, [option])
        return self.with_options(**{name: getattr(PLAIN, name) for name in fields})

    def cut(self, steps):
        """Returns the network with the first steps of its input."""
        network = copy.copy(self)
        network.x, network.d_outputs = self.x[:steps], self.d_outputs[:steps]
        assert network.reset is None
        return network
