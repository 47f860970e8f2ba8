"""The cells whose single calls the benchmark measures, and a shape with one of them. No TensorFlow here."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np

from benchmarking.subjects import shapes
from benchmarking.subjects.shapes import Shape
from programs.names import has_contrib
from shared.options import chosen_names

SHAPES = "50,1,128,128,1;50,16,128,128,1;50,1,512,512,1;50,16,512,512,1"  # T is the number of calls in a step.
KEEP_PROB = 0.5
ATTENTION_LENGTH = 5

# A cell's class, with an option after it -> function of a module with cells and the number of units.
CELLS: dict[str, Callable[[Any, int], Any]] = {
    "BasicRNNCell": lambda rnn, size: rnn.BasicRNNCell(size),
    "GRUCell": lambda rnn, size: rnn.GRUCell(size),
    "GRUBlockCell": lambda rnn, size: rnn.GRUBlockCell(size),
    "GRUBlockCellV2": lambda rnn, size: rnn.GRUBlockCellV2(size),
    "BasicLSTMCell": lambda rnn, size: rnn.BasicLSTMCell(size),
    "LSTMCell": lambda rnn, size: rnn.LSTMCell(size),
    "LSTMCell_peepholes": lambda rnn, size: rnn.LSTMCell(size, use_peepholes=True),
    "LSTMCell_projection": lambda rnn, size: rnn.LSTMCell(size, num_proj=max(size // 4, 1)),
    "LSTMBlockCell": lambda rnn, size: rnn.LSTMBlockCell(size),
    "LSTMBlockCell_peepholes": lambda rnn, size: rnn.LSTMBlockCell(size, use_peephole=True),
    "CudnnCompatibleLSTMCell": lambda rnn, size: rnn.CudnnCompatibleLSTMCell(size),
    "LayerNormBasicLSTMCell": lambda rnn, size: rnn.LayerNormBasicLSTMCell(size),
    "CoupledInputForgetGateLSTMCell": lambda rnn, size: rnn.CoupledInputForgetGateLSTMCell(size),
    "NASCell": lambda rnn, size: rnn.NASCell(size),
    "AttentionCellWrapper": lambda rnn, size: rnn.AttentionCellWrapper(rnn.BasicLSTMCell(size), ATTENTION_LENGTH),
    "DeviceWrapper": lambda rnn, size: rnn.DeviceWrapper(rnn.BasicLSTMCell(size), "/cpu:0"),
    "DropoutWrapper": lambda rnn, size: rnn.DropoutWrapper(rnn.BasicLSTMCell(size), output_keep_prob=KEEP_PROB),
    "HighwayWrapper": lambda rnn, size: rnn.HighwayWrapper(rnn.BasicLSTMCell(size)),
    "InputProjectionWrapper": lambda rnn, size: rnn.InputProjectionWrapper(rnn.BasicLSTMCell(size), size),
    "OutputProjectionWrapper": lambda rnn, size: rnn.OutputProjectionWrapper(rnn.BasicLSTMCell(size), size),
    "ResidualWrapper": lambda rnn, size: rnn.ResidualWrapper(rnn.BasicLSTMCell(size)),
}
# The classes that TensorFlow has without `tf.contrib`.
_IN_TENSORFLOW_2 = (
    *("BasicRNNCell", "GRUCell", "BasicLSTMCell", "LSTMCell"),
    *("DeviceWrapper", "DropoutWrapper", "ResidualWrapper"),
)


class CellAt(NamedTuple):
    """A cell at a shape; with several layers, a stack of such cells."""

    name: str
    shape: Shape

    def make(self, rnn: Any) -> Any:
        """Returns the cell of a module, or a `MultiRNNCell`."""
        cells = [CELLS[self.name](rnn, self.shape.hidden_size) for _ in range(self.shape.layers)]
        return cells[0] if len(cells) == 1 else rnn.MultiRNNCell(cells)

    def has(self, contestant: str) -> bool:
        """Whether a contestant has the cell."""
        return contestant != "tensorflow" or has_contrib() or self.name.split("_")[0] in _IN_TENSORFLOW_2


def random_input(cell: CellAt) -> np.ndarray:
    """The input of the shape."""
    return shapes.random_input(cell.shape)


def calls_per_step(cell: CellAt, mode: str, device: str) -> int:
    """How many calls of the cell a call of the session has."""
    return cell.shape.steps


def parse(names: list[str], text: str) -> list[CellAt]:
    """Returns cells at shapes; "all" stands for all cells.

    Raises:
      ValueError: there is no such cell, or a shape is wrong.
    """
    chosen = chosen_names("cells", names, CELLS)
    return [CellAt(name, shape) for shape in shapes.parse_shapes(text) for name in chosen]
