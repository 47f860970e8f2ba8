"""The one module that knows TensorFlow versions: everything else imports `tf` from here.

TensorFlow 1.15 and 2.x both carry the TF1 graph API under this name.
"""

import tensorflow.compat.v1 as tf

__all__ = ["inside_function_or_control_flow", "tf"]


def inside_function_or_control_flow():
    """Whether ops made now belong to a tf.function, a branch of tf.cond or the body of a tf.while_loop."""
    graph = tf.get_default_graph()
    # Under control flow v2 bodies are functions; of control flow v1 TensorFlow has no public sign.
    return graph.building_function or graph._get_control_flow_context() is not None
