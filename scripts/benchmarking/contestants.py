"""The contestants of the benchmark: engines from `choices.ENGINES`, peers from `peers.PEERS`, and two without LSTM."""

from __future__ import annotations

from typing import Any

import peers
from benchmarking.contestant import ON_BOTH, Contestant, no_input
from benchmarking.subjects import cells, options, threads
from benchmarking.subjects.shapes import DEVICES, MODES, PROGRAM_MODES, products_per_call
from programs.names import has_contrib
from stacked_lstm.commands import choices

ENGINE_OF_DEVICE = {"CPU": "native", "GPU": "cudnn"}  # The engine that runs on no other device; the record is about it.
ON_CPU = {"CPU": "CPU"}


def _engine(name: str) -> Contestant:
    places = {device: device for device in DEVICES if ENGINE_OF_DEVICE[device] == name}
    return Contestant("tensorflow", "benchmarking.steps.graphs:engine_step", (name,), places=places or ON_BOTH)


def _native_if_named(step: str) -> Contestant:
    return _engine("native")._replace(step=step, only_if_named=DEVICES)


def _predictor(weights_dtype: str | None) -> Contestant:
    return Contestant("numpy", "benchmarking.steps.predictor:step", (weights_dtype,), ("inference",), ON_CPU)


def _peer(peer: peers.Peer) -> Contestant:
    places = {device: device for device in peer.devices or DEVICES}
    step, arguments = (peer.step, ()) if peer.step else ("benchmarking.steps.graphs:peer_step", (peer.build,))
    return Contestant(peer.library, step, arguments, peer.modes or MODES, places)


# The names of the peers, as the benchmark calls them.
PEERS = {peer.column or name: peer for name, peer in peers.PEERS.items() if peer.step or peer.build}
NATIVE_ON_CPU = "native_on_cpu"  # The native engine beside a GPU.
CONTESTANTS = dict(
    [(name, _engine(name)) for name in choices.ENGINES if name != "auto"]
    + [
        (NATIVE_ON_CPU, _engine("native")._replace(places={"GPU": "CPU"})),
        ("native_session_threads", _native_if_named("benchmarking.steps.graphs:session_threads_step")),
        ("native_session_run", _native_if_named("benchmarking.steps.graphs:session_run_step")),
        ("graph_xla", Contestant("tensorflow", "benchmarking.steps.graphs:xla_step", ("graph",))),
        ("rnn_cell", Contestant("tensorflow", "benchmarking.steps.graphs:rnn_cell_step")),
        ("predictor", _predictor(None)),
        ("predictor_bfloat16", _predictor("bfloat16")),
        ("predictor_int8", _predictor("int8")),
    ]
    + [(name, _peer(peer)) for name, peer in PEERS.items()]
    + [
        ("gemm", Contestant("tensorflow", "benchmarking.steps.graphs:gemm_step", steps_per_call=products_per_call)),
        ("nothing", Contestant("tensorflow", "benchmarking.steps.graphs:nothing_step")),
    ]
)

# Functions that return cells and loops, and the engine that the environment names for them.
AUTO, STEPWISE, TENSORFLOW = "auto", "stepwise", "tensorflow"
_CELLS, _TENSORFLOW_CELLS = "programs.names:stacked_lstm_names", ("programs.names:tensorflow_names", "")


def _program(*arguments: Any, **fields: Any) -> Contestant:
    step = "benchmarking.steps.program_steps:step"
    return Contestant("tensorflow", step, arguments, modes=PROGRAM_MODES, make_input=no_input, **fields)


PROGRAM_CONTESTANTS = {
    AUTO: _program(_CELLS, AUTO),
    "graph": _program(_CELLS, "graph", only_if_named=DEVICES),
    STEPWISE: _program(_CELLS, STEPWISE),
    TENSORFLOW: _program(*_TENSORFLOW_CELLS, exists=has_contrib),
}


def _option(library: str, step: str, *arguments: Any, **fields: Any) -> Contestant:
    make_input = options.random_input
    return Contestant(library, step, arguments, make_input=make_input, **fields)


_LSTM, _LOOP = "benchmarking.steps.option_steps:lstm_step", "benchmarking.steps.option_steps:cells_step"
PLAIN = "plain"
OPTION_CONTESTANTS = {
    PLAIN: _option("tensorflow", "benchmarking.steps.option_steps:plain_step", ENGINE_OF_DEVICE),
    "native": _option("tensorflow", _LSTM, "native", places=ON_CPU),
    NATIVE_ON_CPU: _option("tensorflow", _LSTM, "native", places={"GPU": "CPU"}),
    "cudnn": _option("tensorflow", _LSTM, "cudnn", places={"GPU": "GPU"}),
    "graph": _option("tensorflow", _LSTM, "graph", only_if_named=("CPU",)),
    "pytorch": _option("torch", "peers.pytorch:option_step"),
    "tf_keras": _option("tf_keras", "benchmarking.steps.option_steps:keras_step"),
    STEPWISE: _option("tensorflow", _LOOP, _CELLS, STEPWISE),
    TENSORFLOW: _option("tensorflow", _LOOP, *_TENSORFLOW_CELLS, exists=has_contrib),
}


def _calls(names: str) -> Contestant:
    step, make_input = "benchmarking.steps.cell_steps:step", cells.random_input
    return Contestant("tensorflow", step, (names,), make_input=make_input, steps_per_call=cells.calls_per_step)


CELL_CONTESTANTS = {AUTO: _calls(_CELLS), TENSORFLOW: _calls("programs.names:tensorflow_cells")}

# Contestants whose number of threads can be set.
_THREADS_BY_DEFAULT = ("native", "pytorch", "onnxruntime")
THREAD_CONTESTANTS = {
    name: contestant._replace(
        step="benchmarking.subjects.threads:step",
        arguments=(contestant,),
        only_if_named=() if name in _THREADS_BY_DEFAULT else ("CPU",),
        make_input=threads.random_input,
    )
    for name, contestant in CONTESTANTS.items()
    if "CPU" in contestant.places and name not in ("gemm", "nothing")
}
