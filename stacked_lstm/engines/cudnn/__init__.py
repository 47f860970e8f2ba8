"""The `cudnn` engine: NVIDIA's LSTM on a GPU.

engine.py says when it runs, and which op runs it. compiled_op.py adds the package's op, which can choose cuDNN's
fastest algorithm (choice.h), and tensorflow_op.py TensorFlow's op CudnnRNNV3, which runs what the other does not
support. buffer.py packs the weights for both.
"""

from __future__ import annotations

from stacked_lstm.engines.cudnn.buffer import pack, unpack
from stacked_lstm.engines.cudnn.engine import ENGINE

__all__ = ["ENGINE", "pack", "unpack"]
