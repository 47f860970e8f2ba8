"""The threads of the native ops, if the ops run in the thread that calls the session."""

import json
import os
import threading

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, make_callable
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.processes import programs

pytestmark = NEEDS_NATIVE

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1

# Calls whose ops run in the session's threads, then in the calling thread, then in the session's threads again. Prints
#   the numbers of threads that were added by the second and the third call of the first kind, and by the second kind;
#   whether all results are the same bits;
#   the processor time, in seconds, of the first thread that the second kind added;
#   the processor time of all threads during calls, and during a second without calls.
PROGRAM = """
import json, os, sys, time
import numpy as np
import tensorflow.compat.v1 as tf
import stacked_lstm
tf.disable_v2_behavior()
x = tf.placeholder(tf.float32, [40, 30, 64])
outputs, _ = stacked_lstm.StackedLSTM([128], engine="native")(x)
session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=int(sys.argv[1])))
session.run(tf.global_variables_initializer())
in_session_threads = stacked_lstm.make_callable(session, outputs, [x])
in_calling_thread = stacked_lstm.make_callable(session, outputs, [x], in_calling_thread=True)
array = np.random.RandomState(0).standard_normal([40, 30, 64])
results, threads = [in_session_threads(array)], [set(os.listdir("/proc/self/task"))]
for call in (in_session_threads, in_calling_thread, in_session_threads):
    results += [call(array) for _ in range(50)]
    threads.append(set(os.listdir("/proc/self/task")))
added = [sorted(after - before) for before, after in zip(threads, threads[1:])]
seconds = 0
for _ in range(100 * len(added[1])):  # Beside other processes, a thread that could help may have no core at first.
    with open("/proc/self/task/" + added[1][0] + "/schedstat") as file:
        seconds = int(file.read().split()[0]) / 1e9
    if seconds > 0.001:
        break
    results += [in_calling_thread(array) for _ in range(50)]
begin = time.process_time()
for _ in range(100):
    in_calling_thread(array)
middle = time.process_time()
time.sleep(1)
times = [seconds, middle - begin, time.process_time() - middle]
same = all(np.array_equal(result, results[0]) for result in results)
print(json.dumps([[len(names) for names in added], same, times]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat") or CORES < 2, reason="needs Linux and two cores")
@pytest.mark.parametrize("threads", [1, 2, CORES + 1])
def test_helpers(threads):
    """They work if the ops run in the calling thread and each thread has a core, and soon sleep without calls."""
    printed = programs.check(["-c", PROGRAM, str(threads)]).decode()
    (first, second, third), same, (helping, working, waiting) = json.loads(printed)
    assert (first, second, third) == (0, 1 if threads == 2 else 0, 0) and same
    assert (helping > 0.001) == (threads == 2)
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
