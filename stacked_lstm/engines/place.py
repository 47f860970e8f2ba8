"""`Place`: the device, GPU, process and function in which new ops will run, and whether sequences have lengths."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm import compat


class Place:
    """Facts about the place where new ops will run. Conditions of engines ask for them.

    Each fact is looked up when a condition first asks for it, and then kept. To look for a GPU starts CUDA in this
    process, which must not happen unless a condition needs to know.

    Attributes:
      has_lengths: whether the sequences have lengths.
    """

    def __init__(self, has_lengths: bool = False) -> None:
        self.has_lengths = has_lengths
        self._facts: dict[Callable, Any] = {}

    def _fact(self, look_up: Callable) -> Any:
        if look_up not in self._facts:
            self._facts[look_up] = look_up()
        return self._facts[look_up]

    @property
    def device(self) -> Any:
        """The `tf.DeviceSpec` of new ops."""
        return self._fact(compat.device_of_new_ops)

    @property
    def device_type(self) -> str | None:
        """The type of the device that runs new ops, such as "CPU"; None if no device is named.

        A GPU of this process counts as the CPU if the process has no GPU. Soft placement
        (`tf.ConfigProto(allow_soft_placement=True)`) puts the ops there. Without it TensorFlow refuses to run the
        graph, whatever the ops are.
        """
        named = self.device.device_type
        is_missing = named == "GPU" and self.device.job in (None, "localhost") and not self.has_gpu
        return "CPU" if is_missing else named

    @property
    def inside_function(self) -> bool:
        """Whether new ops are in a tf.function, a tf.cond or a tf.while_loop."""
        return self._fact(compat.inside_function_or_control_flow)

    @property
    def has_gpu(self) -> bool:
        """Whether this process may use a GPU."""
        return self._fact(compat.gpu_visible)
