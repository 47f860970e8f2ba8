"""scripts/programs/: each program has the same numbers on every engine, and on TensorFlow 1.15's own cells."""

import zlib

import numpy as np
import pytest

from programs import PROGRAMS
from programs.graph import recurrent_part
from programs.names import has_contrib, stacked_lstm_names, tensorflow_names
from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE, auto_engine
from support.references.numeric import relative_difference
from support.suite import sessions
from support.suite.sets import ONCE, some

# Module -> sizes of a small program that draws no random numbers.
TINY = {
    "ptb": {"batch_size": 3, "num_steps": 4, "hidden_size": 5, "vocab_size": 11, "keep_prob": 1.0},
    "char_rnn": {"batch_size": 3, "seq_length": 4, "rnn_size": 5, "vocab_size": 7},
    "char_rnn_dynamic": {"batch_size": 3, "num_steps": 4, "lstm_size": 5, "num_classes": 7, "keep_prob": 1.0},
    "tagger": {
        "batch_size": 3,
        "sentence_length": 5,
        "word_length": 4,
        "hidden_size_char": 3,
        "hidden_size_lstm": 4,
        "dim_char": 5,
        "dim_word": 6,
        "nwords": 13,
        "nchars": 7,
        "dropout": 1.0,
    },
    "elmo": {
        "batch_size": 3,
        "unroll_steps": 4,
        "dim": 6,
        "projection_dim": 4,
        "dropout": 0.0,
        "n_tokens_vocab": 11,
        "n_negative_samples_batch": 0,
    },
    "nmt_encoder": {
        "batch_size": 3,
        "shortest": 2,
        "longest": 4,
        "num_units": 5,
        "src_vocab_size": 11,
        "dropout": 0.0,
    },
}


def tiny(name, **sizes):
    program = PROGRAMS[name]
    return program._replace(sizes={**program.sizes, **TINY[program.module], **sizes})


# A small program is the same for all sizes of a public program, so one of them is in the quick set.
QUICK = [name for name in PROGRAMS if name not in ("ptb_medium", "ptb_medium_block", "elmo_small")]
PROGRAM = pytest.mark.parametrize("name", some([(name,) for name in QUICK], [(name,) for name in PROGRAMS]))


def random_values(variable):
    seed = zlib.crc32(variable.op.name.encode())
    return np.random.RandomState(seed).uniform(-0.3, 0.3, variable.shape.as_list())


def soft_session():
    """Returns a session that runs ops on the CPU if a program asks for a GPU that does not exist."""
    config = tf.ConfigProto(allow_soft_placement=True)
    config.graph_options.rewrite_options.disable_meta_optimizer = sessions.quick  # It changes no number.
    return tf.Session(config=config)


def two_steps(program, names):
    """Trains two steps from weights that depend only on the names of the variables; returns arrays by name."""
    with tf.Graph().as_default():
        graph = program.build(names, training=True)
        with soft_session() as session:
            session.run(tf.global_variables_initializer())
            variables = tf.trainable_variables()
            sessions.set_variables(session, variables, map(random_values, variables))
            call = session.make_callable([graph.loss, graph.fetches], list(graph.feeds))
            results = {f"loss {k}": call(*graph.feeds.values())[0] for k in range(2)}
            results.update(zip([variable.op.name for variable in variables], session.run(variables)))
    return results


def largest_difference(results, expected):
    assert sorted(results) == sorted(expected)
    return max(relative_difference(results[name], expected[name]) for name in expected)


def test_small_programs_are_of_all_modules():
    assert {program.module for program in PROGRAMS.values()} == set(TINY)


@ONCE
@NEEDS_NATIVE
@PROGRAM
def test_two_training_steps_agree_on_all_engines(name, monkeypatch):
    results = {}
    for engine in ("auto", "graph", "stepwise"):
        monkeypatch.setenv("STACKED_LSTM_ENGINE", engine)
        results[engine] = two_steps(tiny(name), stacked_lstm_names())
    assert results["auto"]["loss 0"] != results["auto"]["loss 1"]
    for engine in ("auto", "graph"):
        assert largest_difference(results[engine], results["stepwise"]) < 1e-5, engine


@pytest.mark.skipif(not has_contrib(), reason="this TensorFlow has no tf.contrib")
@PROGRAM
def test_two_training_steps_agree_with_tensorflow(name):
    """The same source on TensorFlow's cells and loops: the same variables, with the same values after two steps."""
    ours, theirs = [two_steps(tiny(name), names) for names in (stacked_lstm_names(), tensorflow_names())]
    assert largest_difference(ours, theirs) < 1e-5


@NEEDS_NATIVE
@PROGRAM
def test_loops_run_on_engines(name):
    """Also with the dropout of the public program; both in training and in evaluation."""
    config = PROGRAMS[name].config()
    dropout = {key: getattr(config, key) for key in ("keep_prob", "dropout") if hasattr(config, key)}
    for training in (True, False):
        with tf.Graph().as_default():
            graph = tiny(name, **dropout).build(stacked_lstm_names(), training)
            names = {rnn_cell.engine_used(outputs).name for outputs in graph.loops}
            assert names == {auto_engine()}
            has_training_op = any("train_op" in key for key in graph.fetches)
            assert has_training_op == training


@NEEDS_NATIVE
@PROGRAM
def test_the_recurrent_part_trains_all_cells(name):
    """The benchmark measures all directions and layers of a program."""
    with tf.Graph().as_default():
        graph = tiny(name).build(stacked_lstm_names(), training=True)
        train_op = recurrent_part(graph, training=True)["train_op"]
        kernels = [variable for variable in tf.trainable_variables() if "cell" in variable.op.name]
        with soft_session() as session:
            session.run(tf.global_variables_initializer())
            before = session.run(kernels)
            session.run(train_op, graph.feeds)
            for kernel, old, new in zip(kernels, before, session.run(kernels)):
                assert np.any(old != new), kernel.op.name
