"""make_callable: results in the structure of the fetches, as `session.run` returns them."""

import collections
import sys

import numpy as np
import pytest

from stacked_lstm import LSTMState, make_callable
from stacked_lstm.compat import FetchHandler, tf
from support.references.structures import assert_equal

Pair = collections.namedtuple("Pair", "first second")

FETCHES = {
    "tensor": lambda a, b: a,
    "name": lambda a, b: a.name,
    "scalar": lambda a, b: a[0, 0],
    "operation": lambda a, b: b.op,
    "list": lambda a, b: [a, b.op, a],
    "nested": lambda a, b: (LSTMState(a, b), [{"z": b, "a": (a,)}, Pair(b.op, a)]),
    "sparse": lambda a, b: [tf.sparse.from_dense(a), tf.IndexedSlices(a, tf.constant([1, 0, 0]))],
    "variable": lambda a, b: [tf.global_variables()[0], a],
    "ordered": lambda a, b: collections.OrderedDict([("z", b), ("a", [a])]),
    "another dictionary": lambda a, b: collections.defaultdict(list, z=b, a=a),
    "empty": lambda a, b: [[], (), {}, a],
    "own construction": lambda a, b: Swapped(a, b),
    "a sum": lambda a, b: [Computed(lambda values: values[0] + values[1], [a, b]), a],
    "a choice": lambda a, b: Computed(lambda values: values[1] if values[0] else None, [a[0, 1] > 0, b]),
    "a comparison": lambda a, b: Computed(
        lambda values: values[1] if values[0] != 0 else None, [tf.sign(a[0, 1]) - 1, b]
    ),
    "a kind": lambda a, b: Computed(lambda values: values[1] if isinstance(values[0], np.ndarray) else None, [a, b]),
    "a list of names": lambda a, b: Computed(lambda values: ["first", *values], [a, b]),
}


class Swapped(collections.namedtuple("Swapped", "first second")):
    """A namedtuple whose constructor does not only store its arguments."""

    def __new__(cls, first, second):
        return super().__new__(cls, second, first)


class Computed:
    """A fetch whose result is a function of tensors. TensorFlow has no public name for the registration."""

    def __init__(self, function, tensors):
        self.function, self.tensors = function, tensors


sys.modules[tf.Session.__module__].register_session_run_conversion_functions(
    Computed, lambda fetch: (fetch.tensors, fetch.function)
)


@pytest.mark.parametrize("kind", FETCHES)
def test_structures_of_fetches(kind, plain_session):
    x = tf.placeholder(tf.float32, [None, 2])
    tf.get_variable("v", initializer=3.0, use_resource=kind != "variable")
    fetches = FETCHES[kind](x * 2, x + 1)
    plain_session.run(tf.global_variables_initializer())
    values = np.random.RandomState(0).standard_normal([3, 2]).astype(np.float32)
    call = make_callable(plain_session, fetches, [x])
    for array in (values, values[::-1], np.asfortranarray(values)):
        assert_equal(call(array), plain_session.run(fetches, {x: array}))


@pytest.mark.parametrize("kind", ["tensor", "name", "scalar", "operation", "list", "nested", "ordered", "empty"])
def test_plain_structures_are_built_without_tensorflow(kind, plain_session, monkeypatch):
    """That saves time."""
    x = tf.placeholder(tf.float32, [None, 2])
    fetches = FETCHES[kind](x * 2, x + 1)
    call, expected = make_callable(plain_session, fetches, [x]), plain_session.run(fetches, {x: [[1, 2]]})
    monkeypatch.setattr(FetchHandler, "build_results", None)
    assert_equal(call([[1, 2]]), expected)


def test_handles(plain_session):
    """Results that stay in the session, until the program deletes their handles."""
    x = tf.placeholder(tf.float32, [2])
    call = make_callable(plain_session, [tf.get_session_handle(x * 2), x + 1], [x])
    for value in ([1, 2], [3, 4]):
        handle, larger = call(value)
        np.testing.assert_array_equal(handle.eval(), 2 * (larger - 1))
