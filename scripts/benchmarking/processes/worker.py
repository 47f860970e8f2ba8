"""The process of a contestant. `Worker` controls it from outside; `serve` runs inside it."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import signal
import sys
from typing import Any, Callable, ContextManager, Iterator

from benchmarking.contestant import Contestant
from benchmarking.timing import seconds_of_calls, wait_until_idle
from shared import environment


class Worker:
    """A contestant's process, as `serve` describes it; each method may raise the RuntimeError that it sends.

    Attributes:
      name: of the contestant.
      library: name and version of its library, after the import; None before.
      milliseconds: the times of its steps.
      megabytes: the most memory that it used beyond its libraries; None on a GPU, and if the system does not tell.
      facts: what a step of a program says about itself, see `program_steps`; None for a shape.
    """

    def __init__(self, name: str, contestant: Contestant, subject: Any, mode: str, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.library: str | None = None
        self.milliseconds: list[float] = []
        self.megabytes: float | None = None
        self.facts: dict[str, Any] | None = None
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=serve, args=(remote, contestant, subject, mode, device), daemon=True)
        with hidden_gpus(device), _ignored_interrupts():
            self._process.start()
        remote.close()

    def wait_for_import(self) -> None:
        """Waits until the process has imported its library."""
        self.library = self._answer()

    def build(self) -> None:
        """Has the process prepare its step."""
        self.facts = self._answer("build")

    def turn(self, seconds: float, keep: bool = True) -> None:
        """Runs steps for some seconds; their times are kept unless it is a warm-up."""
        times, self.megabytes = self._answer(seconds)
        if keep:
            self.milliseconds += [1e3 * t for t in times]

    def stop(self) -> None:
        """Ends the process."""
        self._connection.send(None)
        self._process.join()

    def _answer(self, *requests: Any) -> Any:
        try:
            for request in requests:
                self._connection.send(request)
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            answer = RuntimeError(f"its process ended with status {self._process.exitcode}")
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


def hidden_gpus(device: str) -> ContextManager[None]:
    """Returns a context in which new processes see no GPU if the device is "CPU".

    Programs have no `tf.device` for the CPU. Without a GPU, nothing of them is placed on one.
    """
    return environment.variable("CUDA_VISIBLE_DEVICES", "-1") if device == "CPU" else contextlib.nullcontext()


@contextlib.contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """New processes ignore the interrupt of a terminal, which goes to all processes. The command ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def each(workers: list[Worker], action: Callable[[Worker], None]) -> list[Worker]:
    """Has each worker do something; returns those that could, and says why the others are left out."""
    able = []
    for worker in workers:
        try:
            action(worker)
            able.append(worker)
        except RuntimeError as error:
            print(f"{worker.name} is left out, because of an error: {error}", file=sys.stderr)
    return able


def serve(connection: Any, contestant: Contestant, subject: Any, mode: str, device: str) -> None:
    """Runs a contestant in this process.

    It sends, in this order:
      the name and version of its library, once that is imported;
      the facts of the step, or None, once it is prepared; before, it waits until it receives something;
      for each number of seconds that it receives, until None: a list of the seconds that its steps took in that time,
        at least one, and the most megabytes of memory that this process has used beyond its libraries.
    The last thing that it sends may be a RuntimeError that says why it cannot go on.

    Args:
      connection: one end of a `multiprocessing.Pipe`.
      contestant: what makes the step.
      subject, mode, device: the step's other arguments.
    """
    try:
        x = contestant.make_input(subject)
        library, make = importlib.import_module(contestant.library), contestant.make_step()
        connection.send(f"{contestant.library} {library.__version__.split('-')[0]}")
        connection.recv()
        before = _peak_megabytes() if device == "CPU" else None  # A GPU has memory of its own.
        call, steps = make(subject, x, mode, device), contestant.steps_per_call(subject, mode, device)
        _forget_peak()  # It may have been that of a setting that was tried.
        connection.send(getattr(call, "facts", None))
        for seconds in iter(connection.recv, None):
            times = [t / steps for t in seconds_of_calls(call, seconds)]
            wait_until_idle()
            peak = _peak_megabytes()
            connection.send((times, None if peak is None or before is None else peak - before))
    except Exception as error:  # The others go on, whatever keeps a contestant away.
        connection.send(RuntimeError(str(error) or type(error).__name__))


def _forget_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w") as settings:
            settings.write("5")
    except OSError:
        pass  # Only Linux has it.


def _peak_megabytes() -> float | None:
    """The most memory that this process has had, on Linux; ru_maxrss would also count what its parent had."""
    try:
        with open("/proc/self/status") as status:
            (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
    except (OSError, ValueError):
        return None
    return int(peak) / 1024
