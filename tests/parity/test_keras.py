"""The LSTM layers of tf-keras (Keras 2) and Keras 3: weights set into a StackedLSTM and back, and the same numbers.

support/references/keras_witness.py runs each of them in a process of its own.
"""

import functools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, LSTMState, StackedLSTM, layouts
from stacked_lstm.activations import ACTIVATIONS
from stacked_lstm.compat import tf
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm.equations import GATE_ORDER, Noise, step
from support.engines.native_ops import NEEDS_NATIVE
from support.networks.random_networks import random_layers
from support.processes import programs
from support.references import keras_witness as witness
from support.references import numeric
from support.suite import sessions

pytestmark = pytest.mark.skipif(
    tf.__version__.startswith("1."), reason="TensorFlow 1.15 can have neither tf-keras nor Keras 3"
)

LIBRARIES = ["tf_keras", "keras"]
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}
BATCH = len(witness.LENGTHS)
# Keras 3 gave the name to another function.
OUR_NAMES = {"tf_keras": {}, "keras": {"hard_sigmoid": "hard_sigmoid_6"}}


def data_for(case, seed):
    """(explicit layers, what the witness is given), in the case's dtype."""
    random, sizes = np.random.RandomState(seed), witness.HIDDEN_SIZES
    use_bias = case.options.get("use_bias", True)
    layers = random_layers(random, sizes, witness.INPUT_SIZE, use_bias, scale=0.5)
    given = {"x": random.standard_normal([BATCH, witness.STEPS, witness.INPUT_SIZE])}
    given["d outputs"] = random.standard_normal([BATCH, witness.STEPS, sizes[-1]])
    for k, size in enumerate(sizes):
        for field in witness.FIELDS:
            given[f"{k} {field}0"], given[f"{k} d {field}"] = random.standard_normal([2, BATCH, size])
        packed = layouts.pack(layers[k], "keras").values()
        given.update({f"{k} set {n}": array for n, array in enumerate(packed)})
    layers = [{name: value.astype(case.dtype) for name, value in layer.items()} for layer in layers]
    return layers, {name: value.astype(case.dtype) for name, value in given.items()}


ALL = {key: data_for(case, seed=3) for key, case in witness.CASES.items()}

MERGED = {
    "concat": lambda a, b: tf.concat([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
}
MERGES = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "average"}  # Keras' names -> ours.


def data_for_two():
    """(explicit layer per side, what the witness is given for Bidirectional)."""
    random, size = np.random.RandomState(4), witness.HIDDEN_SIZES[0]
    layers = {side: random_layers(random, [size], witness.INPUT_SIZE, scale=0.5)[0] for side in witness.SIDES}
    given = {"x": random.standard_normal([BATCH, witness.STEPS, witness.INPUT_SIZE])}
    for side, layer in layers.items():
        packed = layouts.pack(layer, "keras").values()
        given.update({f"{side} {n}": array for n, array in enumerate(packed)})
        for field in witness.FIELDS:
            given[f"{side} {field}0"], given[f"d {side} {field}"] = random.standard_normal([2, BATCH, size])
    for merge in witness.MERGES:
        width = 2 * size if merge == "concat" else size
        given[f"{merge} d outputs"] = random.standard_normal([BATCH, witness.STEPS, width])
    return layers, given


TWO, TWO_GIVEN = data_for_two()


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """library -> function of a case's name: name -> array as `keras_witness` returns it."""
    folder = tmp_path_factory.mktemp("keras")
    arrays = {f"{key}/{name}": value for key, (_, given) in ALL.items() for name, value in given.items()}
    arrays.update({"bidirectional/" + name: value for name, value in TWO_GIVEN.items()})
    found, given = {}, str(folder / "given.npz")
    np.savez(given, **arrays)
    for library in LIBRARIES:
        programs.check([witness.__file__, library, given, str(folder / library) + ".npz"])
        found[library] = {}
        for key, value in np.load(str(folder / library) + ".npz").items():
            case, name = key.split("/")
            found[library].setdefault(case, {})[name] = value
    return found


def layers_of(results, what):
    """Keras' arrays of each layer, e.g. `what` "got" or "d weight", as explicit layers."""
    found = []
    for k in range(len(witness.HIDDEN_SIZES)):
        names = [f"{k} {what} {n}" for n in range(3)]
        found.append(layouts.unpack([results[name] for name in names if name in results], "keras"))
    return found


@functools.lru_cache(maxsize=None)
def ours(engine, masked, dtype, use_bias, activations):
    """name -> array, named as the witness' results, of a StackedLSTM; `activations` are items of its arguments."""
    layers, given = data_for(witness.Case(masked, dtype, {"use_bias": use_bias}), seed=3)
    with tf.Graph().as_default(), sessions.plain_session() as session:
        options = dict(activations, dtype=tf.as_dtype(dtype), use_bias=use_bias, engine=engine)
        lstm = StackedLSTM(witness.HIDDEN_SIZES, **options)
        x = tf.constant(given["x"])
        starts = [LSTMState(*[tf.constant(given[f"{k} {f}0"]) for f in "ch"]) for k in range(len(layers))]
        outputs, state = lstm(x, witness.LENGTHS if masked else None, initial_state=starts)
        results = {"outputs": outputs, "last": state[-1].h}
        results.update({f"{k} final {f}": getattr(s, f) for k, s in enumerate(state) for f in "ch"})
        targets = [outputs] + [getattr(s, f) for s in state for f in "ch"]
        upstream = [given["d outputs"]] + [given[f"{k} d {f}"] for k in range(len(state)) for f in "ch"]
        of = {"d x": x}
        of.update({f"{k} d {f}0": getattr(s, f) for k, s in enumerate(starts) for f in "ch"})
        for k, variables in enumerate(lstm.variables_by_layer.layers):
            of.update({f"{k} d {name}": variable for name, variable in variables.items()})
        results.update(zip(of, tf.gradients(targets, list(of.values()), [tf.constant(d) for d in upstream])))
        session.run(tf.global_variables_initializer())
        lstm.set_weights(session, layers)
        found = session.run(results)
    if masked:  # Without return_state, Keras' last output of an empty sequence is zero, not the initial state.
        found["last"] = np.where(np.array(witness.LENGTHS)[:, None] > 0, found["last"], 0)
    return found


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("key", sorted(ALL))
def test_the_same_numbers(key, library, general_engine, keras):
    case, (layers, _), theirs = witness.CASES[key], ALL[key], keras[library][key]
    names = OUR_NAMES[library]
    activations = {k: names.get(v, v) for k, v in case.options.items() if k.endswith("activation")}
    use_bias = case.options.get("use_bias", True)
    found = ours(general_engine, case.masked, case.dtype, use_bias, tuple(sorted(activations.items())))
    expected = {name: theirs[name] for name in found if name in theirs}
    for k, gradients in enumerate(layers_of(theirs, "d weight")):
        expected.update({f"{k} d {name}": value for name, value in gradients.items()})
    assert len(expected) == 2 + 4 + 1 + 4 + sum(map(len, layers))
    numeric.check_same(found, expected, TOLERANCES[case.dtype])


@pytest.mark.parametrize("library", LIBRARIES)
def test_weights_there_and_back_bit_for_bit(library, keras):
    for key, (layers, _) in ALL.items():
        for layer, back in zip(layers, layers_of(keras[library][key], "got")):
            assert set(layer) == set(back)
            for name in layer:
                assert layer[name].dtype == back[name].dtype
                np.testing.assert_array_equal(layer[name], back[name])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("use_bias, unit_forget_bias", [(True, True), (True, False), (False, None)])
def test_weights_as_keras_created_them(use_bias, unit_forget_bias, library, keras, session):
    """They go into a StackedLSTM, whose bf then starts where unit_forget_bias says."""
    for key, case in witness.CASES.items():
        if case.options.get("use_bias", True) == use_bias and case.options.get("unit_forget_bias") == unit_forget_bias:
            layers = layers_of(keras[library][key], "created")
            break
    lstm = StackedLSTM(witness.HIDDEN_SIZES, use_bias=use_bias, forget_bias=5.0, dtype=tf.as_dtype(case.dtype))
    lstm.build(witness.INPUT_SIZE)
    lstm.set_weights(session, layers)
    for ours_, theirs in zip(lstm.get_weights(session).layers, layers):
        assert all(np.array_equal(ours_[name], theirs[name]) for name in theirs)
        assert np.any(ours_["Wf"]) and ("bf" in ours_) == use_bias
        if use_bias:
            np.testing.assert_array_equal(ours_["bf"], np.full_like(ours_["bf"], unit_forget_bias))
            assert not np.any(ours_["bi"])


# The merge of both directions is the same code for all engines.
BIDIRECTIONAL = [("graph", *case) for case in witness.BIDIRECTIONAL]
BIDIRECTIONAL += [
    pytest.param(engine, *case, marks=marks)
    for engine, marks in [("native", NEEDS_NATIVE), ("cudnn", ())]
    for case in [("concat", False, "float64"), ("mul", True, "float64"), ("concat", True, "float32")]
]


@pytest.mark.parametrize("engine, merge, masked, dtype", BIDIRECTIONAL, indirect=["engine"])
def test_bidirectional(merge, masked, dtype, engine, keras, plain_session):
    """BidirectionalLSTM, also under a mask."""
    given = {name: value.astype(dtype) for name, value in TWO_GIVEN.items()}
    x, lengths = tf.constant(given["x"]), witness.LENGTHS if masked else [witness.STEPS] * BATCH
    lstm = BidirectionalLSTM(
        witness.HIDDEN_SIZES[:1], merge=MERGES[merge], dtype=tf.as_dtype(dtype), engine=engine, name="both"
    )
    starts = {side: LSTMState(*[tf.constant(given[f"{side} {f}0"]) for f in "ch"]) for side in witness.SIDES}
    outputs, state = lstm(x, lengths, initial_state=[[start] for start in starts.values()])
    finals = dict(zip(witness.SIDES, [pair for (pair,) in state]))
    ended = tf.constant(np.array(lengths)[:, None] > 0)  # Keras' last output of an empty sequence is zero.
    last = [tf.where(tf.tile(ended, [1, s.h.shape[1]]), s.h, tf.zeros_like(s.h)) for s in finals.values()]
    results = {"outputs": outputs, "last": MERGED[merge](*last)}
    results.update({f"{side} {f}": getattr(finals[side], f) for side in finals for f in "ch"})
    of = {"d x": x}
    of.update({f"d {side} {f}0": getattr(starts[side], f) for side in finals for f in "ch"})
    for side, side_variables in zip(finals, lstm.variables_by_layer):
        (variables,) = side_variables.layers
        of.update({f"d {side} {name}": variable for name, variable in variables.items()})
    targets = [results["outputs"]] + [getattr(finals[side], f) for side in finals for f in "ch"]
    upstream = [given[f"{merge} d outputs"]] + [given[f"d {side} {f}"] for side in finals for f in "ch"]
    results.update(zip(of, tf.gradients(targets, list(of.values()), [tf.constant(d) for d in upstream])))
    plain_session.run(tf.global_variables_initializer())
    lstm.set_weights(plain_session, *[([TWO[side]], None) for side in finals])
    found = plain_session.run(results)
    for library in LIBRARIES:
        theirs = keras[library][f"{merge} {masked} {dtype}"]
        expected = {name: theirs[name] for name in found if name in theirs}
        for side in finals:
            arrays = [theirs[f"d weight {side} {n}"] for n in range(3)]
            expected.update({f"d {side} {n}": v for n, v in layouts.unpack(arrays, "keras").items()})
            back = layouts.unpack([theirs[f"got {side} {n}"] for n in range(3)], "keras")
            assert all(np.array_equal(back[name], TWO[side][name].astype(dtype)) for name in back)
        numeric.check_same(found, expected, TOLERANCES[dtype])


class MaskedLSTM(StackedLSTM):
    """One layer that multiplies its inputs and h by constant masks [B, N]."""

    masks: tuple

    def _segment(self, sampler, resets, records):
        x_mask, h_mask = map(tf.constant, self.masks)
        (layer,) = [weights.layer()._replace(noise=Noise(recurrent=h_mask)) for weights in self.layers]
        return Segment([layer], before=lambda x: x * x_mask)


def with_one_mask(x, lengths, start, x_masks, h_masks, options):
    """(outputs, state, variables by name) of a StackedLSTM that has the masks of Keras."""
    values = {f"layer_1/{name}": tf.constant_initializer(value) for name, value in TWO["forward"].items()}
    lstm = MaskedLSTM(
        witness.HIDDEN_SIZES[:1],
        weight_initializer={name: value for name, value in values.items() if "/W" in name},
        bias_initializer={name: value for name, value in values.items() if "/b" in name},
        forget_bias=0.0,
        **options,
    )
    lstm.masks = x_masks[0], h_masks[0]
    outputs, (state,) = lstm(x, lengths, [start])
    return outputs, state, lstm.variables_by_layer.layers[0]


def with_a_mask_per_gate(x, lengths, start, x_masks, h_masks, options):
    """The same of a loop around `equations.step`: StackedLSTM has one mask for all gates."""
    del options
    masks = {gate: pair for gate, pair in zip("ifco", zip(h_masks, x_masks))}  # Keras' order.
    variables = {name: tf.constant(value.astype(x.dtype.as_numpy_dtype)) for name, value in TWO["forward"].items()}
    outputs, state = [], start
    for t in range(witness.STEPS):
        inputs = {gate: tf.concat([state.h * h_mask, x[:, t] * x_mask], 1) for gate, (h_mask, x_mask) in masks.items()}
        z = [tf.matmul(inputs[gate], variables["W" + gate]) + variables["b" + gate] for gate in GATE_ORDER]
        after, _ = step(tf.concat(z, axis=1), state.c, ACTIVATIONS["tanh"], ACTIVATIONS["sigmoid"])
        is_alive = tf.constant(np.array(lengths) > t)
        outputs.append(tf.where(is_alive, after.h, tf.zeros_like(after.h)))
        state = LSTMState(*[tf.where(is_alive, new, old) for new, old in zip(after, state)])
    return tf.stack(outputs, axis=1), state, variables


def check_dropout(key, library, keras, run, session, **options):
    """Outputs, states and gradients while training, with the masks that Keras drew."""
    case, theirs = witness.DROPOUT[key], keras[library][key]
    given = {name: value.astype(case.dtype) for name, value in TWO_GIVEN.items()}
    gates, size = 1 if case.one_mask else 4, witness.HIDDEN_SIZES[0]
    masks = [
        theirs.get(name, np.ones([gates, BATCH, width], case.dtype))
        for name, width in [("x masks", witness.INPUT_SIZE), ("h masks", size)]
    ]
    assert [mask.shape[0] for mask in masks] == [gates, gates] and np.any(masks[0] == 0)
    assert ("h masks" in theirs) == ("recurrent_dropout" in case.options)
    assert case.one_mask or not np.array_equal(masks[0][0], masks[0][1])
    x, start = tf.constant(given["x"]), LSTMState(*[tf.constant(given[f"forward {f}0"]) for f in "ch"])
    lengths = witness.LENGTHS if case.masked else [witness.STEPS] * BATCH
    outputs, state, variables = run(x, lengths, start, *masks, dict(options, dtype=tf.as_dtype(case.dtype)))
    sources = dict({f"d {name}": variable for name, variable in variables.items()}, **{"d x": x})
    sources.update({f"d {f}0": part for f, part in start._asdict().items()})
    upstream = [tf.constant(given[name]) for name in ("sum d outputs", "d forward c", "d forward h")]
    gradients = tf.gradients([outputs, state.c, state.h], list(sources.values()), upstream)
    session.run(tf.global_variables_initializer())
    actual = session.run(dict(zip(sources, gradients), outputs=outputs, **state._asdict()))
    expected = {name: theirs[name] for name in actual if name in theirs}
    weights = layouts.unpack([theirs[f"d weight {n}"] for n in range(3)], "keras")
    expected.update({f"d {name}": value for name, value in weights.items()})
    numeric.check_same(actual, expected, TOLERANCES[case.dtype])


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("key", [key for key, case in witness.DROPOUT.items() if case.one_mask])
def test_dropout_with_one_mask(key, library, general_engine, keras, plain_session):
    check_dropout(key, library, keras, with_one_mask, plain_session, engine=general_engine)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("key", [key for key, case in witness.DROPOUT.items() if not case.one_mask])
def test_dropout_with_a_mask_per_gate(key, library, keras, plain_session):
    """Keras' implementation 1, which every layer with recurrent dropout has."""
    check_dropout(key, library, keras, with_a_mask_per_gate, plain_session)
