"""Shapes that are measured with several numbers of threads. No TensorFlow here."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np

from benchmarking import timing
from benchmarking.contestant import Contestant
from benchmarking.subjects import shapes
from benchmarking.subjects.shapes import Shape

SHAPES = "30,64,8,64,3;28,128,28,256,1;35,20,650,650,2;35,20,1024,1024,2"


class ShapeOnThreads(NamedTuple):
    """A shape, and the number of threads that compute it."""

    shape: Shape
    threads: int


def parse(counts: list[str], text: str, dtype: str) -> list[ShapeOnThreads]:
    """Returns each shape of --shapes with each number of --threads.

    Raises:
      ValueError: a number or a shape is wrong.
    """
    if not counts or not all(count.strip().isdecimal() and int(count) > 0 for count in counts):
        raise ValueError(f"--threads: expected positive integers such as 1,2,4, got {','.join(counts) or 'none'}")
    numbers = sorted({int(count) for count in counts})
    return [ShapeOnThreads(shape, number) for shape in shapes.parse_shapes(text, dtype) for number in numbers]


def random_input(subject: ShapeOnThreads) -> np.ndarray:
    """The input of the shape."""
    return shapes.random_input(subject.shape)


def step(contestant: Contestant, subject: ShapeOnThreads, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """A step of a contestant of shapes. Its library uses the subject's number of threads in the whole process."""
    timing.THREADS = subject.threads
    return contestant.make_step()(subject.shape, x, mode, device)
