"""The threads of the native ops, if the ops run in the thread that calls the session."""

import json
import os
import threading

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, make_callable
from stacked_lstm.compat import tf
from support import programs
from support.native_ops import NEEDS_NATIVE

pytestmark = NEEDS_NATIVE

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1

# Prints how many threads the process has in addition after calls whose ops run in the session's threads, and after
# calls whose ops run in the calling thread. Then prints the processor time, in seconds, of all threads during calls and
# during a second without calls.
PROGRAM = """
import os, sys, time
import numpy as np
import tensorflow.compat.v1 as tf
import stacked_lstm
tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [40, 30, 64])
outputs, _ = stacked_lstm.StackedLSTM([128], engine="native")(x)
session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=int(sys.argv[1])))
session.run(tf.global_variables_initializer())
array = np.ones([40, 30, 64], "f")
numbers = []
for in_calling_thread in (False, True):
    call = stacked_lstm.make_callable(session, outputs, [x], in_calling_thread=in_calling_thread)
    if not numbers:
        call(array)
        before = len(os.listdir("/proc/self/task"))
    for _ in range(20):
        call(array)
    numbers.append(len(os.listdir("/proc/self/task")) - before)
begin = time.process_time()
for _ in range(100):
    call(array)
middle = time.process_time()
time.sleep(1)
print(numbers + [middle - begin, time.process_time() - middle])
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task") or CORES < 2, reason="needs Linux and two cores")
@pytest.mark.parametrize("threads", [1, 2, CORES + 1])
def test_helpers(threads):
    """They exist if the ops run in the calling thread and each thread has a core, and soon sleep without calls."""
    printed = programs.check(["-c", PROGRAM, str(threads)]).decode()
    in_session_threads, in_calling_thread, working, waiting = json.loads(printed)
    assert in_session_threads == 0
    assert in_calling_thread == (1 if threads == 2 else 0)
    assert working > 10 * waiting


@pytest.mark.parametrize("options", [{}, {"layer_norm": True}])
def test_results_are_those_of_the_sessions_threads(options, session):
    """The same bits, in the forward pass and the backward pass, also if several threads call at the same time."""
    x = tf.placeholder(tf.float32, [None, None, 20])
    lstm = StackedLSTM([72, 40], engine="native", seed=3, **options)
    outputs, _ = lstm(x)
    gradients = tf.gradients(tf.reduce_sum(outputs * outputs), [x, *lstm.trainable_variables])
    session.run(tf.global_variables_initializer())
    fetches, random = [outputs, gradients], np.random.RandomState(5)
    arrays = [random.standard_normal([batch, 9, 20]).astype("f") for batch in (1, 5, 33, 70)]
    in_session_threads = make_callable(session, fetches, [x])
    expected = [in_session_threads(array) for array in arrays]
    call = make_callable(session, fetches, [x], in_calling_thread=True)
    results = [[] for _ in arrays]

    def work(k):
        results[k] = [call(arrays[k]) for _ in range(20)]

    threads = [threading.Thread(target=work, args=[k]) for k in range(len(arrays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected_result, repeated in zip(expected, results):
        assert len(repeated) == 20
        for result in repeated:
            for pair in zip(tf.nest.flatten(result), tf.nest.flatten(expected_result)):
                np.testing.assert_array_equal(*pair)
