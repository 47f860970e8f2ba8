"""Times of calls, and the choice of the fastest setting.

The settings of libraries are those that their documentation recommends for the shortest time of one call, except the
number of threads: each library runs with as many as it takes by itself, or with one, whichever is faster for the shape.
"""

from __future__ import annotations

import functools
import time
from typing import Any, Callable

TRIAL = 0.3  # Seconds of a trial of a setting; with 0 the first setting is taken.
_TRIALS = 2  # Trials of each setting, in turn, because other load comes and goes.
# The number of threads of each library in this process. None: the library's own number, or 1 if that is faster.
THREADS: int | None = None


def seconds_of_calls(function: Callable[[], Any], seconds: float) -> list[float]:
    """Calls a function for some seconds, at least once; returns how long each call took, in seconds."""
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return times


def wait_until_idle() -> None:
    """Waits until this process' threads rest, two seconds at most: ONNX Runtime's spin for 80 ms after a call."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.001:
            return


def fastest_setting(*settings: Any) -> Callable[[Callable], Callable]:
    """Makes a decorator that gives a function the last argument whose steps take the shortest time.

    Args:
      *settings: the values to try.

    Returns:
      A decorator of a function that returns a step, a function without arguments.
    """

    def decorator(build: Callable) -> Callable:
        @functools.wraps(build)
        def build_fastest(*arguments: Any) -> Callable[[], Any]:
            seconds = dict.fromkeys(settings, float("inf"))
            for setting in _TRIALS * settings if TRIAL and len(settings) > 1 else ():
                step = build(*arguments, setting)
                wait_until_idle()
                step()  # The first call prepares.
                times = sorted(seconds_of_calls(step, TRIAL))
                # Other load changes the 10th percentile less than it changes the median.
                seconds[setting] = min(seconds[setting], times[len(times) // 10])
                del step  # This ends its threads, if it has threads of its own.
            return build(*arguments, min(seconds, key=seconds.get))

        return build_fastest

    return decorator


def fastest_threads(build: Callable) -> Callable:
    """Gives a function the number of threads as its last argument: `THREADS`. If this is None: None or 1.

    None as the argument is the library's own number. The function takes the faster one of None and 1.
    """

    @functools.wraps(build)
    def build_fastest(*arguments: Any) -> Callable[[], Any]:
        settings = (None, 1) if THREADS is None else (THREADS,)
        return fastest_setting(*settings)(build)(*arguments)

    return build_fastest
