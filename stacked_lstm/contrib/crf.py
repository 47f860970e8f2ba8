"""Linear-chain conditional random fields of `tf.contrib.crf`: the likelihood of tags, and the best tags.

Potentials are the scores of single tags; transition parameters are the scores of pairs of tags that follow each other.

Source: Lafferty, McCallum and Pereira, Conditional Random Fields, ICML 2001.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf, without_keras_advice
from stacked_lstm.rnn_cell.base.cell import RNNCell

__all__ = ["crf_decode", "crf_log_likelihood", "viterbi_decode"]

_dynamic_rnn = without_keras_advice()(tf.nn.dynamic_rnn)


def crf_log_likelihood(
    inputs: tf.Tensor, tag_indices: tf.Tensor, sequence_lengths: tf.Tensor, transition_params: Any = None
) -> tuple[tf.Tensor, Any]:
    """Returns the logarithm of the probability of tag sequences.

    It replaces `tf.contrib.crf.crf_log_likelihood` of TensorFlow 1.15. B is the batch size, T the number of time
    steps, N the number of tags.

    Args:
      inputs: float [B, T, N], the potentials.
      tag_indices: int32 or int64 [B, T], the tags. Those past the end of a sequence must be from 0 to N - 1, too.
      sequence_lengths: int32 or int64 [B].
      transition_params: float [N, N], the scores of tag j after tag i, by [i, j]. Default None: a variable
        "transitions" in the current scope.

    Returns:
      (float [B], transition parameters). An empty sequence has the value 0.

    Raises:
      ValueError: `inputs` does not have three dimensions.

    Example:
      >>> from stacked_lstm.contrib import crf
      >>> potentials, tags, lengths = tf.zeros([2, 3, 5]), tf.ones([2, 3], tf.int32), tf.constant([3, 1])
      >>> likelihood, transitions = crf.crf_log_likelihood(potentials, tags, lengths, tf.zeros([5, 5]))
      >>> with tf.Session() as session:
      ...     print(np.exp(session.run(likelihood)).round(3))  # 1 / 5 ** 3 and 1 / 5
      [0.008 0.2  ]
    """
    inputs = tf.convert_to_tensor(inputs)
    if inputs.shape.ndims not in (None, 3):
        checks.fail("crf_log_likelihood", "`inputs` of rank 3, [batch, time, tags]", f"shape {inputs.shape}")
    if transition_params is None:
        tags = inputs.shape.as_list()[2]
        transition_params = tf.get_variable("transitions", [tags, tags])
    score = _score(inputs, tag_indices, sequence_lengths, transition_params)
    return score - _log_norm(inputs, sequence_lengths, transition_params), transition_params


def crf_decode(
    potentials: tf.Tensor, transition_params: tf.Tensor, sequence_length: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the tags with the highest score, by Viterbi's algorithm in the graph.

    It replaces `tf.contrib.crf.crf_decode` of TensorFlow 1.15. B is the batch size, T the number of time steps, N the
    number of tags.

    Args:
      potentials: float [B, T, N].
      transition_params: float [N, N], the scores of tag j after tag i, by [i, j].
      sequence_length: int32 or int64 [B].

    Returns:
      (tags int32 [B, T], their score [B]). Tags past the end of a sequence are 0. An empty sequence counts as one of
      one step, as in TensorFlow.

    Example:
      >>> from stacked_lstm.contrib import crf
      >>> potentials = tf.constant([[[1.0, 0.0], [0.4, 0.6], [0.0, 0.1]]])
      >>> tags, score = crf.crf_decode(potentials, tf.eye(2), tf.constant([3]))  # It pays to keep the tag.
      >>> with tf.Session() as session:
      ...     print(session.run(tags), session.run(score).round(2))
      [[0 0 0]] [3.4]
    """
    transitions = tf.maximum(sequence_length - 1, 0)
    backpointers, last = _dynamic_rnn(
        _BestTag(transition_params), _later_steps(potentials), transitions, potentials[:, 0], dtype=tf.int32
    )
    backpointers = tf.reverse_sequence(backpointers, transitions, seq_axis=1, batch_axis=0)
    best = tf.argmax(last, axis=1, output_type=tf.int32)[:, None]
    tags, _ = _dynamic_rnn(_FollowPointers(), backpointers, transitions, best, dtype=tf.int32, scope="back")
    tags = tf.concat([best, tags[:, :-1, 0]], axis=1)
    return tf.reverse_sequence(tags, sequence_length, seq_axis=1, batch_axis=0), tf.reduce_max(last, axis=1)


def viterbi_decode(score: np.ndarray, transition_params: np.ndarray) -> tuple[list[Any], Any]:
    """Returns the tags of one sequence with the highest score, by Viterbi's algorithm in NumPy.

    It replaces `tf.contrib.crf.viterbi_decode` of TensorFlow 1.15. T is the number of time steps, N the number of
    tags.

    Args:
      score: float array [T, N], the potentials.
      transition_params: float array [N, N], the scores of tag j after tag i, by [i, j].

    Returns:
      (list of T tags, their score).

    Example:
      >>> from stacked_lstm.contrib import crf
      >>> tags, score = crf.viterbi_decode(np.array([[1.0, 0.0], [0.4, 0.6], [0.0, 0.1]]), np.eye(2))
      >>> [int(tag) for tag in tags], round(float(score), 2)
      ([0, 0, 0], 3.4)
    """
    best, pointers = score[0], []
    for potentials in score[1:]:
        scores = best[:, None] + transition_params
        pointers.append(np.argmax(scores, axis=0))
        best = potentials + np.max(scores, axis=0)
    tags = [np.argmax(best)]
    for pointer in reversed(pointers):
        tags.append(pointer[tags[-1]])
    return tags[::-1], np.max(best)


def _score(inputs: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor, transition_params: Any) -> tf.Tensor:
    """Returns the sums [B] of the potentials and of the transitions of tags [B, T]."""
    shape = tf.shape(inputs)
    tags = tf.cast(tags, tf.int32)
    rows = tf.tile(tf.range(shape[0])[:, None], [1, shape[1]])
    columns = tf.tile(tf.range(shape[1])[None], [shape[0], 1])
    potentials = tf.gather_nd(inputs, tf.stack([rows, columns, tags], axis=2))
    pairs = tf.gather_nd(transition_params, tf.stack([tags[:, :-1], tags[:, 1:]], axis=2))
    mask = tf.sequence_mask(lengths, shape[1], inputs.dtype)
    return tf.reduce_sum(potentials * mask, axis=1) + tf.reduce_sum(pairs * mask[:, 1:], axis=1)


def _log_norm(inputs: tf.Tensor, lengths: tf.Tensor, transition_params: Any) -> tf.Tensor:
    """Returns the logarithm [B] of the sum of the exponentials of the scores of all tag sequences."""
    last_step = tf.cast(tf.shape(inputs)[1] - 1, lengths.dtype)  # The inputs have no later step.
    transitions = tf.minimum(tf.maximum(lengths - 1, 0), last_step)
    _, last = _dynamic_rnn(
        _AllTags(transition_params), _later_steps(inputs), transitions, inputs[:, 0], dtype=inputs.dtype
    )
    norm = tf.reduce_logsumexp(last, axis=1)
    return tf.where(lengths > 0, norm, tf.zeros_like(norm))


def _later_steps(inputs: tf.Tensor) -> tf.Tensor:
    """Returns [B, T, N]: the steps after the first one, and a step that no sequence reaches.

    TensorFlow's loop over no step at all has no gradient.
    """
    return tf.pad(inputs[:, 1:], [[0, 0], [0, 1], [0, 0]])


class _TagCell(RNNCell):
    """A cell whose state is a score [B, N] of each tag at a step."""

    def __init__(self, transition_params: Any) -> None:
        super().__init__()
        self._transition_params = tf.convert_to_tensor(transition_params)

    @property
    def state_size(self) -> Any:
        return self._transition_params.shape.as_list()[0]

    output_size = state_size

    def _pairs(self, state: tf.Tensor) -> tf.Tensor:
        """Returns the scores [B, N, N] of tag j after tag i, by [i, j]."""
        return state[:, :, None] + self._transition_params[None]


class _AllTags(_TagCell):
    """The state is the logarithm of the sum over all sequences that end with a tag."""

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        state = inputs + tf.reduce_logsumexp(self._pairs(state), axis=1)
        return state, state


class _BestTag(_TagCell):
    """The state is the score of the best sequence that ends with a tag; the output is the tag before it."""

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        pairs = self._pairs(state)
        return tf.argmax(pairs, axis=1, output_type=tf.int32), inputs + tf.reduce_max(pairs, axis=1)


class _FollowPointers(RNNCell):
    """The state is a tag [B, 1]; the input [B, N] has the tag before each tag."""

    state_size = output_size = property(lambda self: 1)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        rows = tf.range(tf.shape(inputs)[0])
        tag = tf.gather_nd(inputs, tf.stack([rows, state[:, 0]], axis=1))[:, None]
        return tag, tag
