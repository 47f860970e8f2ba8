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
        "one loop": "2286a18fcb2f89b5d40d014ff23c0f6d",
        "lengths": "e456beee8ac37c4faf401600b1de80c7",
        "projected": "12090e8467b40531121279277755ddac",
        "own loops": "4112f9bc333f10d1cc5df3b0497bca07",
    },
    "1.15": {
        "one loop": "b56cb3b75f941a545cccd3b0866bbf8c",
        "lengths": "026df27f9e852c3b717bd305c014fa1f",
        "projected": "024a60428185d0d3ba733bf7d8737129",
        "own loops": "a1e3c9c214330bc7e0ec7999c15933d3",
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
