"""Contestants of programs: a program of `programs` as a step, with an engine or with TensorFlow's own cells."""

from __future__ import annotations

import functools
import time
from typing import Any, Callable

import peers
from benchmarking.steps.graphs import prepare
from programs import Program
from programs.graph import recurrent_part
from programs.names import Names
from shared import environment
from stacked_lstm import engines, rnn_cell
from stacked_lstm.compat import tf


def step(names: str, engine: str, program: Program, x: None, mode: str, device: str) -> Callable[[], Any]:
    """A step of a program in a session with default settings, as most programs have it.

    `names` is a function of `programs.names`, as "module:function". `engine` is for the environment, which the
    package's loops read; "" for TensorFlow's.

    The attribute `facts` of the result is a dictionary of what the first table shows: "engines" (the engine of each
    call of a loop), and "build_seconds" and "ops" of the whole program.
    """
    prepare(device)
    cells = peers.load(names)()
    with environment.variable(engines.ENVIRONMENT_VARIABLE, engine):  # Programs name no engine.
        _import_everything(cells)
        with tf.Graph().as_default() as graph:
            begin = time.perf_counter()
            added = program.build(cells, mode == "training")
            seconds, ops = time.perf_counter() - begin, len(graph.get_operations())
            fetches = added.fetches if program.part == "whole" else recurrent_part(added, mode == "training")
            used = [rnn_cell.engine_used(outputs).name for outputs in added.loops] if engine else []
            session = _new_session()
            session.run(tf.global_variables_initializer())
    call = functools.partial(session.make_callable(fetches, list(added.feeds)), *added.feeds.values())
    call.facts = {"engines": used, "build_seconds": seconds, "ops": ops}
    return call


def _import_everything(names: Names) -> None:
    """Builds a small graph: the first one imports modules and loads the native engine, which is not measured."""
    with tf.Graph().as_default():
        cell = names.rnn.BasicLSTMCell(1)
        outputs, _ = names.rnn.dynamic_rnn(cell, tf.zeros([1, 1, 1]), dtype=tf.float32)
        tf.train.AdamOptimizer().minimize(tf.reduce_sum(outputs))


def _new_session() -> tf.Session:
    """A session whose ops may run on another device than the program says: `/gpu:0` is the CPU if there is no GPU."""
    return tf.Session(config=tf.ConfigProto(allow_soft_placement=True, gpu_options=tf.GPUOptions(allow_growth=True)))
