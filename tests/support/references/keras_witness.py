"""What Keras computes: run as a program, since Keras 3 cannot work in the graphs that the tests build.

    python tests/support/references/keras_witness.py <tf_keras or keras> <npz file with data> <npz file to write>

The data are weights, inputs and states. For each case the arrays are set into Keras' layers, run eagerly and
differentiated. Keys are `<case>/<name>`.
"""

import collections
import functools
import itertools

STEPS, INPUT_SIZE, HIDDEN_SIZES = 5, 3, [4, 2]
LENGTHS = [5, 0, 3, 1]
FIELDS = ["h", "c"]  # Keras' order.
SIDES = ["forward", "backward"]
MERGES = ["concat", "sum", "mul", "ave"]

Case = collections.namedtuple("Case", ["masked", "dtype", "options"])
Case.__doc__ = """Options of all layers; a mask made of `LENGTHS`, or none."""

_BIASES = [{"unit_forget_bias": True}, {"unit_forget_bias": False}, {"use_bias": False}]
_ACTIVATIONS = [
    ("tanh", "hard_sigmoid"),
    ("relu", "sigmoid"),
    ("linear", "hard_sigmoid"),
    ("hard_sigmoid", "tanh"),
    ("sigmoid", "sigmoid"),
]
# In eager mode tf-keras has one more implementation for what cuDNN could compute; unroll=True keeps from that.
_PLAIN = [{"unroll": True}, {"use_bias": False}]
_OPTIONS = _BIASES + _PLAIN[:1] + [{"activation": a, "recurrent_activation": r} for a, r in _ACTIVATIONS]

# float32 takes part with the biases; and implementation 1, a product for each gate, where tf-keras has nothing faster.
CASES = {
    f"{dtype} mask={masked} {' '.join(f'{name}={value}' for name, value in sorted(options.items()))}": Case(
        masked, dtype, options
    )
    for dtype, implementation, some in [("float64", 2, _OPTIONS), ("float64", 1, _PLAIN), ("float32", 2, _BIASES)]
    for masked, more in itertools.product([False, True], some)
    for options in [dict(more, implementation=implementation)]
}

# merge, masked, dtype
BIDIRECTIONAL = list(itertools.product(MERGES, [False, True], ["float64"]))
BIDIRECTIONAL += [("concat", masked, "float32") for masked in (False, True)]

# The functions of a cell that return its masks, in tf-keras and in Keras 3.
MASK_FUNCTIONS = {
    "x masks": ["get_dropout_mask_for_cell", "get_dropout_mask"],
    "h masks": ["get_recurrent_dropout_mask_for_cell", "get_recurrent_dropout_mask"],
}
DropoutCase = collections.namedtuple("DropoutCase", ["options", "one_mask", "masked", "dtype"])
DropoutCase.__doc__ = """Options of a layer that trains; whether all gates get the mask of the first one; as `Case`."""

_RATES = {"dropout": 0.4, "recurrent_dropout": 0.5}
DROPOUT = {
    f"{name} {dtype} mask={masked}": DropoutCase(options, one_mask, masked, dtype)
    for name, options, one_mask in [
        ("dropout, implementation 2", {"dropout": 0.4, "implementation": 2}, True),
        ("dropout, implementation 1", {"dropout": 0.4, "implementation": 1}, False),
        ("recurrent, as it is", _RATES, False),
        ("recurrent, the first masks", _RATES, True),
    ]
    for dtype, masked in [("float64", False), ("float64", True), ("float32", False)]
}


def compute(library, tf, case, given):
    """name -> array: outputs, states and gradients of a stack, and what its layers were created with."""
    found = {}
    x = tf.constant(given("x"))
    mask = tf.sequence_mask(LENGTHS, STEPS) if case.masked else None
    layers = [
        library.layers.LSTM(
            size, return_sequences=True, return_state=True, zero_output_for_mask=True, dtype=case.dtype, **case.options
        )
        for size in HIDDEN_SIZES
    ]
    starts = [[tf.constant(given(f"{k} {f}0")) for f in FIELDS] for k in range(len(layers))]
    for k, (layer, below) in enumerate(zip(layers, [INPUT_SIZE] + HIDDEN_SIZES)):
        layer.build((len(LENGTHS), STEPS, below))
        found.update({f"{k} created {n}": w for n, w in enumerate(layer.get_weights())})
        layer.set_weights([given(f"{k} set {n}") for n in range(len(layer.get_weights()))])
        found.update({f"{k} got {n}": w for n, w in enumerate(layer.get_weights())})
    variables = variables_of(library, layers)
    with tf.GradientTape() as tape:
        tape.watch([x, starts])
        below, results = x, []
        for k, layer in enumerate(layers):
            inputs, (below, *state) = below, layer(below, mask=mask, initial_state=starts[k])
            found.update({f"{k} final {field}": part for field, part in zip(FIELDS, state)})
            results += state
        targets = [below] + results
    upstream = [tf.constant(given("d outputs"))] + [tf.constant(given(f"{k} d {f}")) for k in (0, 1) for f in FIELDS]
    d_x, d_starts, d_variables = tape.gradient(targets, [x, starts, variables], output_gradients=upstream)
    found.update({"outputs": below, "d x": d_x})
    found.update({f"{k} d {f}0": d for k, pair in enumerate(d_starts) for f, d in zip(FIELDS, pair)})
    per_layer = len(variables) // len(layers)
    found.update({f"{n // per_layer} d weight {n % per_layer}": d for n, d in enumerate(d_variables)})
    plain = library.layers.LSTM(HIDDEN_SIZES[-1], dtype=case.dtype, **case.options)  # No sequences, no state.
    plain.build(tuple(inputs.shape))
    plain.set_weights(layers[-1].get_weights())
    found["last"] = plain(inputs, mask=mask, initial_state=starts[-1])
    return {name: value.numpy() if hasattr(value, "numpy") else value for name, value in found.items()}


def bidirectional(library, tf, merge, masked, dtype, given):
    """Outputs, states, gradients and weights of a Bidirectional LSTM, and what it returns without sequences."""
    options = {"dtype": dtype, "return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    layer = library.layers.Bidirectional(library.layers.LSTM(HIDDEN_SIZES[0], **options), merge_mode=merge, dtype=dtype)
    layer.build((len(LENGTHS), STEPS, INPUT_SIZE))
    layer.set_weights([given(f"{side} {n}") for side in SIDES for n in range(3)])
    x, mask = tf.constant(given("x")), tf.sequence_mask(LENGTHS, STEPS) if masked else None
    states = [f"{side} {f}" for side in SIDES for f in FIELDS]
    starts = [tf.constant(given(name + "0")) for name in states]
    variables = variables_of(library, [layer])
    with tf.GradientTape() as tape:
        tape.watch([x, starts])
        results = layer(x, mask=mask, initial_state=starts)
    upstream = [tf.constant(given(f"{merge} d outputs"))] + [tf.constant(given("d " + name)) for name in states]
    d_x, d_starts, d_variables = tape.gradient(results, [x, starts, variables], output_gradients=upstream)
    found = dict(zip(["outputs"] + states, results), **{"d x": d_x})
    found.update({f"d {name}0": d for name, d in zip(states, d_starts)})
    names = [f"{side} {n}" for side in SIDES for n in range(3)]
    found.update({"d weight " + name: d for name, d in zip(names, d_variables)})
    found.update({"got " + name: value for name, value in zip(names, layer.get_weights())})
    plain = library.layers.Bidirectional(library.layers.LSTM(HIDDEN_SIZES[0], dtype=dtype), merge, dtype=dtype)
    plain.build((len(LENGTHS), STEPS, INPUT_SIZE))
    plain.set_weights(layer.get_weights())
    found["last"] = plain(x, mask=mask, initial_state=starts)
    return {name: value.numpy() if hasattr(value, "numpy") else value for name, value in found.items()}


def record_masks(cell, one_mask):
    """Returns a dictionary that gets what a cell draws: "x masks" and "h masks", [4, B, N], or [1, B, N] if `one_mask`.

    Keras draws a mask per gate with implementation 1, which it selects wherever there is recurrent dropout. With
    `one_mask`, all gates get the first one of them.
    """
    masks = {}

    def recorded(name, function):
        def draw(*args, **kwargs):
            drawn = function(*args, **kwargs)
            if isinstance(drawn, list) and one_mask:
                drawn = drawn[:1] * len(drawn)
            if drawn is not None:
                masks[name] = (drawn[:1] if one_mask else drawn) if isinstance(drawn, list) else [drawn]
            return drawn

        return draw

    for name, functions in MASK_FUNCTIONS.items():
        for function in filter(functools.partial(hasattr, cell), functions):
            setattr(cell, function, recorded(name, getattr(cell, function)))
    return masks


def dropout(library, tf, case, given):
    """Outputs, states and gradients of a layer that trains with dropout, and its masks; data of "sum", forward."""
    library.utils.set_random_seed(1)  # The tests expect zeros in the masks.
    options = dict(case.options, unroll=True, dtype=case.dtype, return_sequences=True, return_state=True)
    options.update({"use_cudnn": False} if library.__name__ == "keras" else {})
    layer = library.layers.LSTM(HIDDEN_SIZES[0], zero_output_for_mask=True, **options)
    layer.build((len(LENGTHS), STEPS, INPUT_SIZE))
    layer.set_weights([given(f"forward {n}") for n in range(3)])
    masks = record_masks(layer.cell, case.one_mask)
    x, mask = tf.constant(given("x")), tf.sequence_mask(LENGTHS, STEPS) if case.masked else None
    start, variables = [tf.constant(given(f"forward {f}0")) for f in FIELDS], variables_of(library, [layer])
    with tf.GradientTape() as tape:
        tape.watch([x, start])
        results = layer(x, mask=mask, initial_state=start, training=True)
    upstream = [tf.constant(given(name)) for name in ["sum d outputs"] + [f"d forward {f}" for f in FIELDS]]
    d_x, d_start, d_variables = tape.gradient(results, [x, start, variables], output_gradients=upstream)
    found = dict(zip(["outputs"] + FIELDS, results), **{"d x": d_x})
    found.update({f"d {f}0": d for f, d in zip(FIELDS, d_start)})
    found.update({f"d weight {n}": d for n, d in enumerate(d_variables)})
    found.update({name: tf.stack(drawn) for name, drawn in masks.items()})
    return {name: value.numpy() for name, value in found.items()}


def variables_of(library, layers):
    """TensorFlow's variables; Keras 3 wraps them."""
    variables = [v for layer in layers for v in layer.trainable_variables]
    return [v.value for v in variables] if library.__name__ == "keras" else variables


def main(name, source, target):
    import importlib

    import numpy as np
    import tensorflow as tf

    library, arrays, found = importlib.import_module(name), np.load(source), {}
    for key, case in CASES.items():
        results = compute(library, tf, case, lambda part: arrays[f"{key}/{part}"])
        found.update({f"{key}/{part}": value for part, value in results.items()})
    for merge, masked, dtype in BIDIRECTIONAL:
        given = lambda part: arrays["bidirectional/" + part].astype(dtype)  # noqa: E731
        results = bidirectional(library, tf, merge, masked, dtype, given)
        found.update({f"{merge} {masked} {dtype}/{part}": value for part, value in results.items()})
    for key, case in DROPOUT.items():
        given = lambda part: arrays["bidirectional/" + part].astype(case.dtype)  # noqa: E731, B023
        found.update({f"{key}/{part}": value for part, value in dropout(library, tf, case, given).items()})
    np.savez(target, **found)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
