"""The contestants of the benchmark: engines from `choices.ENGINES`, peers from `peers.PEERS`, and two that are no LSTM.

A contestant makes a step: a function of a subject, its input, a mode and a device returns a function without arguments.
The subject is a `Shape`, a `Program`, an `OptionAt` or a `ShapeOnThreads`, and the input is [T, B, I]. The function
without arguments makes one step, from the host's memory, and waits for its end:

  inference: the outputs of the last layer at all time steps, as one deploys it: from a frozen graph, whose variables
    are constants.
  training: a step of gradient descent on the mean square of these outputs.
  evaluation: inference from variables, as between steps of training.

On a GPU, outputs are fetched and training fetches nothing; TF32 is off for all, unless STACKED_LSTM_TF32 is 1.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

import peers
from benchmarking import options, shapes, threads
from benchmarking.shapes import DEVICES, MODES, OPTION_MODES, PROGRAM_MODES, one_step_per_call, products_per_call
from programs.names import has_contrib
from stacked_lstm.commands import choices

ENGINE_OF_DEVICE = {"CPU": "native", "GPU": "cudnn"}  # The engine that runs on no other device; the record is about it.
ON_CPU = {"CPU": "CPU"}
ON_BOTH = {device: device for device in DEVICES}


def always() -> bool:
    """Returns True: every installation has the contestant."""
    return True


def no_input(subject: Any) -> None:
    """Returns None. A program makes its own data."""


class Contestant(NamedTuple):
    """A library, or an engine of this package, that the benchmark measures.

    Fields:
      library: the package that it needs, and whose version the record names.
      step: "module:function" of the function that makes a step.
      arguments: the first arguments of this function, before the subject.
      modes: the modes in which it is measured.
      places: device of a measurement -> the device on which the contestant runs.
      only_if_named: the devices of measurements in which it takes part only if --contestants names it.
      exists: function that returns whether this installation has it.
      make_input: function of a subject that returns the input of a step.
      steps_per_call: function of a subject, a mode and a device that returns how many steps one call makes.
    """

    library: str
    step: str
    arguments: tuple[Any, ...] = ()
    modes: tuple[str, ...] = MODES
    places: Mapping[str, str] = ON_BOTH
    only_if_named: tuple[str, ...] = ()
    exists: Callable[[], bool] = always
    make_input: Callable[[Any], Any] = shapes.random_input
    steps_per_call: Callable[[Any, str, str], int] = one_step_per_call

    def make_step(self) -> Callable[..., Callable[[], Any]]:
        """Imports what makes a step."""
        make = peers.load(self.step)
        return lambda *arguments: make(*self.arguments, *arguments)


def _engine(name: str) -> Contestant:
    places = {device: device for device in DEVICES if ENGINE_OF_DEVICE[device] == name}
    return Contestant("tensorflow", "benchmarking.graphs:engine_step", (name,), places=places or ON_BOTH)


def _predictor(weights_dtype: str | None) -> Contestant:
    return Contestant("numpy", "benchmarking.predictor:step", (weights_dtype,), ("inference",), ON_CPU)


def _peer(peer: peers.Peer) -> Contestant:
    places = {device: device for device in peer.devices or DEVICES}
    step, arguments = (peer.step, ()) if peer.step else ("benchmarking.graphs:peer_step", (peer.build,))
    return Contestant(peer.library, step, arguments, peer.modes or MODES, places)


# The names of the peers, as the benchmark calls them.
PEERS = {peer.column or name: peer for name, peer in peers.PEERS.items() if peer.step or peer.build}
NATIVE_ON_CPU = "native_on_cpu"  # The native engine beside a GPU.
CONTESTANTS = dict(
    [(name, _engine(name)) for name in choices.ENGINES if name != "auto"]
    + [
        (NATIVE_ON_CPU, _engine("native")._replace(places={"GPU": "CPU"})),
        ("graph_xla", Contestant("tensorflow", "benchmarking.graphs:xla_step", ("graph",))),
        ("rnn_cell", Contestant("tensorflow", "benchmarking.graphs:rnn_cell_step")),
        ("predictor", _predictor(None)),
        ("predictor_bfloat16", _predictor("bfloat16")),
        ("predictor_int8", _predictor("int8")),
    ]
    + [(name, _peer(peer)) for name, peer in PEERS.items()]
    + [
        ("gemm", Contestant("tensorflow", "benchmarking.graphs:gemm_step", steps_per_call=products_per_call)),
        ("nothing", Contestant("tensorflow", "benchmarking.graphs:nothing_step")),
    ]
)

# Functions that return cells and loops, and the engine that the environment names for them.
AUTO, STEPWISE, TENSORFLOW = "auto", "stepwise", "tensorflow"
_CELLS, _TENSORFLOW_CELLS = "programs.names:stacked_lstm_names", ("programs.names:tensorflow_names", "")


def _program(*arguments: Any, **fields: Any) -> Contestant:
    step = "benchmarking.program_steps:step"
    return Contestant("tensorflow", step, arguments, modes=PROGRAM_MODES, make_input=no_input, **fields)


PROGRAM_CONTESTANTS = {
    AUTO: _program(_CELLS, AUTO),
    "graph": _program(_CELLS, "graph", only_if_named=DEVICES),
    STEPWISE: _program(_CELLS, STEPWISE),
    TENSORFLOW: _program(*_TENSORFLOW_CELLS, exists=has_contrib),
}


def _option(library: str, step: str, *arguments: Any, **fields: Any) -> Contestant:
    make_input = options.random_input
    return Contestant(library, step, arguments, modes=OPTION_MODES, make_input=make_input, **fields)


_LSTM, _LOOP = "benchmarking.option_steps:lstm_step", "benchmarking.option_steps:cells_step"
PLAIN = "plain"
OPTION_CONTESTANTS = {
    PLAIN: _option("tensorflow", "benchmarking.option_steps:plain_step", ENGINE_OF_DEVICE),
    "native": _option("tensorflow", _LSTM, "native", places=ON_CPU),
    NATIVE_ON_CPU: _option("tensorflow", _LSTM, "native", places={"GPU": "CPU"}),
    "cudnn": _option("tensorflow", _LSTM, "cudnn", places={"GPU": "GPU"}),
    "graph": _option("tensorflow", _LSTM, "graph", only_if_named=("CPU",)),
    "pytorch": _option("torch", "peers.pytorch:option_step"),
    "tf_keras": _option("tf_keras", "benchmarking.option_steps:keras_step"),
    STEPWISE: _option("tensorflow", _LOOP, _CELLS, STEPWISE),
    TENSORFLOW: _option("tensorflow", _LOOP, *_TENSORFLOW_CELLS, exists=has_contrib),
}

# Contestants whose number of threads can be set.
_THREADS_BY_DEFAULT = ("native", "pytorch", "onnxruntime")
THREAD_CONTESTANTS = {
    name: contestant._replace(
        step="benchmarking.threads:step",
        arguments=(contestant,),
        only_if_named=() if name in _THREADS_BY_DEFAULT else ("CPU",),
        make_input=threads.random_input,
    )
    for name, contestant in CONTESTANTS.items()
    if "CPU" in contestant.places and name not in ("gemm", "nothing")
}
