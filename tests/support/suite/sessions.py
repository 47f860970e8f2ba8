"""Sessions on the CPU and on a GPU."""

from stacked_lstm.compat import set_tensor_float_32, tf

quick = False  # Whether the quick set of tests runs; conftest.py sets it.


def prepare(place):
    """Returns the place; turns TF32 off on a GPU, so that float32 has full precision."""
    if place == "gpu":
        set_tensor_float_32(False)
    return place


def plain_session(graph=None):
    """A session on the CPU. The quick set of tests does without the optimizer, which takes half of the time."""
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = quick
    return tf.Session(graph=graph, config=config)


def session_on(place, graph):
    """A session as users have it. On a GPU it has no soft placement: an op that cannot run there is an error."""
    if place == "cpu":
        return tf.Session(graph=graph)
    config = tf.ConfigProto(allow_soft_placement=False, gpu_options=tf.GPUOptions(allow_growth=True))
    return tf.Session(graph=graph, config=config)


def set_variables(session, variables, arrays):
    """Gives each variable its array, in one run; `variable.load` takes a run for each, which TensorFlow prepares."""
    feed = {variable.initializer.inputs[1]: array for variable, array in zip(variables, arrays)}
    session.run([variable.initializer for variable in variables], feed)


def device_on(place):
    """A device function that puts everything on the GPU, except strings, such as those in dynamic_rnn's checks."""

    def device(op):
        strings = any(tensor.dtype.base_dtype == tf.string for tensor in op.outputs)
        return "/device:CPU:0" if strings else "/GPU:0"

    return None if place == "cpu" else device
