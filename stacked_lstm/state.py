"""The state of one layer."""

import collections

LSTMState = collections.namedtuple("LSTMState", ["c", "h"])
LSTMState.__doc__ = """Cell state `c` and output `h` of one layer, each [B, H]; fields in LSTMStateTuple's order."""
