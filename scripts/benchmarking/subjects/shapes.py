"""What is measured: sizes, modes, devices and dtypes, and the operations of a step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MODES = ("inference", "training", "evaluation")
PROGRAM_MODES = ("training", "evaluation")
DEVICES = ("CPU", "GPU")
DTYPES = ("float32", "float16", "float64")


class Shape(NamedTuple):
    """The sizes of a benchmark, T, B, I, H, L, and the dtype of its weights and data."""

    steps: int
    batch: int
    input_size: int
    hidden_size: int
    layers: int
    dtype: str = DTYPES[0]

    def __str__(self) -> str:
        """The form that --shapes reads. It leaves float32 out."""
        return ",".join(map(str, self[:-1] if self.dtype == DTYPES[0] else self))

    def products(self, mode: str) -> list[tuple[int, int, int]]:
        """The matrix products of one step, (m, k, n) for each product of [m, k] and [k, n].

        The backward pass has two for each of the forward pass: dz W^T and [h, x]^T dz. The input is data, whose
        gradient is not computed: in the first layer dz W^T has the columns of h only.
        """
        rows, gates, width, sizes = self.steps * self.batch, 4 * self.hidden_size, self.input_size, []
        for layer in range(self.layers):
            joined = self.hidden_size + width
            sizes.append((rows, joined, gates))
            if mode == "training":
                sizes.append((rows, gates, joined if layer else self.hidden_size))
                sizes.append((joined, rows, gates))
            width = self.hidden_size
        return sizes

    def operations(self, mode: str) -> int:
        """Floating-point operations of the matrix products of one step."""
        return sum(2 * m * k * n for m, k, n in self.products(mode))


def parse_shapes(text: str, dtype: str = DTYPES[0]) -> list[Shape]:
    """Reads shapes, separated by semicolons.

    Args:
      text: T,B,I,H,L of each shape, which are positive integers. The dtype of a shape may follow.
      dtype: of the shapes that name none.

    Raises:
      ValueError: the text has another form.
    """
    shapes = []
    for part in text.split(";"):
        *sizes, last = [word.strip() for word in part.split(",")]
        sizes, name = (sizes, last) if last in DTYPES else ([*sizes, last], dtype)
        numbers = [int(n) if n.isdecimal() else 0 for n in sizes]
        if len(numbers) != len(Shape._fields) - 1 or min(numbers) < 1:
            expected = f"T,B,I,H,L (positive integers), alone or with one of {', '.join(DTYPES)} at the end"
            raise ValueError(f"--shapes: expected {expected}, got {part!r}")
        shapes.append(Shape(*numbers, dtype=name))
    return shapes


def random_input(shape: Shape) -> np.ndarray:
    """A random input [T, B, I], the same in each process. It is aligned, because TensorFlow copies other arrays."""
    sizes = [shape.steps, shape.batch, shape.input_size]
    values = np.random.RandomState(0).standard_normal(sizes).astype(shape.dtype)
    memory = np.empty(values.nbytes + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    aligned = memory[begin : begin + values.nbytes].view(values.dtype).reshape(sizes)
    aligned[...] = values
    return aligned


def one_step_per_call(shape: Shape, mode: str, device: str) -> int:
    """How many steps one call of a contestant makes, as a rule."""
    return 1


_ALIGNMENT = 64  # Bytes.
# About 10 ms at 100 GFLOP/s, and 20 ms at 50 TFLOP/s.
_OPERATIONS_PER_CALL = {"CPU": 1e9, "GPU": 1e12}


def products_per_call(shape: Shape, mode: str, device: str) -> int:
    """How many times one call of `gemm` makes the products of a step.

    With one, a small shape's products would take less time than the session's call, and their rate would be no ceiling.
    """
    return int(min(max(_OPERATIONS_PER_CALL[device] / shape.operations(mode), 1), 100))
