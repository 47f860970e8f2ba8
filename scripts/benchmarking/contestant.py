"""A contestant of the benchmark.

A contestant makes a step: a function of a subject, its input, a mode and a device returns a function without arguments.
The subject is a `Shape`, a `Program`, an `OptionAt`, a `CellAt` or a `ShapeOnThreads`, and the input is [T, B, I]. The
function without arguments makes one step, from the host's memory, and waits for its end:

  inference: the outputs of the last layer at all time steps, as one deploys it: from a frozen graph, whose variables
    are constants.
  training: a step of gradient descent on the mean square of these outputs.
  evaluation: inference from variables, as between steps of training.

On a GPU, outputs are fetched and training fetches nothing; TF32 is off for all, unless STACKED_LSTM_TF32 is 1.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

import peers
from benchmarking.subjects import shapes
from benchmarking.subjects.shapes import DEVICES, MODES, one_step_per_call

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
