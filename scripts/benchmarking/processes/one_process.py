"""One process for all contestants, which take turns in it.

Two processes of the same program can differ by a tenth or more: in the cores and the pages of memory that they get, and
in the other load on the machine. Short turns in one process share all of that. So its ratios are more accurate, and its
memory belongs to no contestant.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import multiprocessing
import sys
from concurrent.futures import process
from typing import Any, Mapping

from benchmarking.contestant import Contestant
from benchmarking.processes.worker import hidden_gpus
from benchmarking.timing import seconds_of_calls, wait_until_idle


class Entrant:
    """A contestant in the process, with the attributes that a `Worker` has after its turns."""

    def __init__(self, name: str, library: str, facts: dict[str, Any] | None) -> None:
        self.name, self.library, self.facts = name, library, facts
        self.milliseconds: list[float] = []
        self.megabytes = None


def measure(
    contestants: Mapping[str, Contestant], subject: Any, mode: str, device: str, seconds: float, rounds: int
) -> list[Entrant]:
    """Measures one subject in one mode, in a new process; returns the contestants that could run."""
    context = multiprocessing.get_context("spawn")
    with hidden_gpus(device), concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        turns = executor.submit(take_turns, contestants, subject, mode, device, seconds, rounds)
        try:
            return turns.result()
        except process.BrokenProcessPool:
            print(f"{' and '.join(contestants)} are left out, because their process ended", file=sys.stderr)
            return []


def take_turns(
    contestants: Mapping[str, Contestant], subject: Any, mode: str, device: str, seconds: float, rounds: int
) -> list[Entrant]:
    """What the process does. A turn is `seconds` long. Its first call prepares the processor's caches."""
    entrants = []
    for name, contestant in contestants.items():
        try:
            library, place = importlib.import_module(contestant.library), contestant.places[device]
            call = contestant.make_step()(subject, contestant.make_input(subject), mode, place)
        except Exception as error:  # The others go on, whatever keeps a contestant away.
            print(f"{name} is left out, because of an error: {str(error) or type(error).__name__}", file=sys.stderr)
            continue
        version = f"{contestant.library} {library.__version__.split('-')[0]}"
        steps = contestant.steps_per_call(subject, mode, place)
        entrants.append((Entrant(name, version, getattr(call, "facts", None)), call, steps))
    for round_number in range(rounds + 1):
        for entrant, call, steps in entrants:
            wait_until_idle()
            call()
            times = seconds_of_calls(call, seconds)
            if round_number > 0:  # The first round is a warm-up.
                entrant.milliseconds += [1e3 * t / steps for t in times]
    return [entrant for entrant, _, _ in entrants]
