"""Random weights and states that tests compute with."""

from stacked_lstm import LSTMState

GATES = "fioc"
LENGTHS = [6, 0, 1, 4]


def random_layers(random, hidden_sizes, input_size, use_bias=True, scale=1.0):
    layers = []
    for width, size in zip([input_size] + hidden_sizes, hidden_sizes):
        layer = {"W" + k: scale * random.standard_normal([size + width, size]) for k in GATES}
        if use_bias:
            layer.update({"b" + k: scale * random.standard_normal([size]) for k in GATES})
        layers.append(layer)
    return layers


def random_states(random, hidden_sizes, batch):
    return [LSTMState(*random.standard_normal([2, batch, size])) for size in hidden_sizes]


def flat(gradients):
    """Returns the gradients of `numpy_lstm.backward` as a dictionary from names to arrays."""
    arrays = {"x": gradients["x"]}
    for k, (layer, start) in enumerate(zip(gradients["layers"], gradients["initial_state"])):
        arrays.update({f"{k} {name}": value for name, value in layer.items()})
        arrays.update({f"{k} {field}0": getattr(start, field) for field in "ch"})
    for k, start in enumerate(gradients.get("reset_states", [])):
        arrays.update({f"{k} {field} of resets": getattr(start, field) for field in "ch"})
    return arrays
