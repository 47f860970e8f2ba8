"""Losses of tf.contrib on random logits, classes and weights; some weights are zero.

`build` makes a case from the modules `seq2seq` and `legacy_seq2seq`.
"""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow.compat.v1 as tf

from golden.files import random_state

BATCH, TIME, CLASSES = 3, 4, 5

_TENSOR_FLAGS = ("average_across_timesteps", "average_across_batch", "sum_over_timesteps", "sum_over_batch")


def _allowed(time, batch, sum_time, sum_batch):
    return not (time and sum_time) and not (batch and sum_batch)


def _squared(labels, logits):
    return tf.reduce_sum(tf.square(logits), -1) * tf.cast(labels, logits.dtype)


# name -> (name of the module, name of the function, options)
CASES = {
    "tensors/" + "".join("01"[flag] for flag in flags): ("seq2seq", "sequence_loss", dict(zip(_TENSOR_FLAGS, flags)))
    for flags in itertools.product([False, True], repeat=4)
    if _allowed(*flags)
}
for _time in (False, True):
    CASES[f"by_example/{_time}"] = (
        "legacy_seq2seq", "sequence_loss_by_example", {"average_across_timesteps": _time}
    )  # fmt: skip
    for _batch in (False, True):
        CASES[f"lists/{_time}{_batch}"] = (
            "legacy_seq2seq",
            "sequence_loss",
            {"average_across_timesteps": _time, "average_across_batch": _batch},
        )
CASES["tensors/defaults"] = ("seq2seq", "sequence_loss", {})
CASES["lists/defaults"] = ("legacy_seq2seq", "sequence_loss", {})
CASES["by_example/defaults"] = ("legacy_seq2seq", "sequence_loss_by_example", {})
CASES["tensors/function"] = ("seq2seq", "sequence_loss", {"softmax_loss_function": _squared})
CASES["lists/function"] = ("legacy_seq2seq", "sequence_loss", {"softmax_loss_function": _squared})


def build(name, modules):
    """Returns (loss, its gradient with respect to the logits).

    Args:
      name: a name of `CASES`.
      modules: dictionary with the modules `seq2seq` and `legacy_seq2seq`.
    """
    module, function, options = CASES[name]
    random = random_state("losses")
    logits = tf.constant(random.standard_normal([BATCH, TIME, CLASSES]).astype(np.float32))
    targets = tf.constant(random.randint(CLASSES, size=[BATCH, TIME]).astype(np.int32))
    weights = random.uniform(0.5, 2.0, [BATCH, TIME]).astype(np.float32)
    weights[0, 2:] = weights[1] = 0.0
    arguments = [logits, targets, tf.constant(weights)]
    if module == "legacy_seq2seq":
        arguments = [tf.unstack(argument, axis=1) for argument in arguments]
    loss = getattr(modules[module], function)(*arguments, **options)
    return loss, tf.gradients(loss, logits)[0]
