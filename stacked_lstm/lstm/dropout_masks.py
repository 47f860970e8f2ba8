"""Dropout on all time steps of a layer at once, and the noise of zoneout.

A mask has 0 for each dropped entry, and 1 / keep_prob for each kept entry. TensorFlow's ops draw the masks. In the
context `use_drawer`, an op of the package can draw them. Both draw the same bits from the same seeds.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from typing import Any, Callable, Iterator, NamedTuple, Union

from stacked_lstm import checks
from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.lstm.conditional_product import multiply_if


class TensorSeed(NamedTuple):
    """A seed that is a tensor: the masks depend on its value and on the place, and on nothing that ran before.

    Fields:
      value: integer scalar tensor or variable, such as the global step.
      place: the names of the places that lead to the mask.
    """

    value: Any
    place: str = ""


Seed = Union[int, TensorSeed, None]


class Mask(NamedTuple):
    """The description of a random mask. Each entry is `value` or 0. A number that is uniform on [0, 1) decides.

    Fields:
      shape: int32 tensor or list, the shape of the random part.
      threshold: float32 or float64 scalar.
      value: a scalar of the same dtype.
      keep_below: bool. If true, an entry is `value` if its number is below `threshold`. If false, an entry is `value`
        if its number is not below `threshold`.
      seed: int, `TensorSeed` or None.
      ones: int, the number of rows of ones before the random part, on the first axis.
    """

    shape: Any
    threshold: tf.Tensor
    value: tf.Tensor
    keep_below: bool
    seed: Seed
    ones: int = 0


Drawer = Callable[[Mask], tf.Tensor]

# The argument of `use_drawer`.
_choose_drawer: contextvars.ContextVar[Callable[[], Drawer | None]] = contextvars.ContextVar(
    "choose_drawer", default=lambda: None
)


@contextlib.contextmanager
def use_drawer(choose_drawer: Callable[[], Drawer | None]) -> Iterator[None]:
    """Returns a context in which other ops than TensorFlow's can draw masks.

    Args:
      choose_drawer: function without arguments, which is called for each mask. It returns a function from a `Mask` to
        a tensor, or None for TensorFlow's ops.
    """
    token = _choose_drawer.set(choose_drawer)
    try:
        yield
    finally:
        _choose_drawer.reset(token)


def _drawer(dtype: tf.DType) -> Drawer | None:
    """Returns the function that draws masks of a dtype, or None for TensorFlow's ops."""
    return _choose_drawer.get()() if dtype in (tf.float32, tf.float64) else None


def seed_at(place: str, seed: Seed) -> Seed:
    """Returns the seed of the op at a place, such as "state_1". It differs from place to place. None stays None."""
    if seed is None:
        return None
    if isinstance(seed, TensorSeed):
        return seed._replace(place=f"{seed.place}/{place}")
    return _hash(f"{seed}{place}")


def _hash(text: str) -> int:
    return int(hashlib.md5(text.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def _uniform(shape: tf.Tensor, seed: Seed, dtype: tf.DType) -> tf.Tensor:
    """Returns random numbers on [0, 1). With an int, they also depend on how often the session has drawn some."""
    if not isinstance(seed, TensorSeed):
        return tf.random_uniform(shape, seed=seed, dtype=dtype)
    return tf.random.stateless_uniform(shape, seed_pair(seed), dtype=dtype)


def seed_pair(seed: TensorSeed) -> tf.Tensor:
    """Returns the int64 [2] that stateless ops take as their seed."""
    return tf.stack([tf.constant(_hash(seed.place), tf.int64), tf.cast(seed.value, tf.int64)])


def drop_in_each_step(series: tf.Tensor, keep_prob: Any, seed: Seed) -> tf.Tensor:
    """Returns `series` [T, B, N] after dropout with a new mask for each step and sequence.

    Args:
      series: [T, B, N].
      keep_prob: float or scalar tensor. A tensor that is 1 when the graph runs leaves `series` exactly as it is, and
        costs next to nothing: a single number is drawn, which is kept.
      seed: int, the op's seed; `TensorSeed`; None for other masks in every session.
    """
    shape = tf.shape(series)
    # XLA may compile what is inside functions and loops, and it has no sizes that depend on values.
    if not tf.is_tensor(keep_prob) or inside_function_or_control_flow():
        return _multiply(series, draw(shape, keep_prob, seed, series.dtype))
    keep_prob.shape.assert_has_rank(0)
    shape = tf.where(tf.fill([3], keep_prob < 1), shape, tf.ones_like(shape))
    mask = draw(shape, keep_prob, seed, series.dtype)
    if not _drawer(series.dtype):  # Converters of graphs that have TensorFlow's ops only know plain products.
        return _multiply(series, mask)
    return multiply_if(tf.not_equal(keep_prob, tf.ones([], keep_prob.dtype)), series, mask)


def draw(shape: tf.Tensor, keep_prob: Any, seed: Seed, dtype: tf.DType, ones: int = 0) -> tf.Tensor:
    """Returns a mask of a shape after `ones` rows of ones on the first axis; see `drop_in_each_step`.

    Raises:
      ValueError: `keep_prob` is the number 0, which TensorFlow's dropout refuses, too.
    """
    if not tf.is_tensor(keep_prob) and keep_prob <= 0:
        checks.fail("DropoutWrapper", "keep probabilities above 0", keep_prob)
    keep_prob, drawer = _as_tensor(keep_prob, noise_dtype(dtype)), _drawer(dtype)
    if drawer:
        return drawer(Mask(shape, 1 - keep_prob, 1 / keep_prob, False, seed, ones))
    noise = _uniform(shape, seed, noise_dtype(dtype))
    mask = tf.cast(noise >= 1 - keep_prob, dtype) * tf.cast(1 / keep_prob, dtype)
    return after_ones(mask, ones)


def after_ones(mask: tf.Tensor, rows: int = 1) -> tf.Tensor:
    """Returns a mask with more rows: on the first axis, `rows` rows of ones stand before the mask."""
    if rows == 0:
        return mask
    shape = tf.concat([[rows], tf.shape(mask)[1:]], axis=0)
    return tf.concat([tf.ones(shape, mask.dtype), mask], axis=0)


def noise_dtype(dtype: tf.DType) -> tf.DType:
    """The dtype of random numbers for masks of a dtype. Half precision has too few numbers for small rates."""
    return tf.float32 if dtype.size < 4 else dtype


def drop_in_all_steps(series: tf.Tensor, keep_prob: Any, noise: tf.Tensor) -> tf.Tensor:
    """Returns `series` [T, B, N] after dropout with one mask for all steps and sequences.

    Args:
      series: [T, B, N].
      keep_prob: float or scalar tensor.
      noise: [1, N], uniform on [0, 1). As in TensorFlow 1.15, an entry is kept if keep_prob + noise is at least 1.
    """
    return _multiply(series, mask_for_all_steps(keep_prob, noise))


def mask_for_all_steps(keep_prob: Any, noise: tf.Tensor) -> tf.Tensor:
    """Returns the mask [1, N] of `drop_in_all_steps`."""
    keep_prob = _as_tensor(keep_prob, noise.dtype)
    return tf.floor(keep_prob + noise) / keep_prob


def zoneout(shape: tf.Tensor, rate: Any, seed: Seed, dtype: tf.DType) -> tf.Tensor:
    """Returns noise of a shape, 1 with the probability `rate`, a float or scalar tensor, and 0 otherwise."""
    drawn, drawer = noise_dtype(dtype), _drawer(dtype)
    if drawer:
        return drawer(Mask(shape, _as_tensor(rate, drawn), tf.ones([], drawn), True, seed))
    return tf.cast(_uniform(shape, seed, drawn) < _as_tensor(rate, drawn), dtype)


def zoneout_if(training: tf.Tensor, shape: tf.Tensor, rate: Any, seed: Seed, dtype: tf.DType) -> tf.Tensor:
    """Returns the noise of `zoneout` if `training`, a bool scalar tensor, is true; otherwise `rate` in each entry."""
    drawer = _drawer(dtype)
    if drawer:
        rate, one = _as_tensor(rate, dtype), tf.ones([], dtype)
        # A threshold of 1 makes each entry `value`, because all numbers are below 1.
        return drawer(Mask(shape, tf.where(training, rate, one), tf.where(training, one, rate), True, seed))
    noise, is_training = zoneout(shape, rate, seed, dtype), tf.cast(training, dtype)
    return is_training * noise + (1 - is_training) * (tf.cast(rate, dtype) if tf.is_tensor(rate) else rate)


def _as_tensor(value: Any, dtype: tf.DType) -> tf.Tensor:
    """Returns a number or a tensor in a dtype. tf.cast would round numbers to float32."""
    return tf.cast(value, dtype) if tf.is_tensor(value) else tf.constant(value, dtype)


def _multiply(series: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    product = series * mask
    product.set_shape(series.shape)
    return product
