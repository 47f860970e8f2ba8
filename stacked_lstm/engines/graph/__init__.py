"""The `graph` engine: plain TensorFlow ops, for any device, any dtype and every activation.

engine.py cuts a stack into groups of layers. recurrence.py runs a group, forward and backward. loops.py has the loops
over time.
"""

from __future__ import annotations

from stacked_lstm.engines.graph.engine import ENGINE, run

__all__ = ["ENGINE", "run"]
