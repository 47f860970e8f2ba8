"""The `native` engine: one compiled op per direction, on a CPU. `engine.py` says when it runs, `lstm.h` how."""

from stacked_lstm.engines.native.engine import ENGINE, load_native_ops

__all__ = ["ENGINE", "load_native_ops"]
