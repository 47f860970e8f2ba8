"""The contestants of the benchmark: engines from `choices.ENGINES`, peers from `peers.PEERS`, and two that are no LSTM.

A contestant makes a step: a function of a `Shape`, an input [T, B, I], a mode and a device returns a function without
arguments. That makes one step, from the host's memory, and waits for its end:

  inference: the outputs of the last layer at all time steps, as one deploys it: from a frozen graph, whose variables
    are constants.
  training: a step of gradient descent on the mean square of these outputs.
  evaluation: inference from variables, as between steps of training.

A contestant of a program makes a step of the program in the same way, with a `Program` in the place of the `Shape` and
without an input.

On a GPU, outputs are fetched and training fetches nothing; TF32 is off for all, unless STACKED_LSTM_TF32 is 1.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import peers
from benchmarking.options import OptionAt
from benchmarking.shapes import DEVICES, MODES, PROGRAM_MODES, Shape, one_step_per_call, products_per_call
from programs import Program
from stacked_lstm.commands import choices

ENGINE_OF_DEVICE = {"CPU": "native", "GPU": "cudnn"}  # The engine that runs on no other device; the record is about it.


class Contestant(NamedTuple):
    """One that takes part.

    Fields:
      library: the package that it needs, and whose version the record names.
      step: "module:function" of what makes a step.
      arguments: of this function, before the shape.
      modes, devices: where it takes part.
      steps_per_call: function of a `Shape`, a mode and a device that returns how many steps one call makes.
    """

    library: str
    step: str
    arguments: tuple[Any, ...] = ()
    modes: tuple[str, ...] = MODES
    devices: tuple[str, ...] = DEVICES
    steps_per_call: Callable[[Shape, str, str], int] = one_step_per_call

    def make_step(self) -> Callable[..., Callable[[], Any]]:
        """Imports what makes a step."""
        make = peers.load(self.step)
        return lambda *arguments: make(*self.arguments, *arguments)


def _engine(name: str) -> Contestant:
    only = tuple(device for device in DEVICES if ENGINE_OF_DEVICE[device] == name)
    return Contestant("tensorflow", "benchmarking.graphs:engine_step", (name,), devices=only or DEVICES)


def _predictor(weights_dtype: str | None) -> Contestant:
    return Contestant("numpy", "benchmarking.predictor:step", (weights_dtype,), ("inference",), ("CPU",))


def _peer(peer: peers.Peer) -> Contestant:
    places = {"modes": peer.modes or MODES, "devices": peer.devices or DEVICES}
    if peer.step:
        return Contestant(peer.library, peer.step, **places)
    return Contestant(peer.library, "benchmarking.graphs:peer_step", (peer.build,), **places)


# The names of the peers, as the benchmark calls them.
PEERS = {peer.column or name: peer for name, peer in peers.PEERS.items() if peer.step or peer.build}
CONTESTANTS = dict(
    [(name, _engine(name)) for name in choices.ENGINES if name != "auto"]
    + [
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

AUTO, STEPWISE, TENSORFLOW = "auto", "stepwise", "tensorflow"
# The package's names with the engine of the contestant's name, and TensorFlow 1.15's own names.
PROGRAM_CONTESTANTS = {
    name: Contestant("tensorflow", "benchmarking.program_steps:step", (name,), modes=PROGRAM_MODES)
    for name in (AUTO, "graph", STEPWISE, TENSORFLOW)
}

_OPTIONS = "benchmarking.option_steps"
_ON_CPU: dict[str, Any] = {"modes": ("training",), "devices": ("CPU",)}
OPTION_CONTESTANTS = {
    "plain": Contestant("tensorflow", f"{_OPTIONS}:lstm_step", ("native", True), **_ON_CPU),
    "native": Contestant("tensorflow", f"{_OPTIONS}:lstm_step", ("native", False), **_ON_CPU),
    "graph": Contestant("tensorflow", f"{_OPTIONS}:lstm_step", ("graph", False), **_ON_CPU),
    "pytorch": Contestant("torch", "peers.pytorch:option_step", **_ON_CPU),
    "tf_keras": Contestant("tf_keras", f"{_OPTIONS}:keras_step", **_ON_CPU),
    STEPWISE: Contestant("tensorflow", f"{_OPTIONS}:cells_step", (STEPWISE,), **_ON_CPU),
    TENSORFLOW: Contestant("tensorflow", f"{_OPTIONS}:cells_step", (TENSORFLOW,), **_ON_CPU),
}
_TABLES: dict[type, dict[str, Contestant]] = {
    Shape: CONTESTANTS,
    Program: PROGRAM_CONTESTANTS,
    OptionAt: OPTION_CONTESTANTS,
}


def table(subject: Shape | Program | OptionAt) -> dict[str, Contestant]:
    """The contestants of a shape, a program or an option."""
    return _TABLES[type(subject)]
