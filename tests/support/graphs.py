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

# TensorFlow version -> stack -> `digest` at commit 592aac3, before stacks had options. Who changes the graph of plain
# stacks on purpose, such as the checks of lengths, puts the new digests here.
DIGESTS = {
    "2.21": {
        "one loop": "05758ab3bd8c9bb51ce8d171ef438fd3",
        "lengths": "cbc06152aa78cc6b58b435a4e22350b8",
        "projected": "7fa516a8079d8b98b8c105fed4f48835",
        "own loops": "3c60b5b6b246ea691576e226cae50c3d",
    },
    "1.15": {
        "one loop": "15595855935dcec10b5db29191c56890",
        "lengths": "45703341d1b7ad9bc91d6d913b00ec5e",
        "projected": "150340f23e90de9f83fb0e76b8e6b632",
        "own loops": "80a4370b69227aae32d332643cba3c3c",
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
