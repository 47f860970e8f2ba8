"""Where the ops that are made now will run."""

from stacked_lstm import compat


class Place:
    """What conditions ask of the place; each fact is looked up when it is first asked for, and kept.

    Looking for a GPU starts CUDA in this process, so it must not happen before a condition needs to know.
    """

    def __init__(self):
        self._facts = {}

    def _fact(self, look_up):
        if look_up not in self._facts:
            self._facts[look_up] = look_up()
        return self._facts[look_up]

    @property
    def device(self):
        """The `tf.DeviceSpec` of new ops."""
        return self._fact(compat.device_of_new_ops)

    @property
    def inside_function(self):
        """Whether new ops are in a tf.function, a tf.cond or a tf.while_loop."""
        return self._fact(compat.inside_function_or_control_flow)

    @property
    def has_gpu(self):
        """Whether this process has a GPU that it may use."""
        return self._fact(compat.gpu_visible)
