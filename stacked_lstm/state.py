"""The state of one layer."""

import collections


class LSTMStateTuple(collections.namedtuple("LSTMStateTuple", ["c", "h"])):
    """Cell state `c` [B, H] and output `h` [B, P] of one layer: tensors, arrays, or their sizes.

    It has the name and the fields of TensorFlow 1's class. TensorFlow takes two such tuples for the same structure
    where both are equal, so a state of `StackedLSTM` can start TensorFlow's loops around cells, and vice versa.
    """

    __slots__ = ()

    @property
    def dtype(self):
        """That of both tensors.

        Raises:
          TypeError: they have two.
        """
        if self.c.dtype != self.h.dtype:
            raise TypeError(f"LSTMStateTuple.dtype: c is {self.c.dtype.name}, h is {self.h.dtype.name}")
        return self.c.dtype


LSTMState = LSTMStateTuple
