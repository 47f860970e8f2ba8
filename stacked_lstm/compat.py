"""The one module that knows TensorFlow versions: everything else imports `tf` from here.

TensorFlow 1.15 and 2.x both carry the TF1 graph API under this name.
"""

import tensorflow.compat.v1 as tf

__all__ = [
    "cuda_version",
    "device_of_new_ops",
    "gpu_visible",
    "inside_function_or_control_flow",
    "set_tensor_float_32",
    "tensor_float_32",
    "tf",
]


def inside_function_or_control_flow():
    """Whether ops made now belong to a tf.function, a branch of tf.cond or the body of a tf.while_loop."""
    graph = tf.get_default_graph()
    # Under control flow v2 bodies are functions; of control flow v1 TensorFlow has no public sign.
    return graph.building_function or graph._get_control_flow_context() is not None


def device_of_new_ops():
    """The `tf.DeviceSpec` of ops made now, after `tf.device`, device functions and `tf.colocate_with`."""
    graph = tf.get_default_graph()
    # TensorFlow tells by the device of an op. This one is made elsewhere: in the user's graph it would stay for good.
    with tf.Graph().as_default() as elsewhere:
        elsewhere._device_function_stack = graph._device_function_stack
        elsewhere._colocation_stack = graph._colocation_stack
        return tf.DeviceSpec.from_string(tf.no_op().device)


def cuda_version():
    """The version of CUDA that TensorFlow was built for, such as "12.5.1"; None where it does not say, or has none."""
    return getattr(tf.sysconfig, "get_build_info", dict)().get("cuda_version")


def gpu_visible():
    """Whether this process has a GPU that it may use. Asking starts CUDA."""
    return bool(tf.config.experimental.get_visible_devices("GPU"))


def tensor_float_32():
    """Whether this process lets GPUs round factors of float32 products; TensorFlow's packages before 2.4 never do."""
    experimental = tf.config.experimental
    return hasattr(experimental, "tensor_float_32_execution_enabled") and (
        experimental.tensor_float_32_execution_enabled()
    )


def set_tensor_float_32(allowed):
    """Says whether this process lets GPUs round so; TensorFlow's packages before 2.4 never do."""
    if hasattr(tf.config.experimental, "enable_tensor_float_32_execution"):
        tf.config.experimental.enable_tensor_float_32_execution(allowed)
