"""The `cudnn` engine: NVIDIA's LSTM on a GPU.

engine.py says when it runs and splits a stack into calls. ops.py adds the op of a call, buffer.py packs the weights for
it. The compiled op in this folder chooses cuDNN's fastest algorithm, see choice.h. TensorFlow's op CudnnRNNV3 runs what
the compiled op does not support.
"""

from __future__ import annotations

from stacked_lstm.engines.cudnn.buffer import pack, unpack
from stacked_lstm.engines.cudnn.engine import ENGINE

__all__ = ["ENGINE", "pack", "unpack"]
