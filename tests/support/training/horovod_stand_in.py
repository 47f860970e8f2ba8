"""A stand-in for the module `horovod.tensorflow`: its ranks are threads of this process.

It has what `training.distributed.ranks` uses, with Horovod's arguments. As in Horovod, each rank gives a tensor, all
wait, and each gets the result. Gradients of some rows are put together, and not added.
"""

import functools
import sys
import threading
import types

import numpy as np

from stacked_lstm.compat import tf
from support.training.tiny_runs import run
from training.distributed import ranks

WAIT_SECONDS = 60


class Horovod(types.ModuleType):
    """The module; each thread has set its rank with `be`."""

    def __init__(self, size):
        super().__init__("horovod.tensorflow")
        self._size, self._local = size, threading.local()
        self._given, self._barrier = [None] * size, threading.Barrier(size)
        self.is_initialized = set()
        self.BroadcastGlobalVariablesHook = functools.partial(_Hook, self)
        self.DistributedOptimizer = functools.partial(_Optimizer, self)

    def be(self, rank):
        self._local.rank = rank

    def init(self):
        self.is_initialized.add(self.rank())

    def rank(self):
        return self._local.rank

    local_rank = rank

    def size(self):
        return self._size

    def exchange(self, tensors, combine):
        """For each tensor, what `combine` makes of the arrays of all ranks."""
        rank = self.rank()

        def wait(*arrays):
            self._given[rank] = arrays
            self._barrier.wait(WAIT_SECONDS)
            results = [combine(k, [arrays[k] for arrays in self._given]) for k in range(len(arrays))]
            self._barrier.wait(WAIT_SECONDS)
            return results

        return tf.py_func(wait, tensors, [tensor.dtype for tensor in tensors])

    def broadcast(self, tensor, root_rank, name=None):
        (result,) = self.exchange([tensor], lambda _, arrays: arrays[root_rank])
        return tf.reshape(result, tensor.shape, name=name)


class _Hook(tf.train.SessionRunHook):
    def __init__(self, horovod, root_rank):
        self._horovod, self._root_rank, self._graph = horovod, root_rank, None

    def begin(self):
        if self._graph is not tf.get_default_graph():
            self._graph, variables = tf.get_default_graph(), tf.global_variables()
            values = self._horovod.exchange(variables, lambda _, arrays: arrays[self._root_rank])
            pairs = zip(variables, values)
            self._op = tf.group(*[tf.assign(v, tf.reshape(value, v.shape)) for v, value in pairs])

    def after_create_session(self, session, coord):
        session.run(self._op)


class _Optimizer(tf.train.Optimizer):
    def __init__(self, horovod, optimizer):
        super().__init__(name="Distributed", use_locking=False)
        self._horovod, self._optimizer = horovod, optimizer

    def compute_gradients(self, *arguments, **named):
        pairs = self._optimizer.compute_gradients(*arguments, **named)
        if self._horovod.size() == 1:
            return pairs
        tensors, kinds = [], []
        for gradient, _ in pairs:
            is_sparse = isinstance(gradient, tf.IndexedSlices)
            tensors += [gradient.values, gradient.indices] if is_sparse else [gradient]
            kinds += ["values", "rows"] if is_sparse else ["dense"]
        size = self._horovod.size()
        combine = {
            "dense": lambda arrays: sum(arrays) / np.float32(size),
            "values": lambda arrays: np.concatenate(arrays) / np.float32(size),
            "rows": np.concatenate,
        }
        results = iter(self._horovod.exchange(tensors, lambda k, arrays: combine[kinds[k]](arrays)))
        means = []
        for gradient, variable in pairs:
            if isinstance(gradient, tf.IndexedSlices):
                values, rows = next(results), next(results)
                mean = tf.IndexedSlices(tf.reshape(values, [-1, *variable.shape.as_list()[1:]]), rows)
            else:
                mean = tf.reshape(next(results), variable.shape)
            means.append((mean, variable))
        return means

    def apply_gradients(self, *arguments, **named):
        return self._optimizer.apply_gradients(*arguments, **named)


def install(monkeypatch, size):
    """Makes `import horovod.tensorflow` find a stand-in with so many ranks; returns it."""
    horovod, package = Horovod(size), types.ModuleType("horovod")
    monkeypatch.setitem(sys.modules, "horovod", package)
    monkeypatch.setitem(sys.modules, ranks.LIBRARY, horovod)
    # A waiting rank occupies a thread of its session, which others must not need.
    config = tf.ConfigProto(use_per_session_threads=True, inter_op_parallelism_threads=2)
    monkeypatch.setattr(ranks, "session_config", lambda horovod: config)
    return horovod


def run_ranks(horovod, arguments, **changes):
    """Runs `train.py --horovod` with all ranks, rank 0 in this thread; returns what that returns."""
    errors = []

    def work(rank):
        horovod.be(rank)
        try:
            run(arguments, horovod="true", **changes)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=[rank], daemon=True) for rank in range(1, horovod.size())]
    for thread in threads:
        thread.start()
    horovod.be(0)
    try:
        return run(arguments, horovod="true", **changes)
    finally:
        for thread in threads:
            thread.join(WAIT_SECONDS)
        assert not errors and not any(thread.is_alive() for thread in threads)
