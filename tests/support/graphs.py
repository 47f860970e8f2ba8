"""A digest of the graph that a plain stack makes, to see that new options leave it as it is."""

import hashlib

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf

# Hidden sizes, options, whether there are lengths.
PLAIN_STACKS = {
    "one loop": ([4, 5], {}, False),
    "lengths": ([4, 5], {"initial_state": "learned", "use_bias": False}, True),
    "projected": ([3], {"initial_state": "projected", "activation": "relu"}, True),
    "own loops": ([300, 4], {"forget_bias": 0.0, "dtype": tf.float64}, False),
}

# TensorFlow version -> stack -> `digest` at commit 592aac3, before stacks had options, without the `Identity` ops that
# `tf.custom_gradient` added and nothing read. Who changes the graph of plain stacks on purpose, such as the checks of
# lengths, puts the new digests here.
DIGESTS = {
    "2.21": {
        "one loop": "85577a48f09e58bad6282497845a15df",
        "lengths": "c7cbfe994d29376c684bb3baadbc660a",
        "projected": "2a0aae715139050757411cac5f249f94",
        "own loops": "a39643c29a727e1d76d6a0143592440b",
    },
    "1.15": {
        "one loop": "f954c1c497cb2d1bb0bcd3386b9c11a0",
        "lengths": "20ba7c8da7b8e74e23b0d72814a6f86f",
        "projected": "6bf6deb99dd98ea4c647ecddeca74acb",
        "own loops": "0eefd039325f042e13929e3110ec86bb",
    },
}


def digest(name, **options):
    """Digest of names, types and inputs of all ops of a stack and its gradients, in a new graph."""
    hidden_sizes, stack_options, has_lengths = PLAIN_STACKS[name]
    with tf.Graph().as_default() as graph:
        dtype = stack_options.get("dtype", tf.float32)
        x = tf.placeholder(dtype, [None, None, 3], "x")
        lengths = tf.placeholder(tf.int32, [None], "lengths") if has_lengths else None
        lstm = StackedLSTM(hidden_sizes, engine="graph", **dict(stack_options, **options))
        outputs, _ = lstm(x, lengths)
        tf.gradients(outputs, [x] + lstm.variables)
        lines = [f"{op.name} {op.type} {[tensor.name for tensor in op.inputs]}" for op in graph.get_operations()]
    return hashlib.md5("\n".join(lines).encode()).hexdigest()
