"""Sessions on the CPU and on a GPU."""

from stacked_lstm.compat import set_tensor_float_32, tf

quick = False  # Whether the quick set of tests runs; conftest.py says so.


def prepared(place):
    """A place where float32 is float32."""
    if place == "gpu":
        set_tensor_float_32(False)
    return place


def plain_session(graph=None):
    """A session on the CPU; without the optimizer in the quick set of tests, where it takes as long as all else."""
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = quick
    return tf.Session(graph=graph, config=config)


def session_on(place, graph):
    """A session as users have it; on a GPU without soft placement: an op that cannot run there is an error."""
    if place == "cpu":
        return tf.Session(graph=graph)
    config = tf.ConfigProto(allow_soft_placement=False, gpu_options=tf.GPUOptions(allow_growth=True))
    return tf.Session(graph=graph, config=config)


def device_on(place):
    """All on the GPU except strings, for which TensorFlow has nothing there: dynamic_rnn does not see to its own."""

    def device(op):
        strings = any(tensor.dtype.base_dtype == tf.string for tensor in op.outputs)
        return "/device:CPU:0" if strings else "/GPU:0"

    return None if place == "cpu" else device
