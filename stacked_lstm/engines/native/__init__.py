"""The `native` engine: one compiled op per direction, on a CPU.

engine.py says when it runs and adds its ops to the graph. kernels/lstm.h says what the compiled kernels compute.
"""

from __future__ import annotations

from stacked_lstm.engines.native.engine import ENGINE

__all__ = ["ENGINE"]
