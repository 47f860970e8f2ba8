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

# TensorFlow version -> stack -> `digest` at commit 47c5d04, before stacks had options. Who changes the graph of plain
# stacks on purpose, such as the checks of lengths, puts the new digests here.
DIGESTS = {
    "2.21": {
        "one loop": "10365b30da8cf742c5ff8ef6c6149bf4",
        "lengths": "2cfa7a3a7e504f536400250d7dc5e3e0",
        "projected": "57dbc228ca307747afb8290ac40a1b34",
        "own loops": "2185068dd61f675b138dcfceda91bcb0",
    },
    "1.15": {
        "one loop": "e4f5678a246a0ef9419b474b0e175dd8",
        "lengths": "567ba3367b308b0f40b4a6e74757fb28",
        "projected": "591d542127b148e75c670e1573b70b1c",
        "own loops": "c634d0eb30cc8bbeb5745fedb7c64466",
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
