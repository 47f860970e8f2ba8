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

# TensorFlow version -> stack -> `digest`. They were first those of commit 592aac3, before stacks had options. Who
# changes the graph of plain stacks on purpose, such as the checks of lengths or the order of gradients, puts the new
# digests here.
DIGESTS = {
    "2.21": {
        "one loop": "7538ddf0afd02a754656c133c8d4ad30",
        "lengths": "47bb37217e99248f466596072b639a3d",
        "projected": "8a068103806c9eb8cfd11b71c17e0bd1",
        "own loops": "0bf715c735a7ff9f69bbb2e423e31d7d",
    },
    "1.15": {
        "one loop": "ca01439fcd2b57157839706a25b00b58",
        "lengths": "3de411d84d4c654c34e3935fbeb84ab6",
        "projected": "54775e0fbb03f47660fbd10c78aa4ab6",
        "own loops": "4904eea478e3af3b3b9e0c2aad54c9c5",
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
