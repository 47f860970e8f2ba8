"""The mode "cluster": the cost of a training step in a cluster of processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import threading
import time
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

import numpy as np
from absl import flags

from benchmarking.records.record import print_header, print_rows
from stacked_lstm.commands import command

TASKS = ("titles", "forecast")
CLUSTERS = ((1, False), (2, False), (4, False), (2, True))  # Number of workers, whether they share each batch.
STEPS = 100  # Of each worker, in each round.
START_SECONDS = 600.0  # The first step needs the libraries, the data and the variables.

# Key in --json, heading and format of each column.
SIZE_COLUMNS = (
    ("task", "task", ""),
    ("dense", "D", ".0f"),
    ("rows", "R", ".0f"),
    ("row_size", "E", ".0f"),
    ("kilobytes", "8 (D + R E) kB", ".0f"),
    ("variables", "variables", ".0f"),
    ("arrays_ms", "arrays of a batch ms", ".3f"),
)
COLUMNS = (
    ("task", "task", ""),
    ("workers", "workers", ".0f"),
    ("kind", "kind", ""),
    ("per_second", "steps/s", ".0f"),
    ("fastest_ms", "t: fastest step ms", ".2f"),
    ("worker_ms", "CPU ms of the worker", ".2f"),
    ("server_ms", "u: CPU ms of the ps", ".2f"),
    ("kilobytes", "kB", ".0f"),
)


class Counters(NamedTuple):
    """The values of three counters at one moment.

    Fields:
      seconds: float, the time of a monotonic clock.
      server: float, the processor time of the parameter server in seconds.
      bytes: int, the bytes that all processes of the machine have received on the loopback interface.
    """

    seconds: float
    server: float
    bytes: int

    @classmethod
    def read(cls, server: int) -> Counters:
        """Reads the counters of Linux. `server` is the process number of the parameter server."""
        with open(f"/proc/{server}/stat", encoding="ascii") as file:
            ticks = sum(int(field) for field in file.read().rpartition(")")[2].split()[11:13])
        with open("/proc/net/dev", encoding="ascii") as file:
            (received,) = [line.split()[1] for line in file if line.split()[0] == "lo:"]
        return cls(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), int(received))


def run(rounds: int, machine: str) -> list[dict[str, Any]]:
    """Measures all tasks and clusters, and prints two tables; returns the rows of both.

    Raises:
      ValueError, OSError, ImportError: the data are missing, or a process of the cluster has failed.
    """
    print(machine)
    command.graph_mode()
    print_header([heading for _, heading, _ in SIZE_COLUMNS])
    rows = [sizes(task) for task in TASKS]
    print_rows(rows, SIZE_COLUMNS)
    print_header([heading for _, heading, _ in COLUMNS])
    for task in TASKS:
        for workers, is_synchronous in CLUSTERS:
            row = measure(_command_line(task, is_synchronous), workers, rounds)
            kind = "synchronous" if is_synchronous else "asynchronous"
            rows.append(dict(row, task=task, workers=workers, kind=kind))
            print_rows(rows[-1:], COLUMNS)
    return rows


def _command_line(task: str, is_synchronous: bool = False) -> list[str]:
    return [f"--task={task}", f"--sync_replicas={str(is_synchronous).lower()}"]


def _settings(arguments: Sequence[str]) -> dict[str, Any]:
    from training import settings

    values = flags.FlagValues()
    settings.define_flags(values)
    values(["train.py", *arguments])
    return settings.read_flags(values)


def sizes(task: str) -> dict[str, Any]:
    """Returns the sizes of a task's network and the time for the arrays of a batch, with the keys of `SIZE_COLUMNS`."""
    from stacked_lstm.compat import tf
    from tasks import TASKS, titles
    from tasks.examples import epoch_batches
    from training import experiment
    from training.distributed import replicas

    settings = _settings(_command_line(task))
    network_task = TASKS[task](settings)
    experiment.read_data(network_task)
    with tf.Graph().as_default(), tf.Session() as session:
        copies = replicas.build(network_task, experiment.recurrent_layers(settings), settings)
        counts = {variable.op.name: variable.shape.num_elements() for variable in tf.trainable_variables()}
        arrays, times = tf.group(*copies.pipeline.parts[0].batch.values()), []
        for number in range(copies.pipeline.steps_per_epoch):
            copies.pipeline.go_to(session.run, number)
            begin = time.perf_counter()
            session.run(arrays)
            times.append(time.perf_counter() - begin)
    examples, distinct = network_task.train, []
    for batch in epoch_batches(examples, settings["batch_size"], settings["seed"], 0):
        words = examples.feed(batch)["sequences"] if titles.EMBEDDING in counts else []
        distinct.append(len(np.unique(words)))
    dense = sum(count for name, count in counts.items() if name != titles.EMBEDDING)
    rows, row_size = np.mean(distinct), settings["embedding_size"] if titles.EMBEDDING in counts else 0
    kilobytes = 8 * (dense + float(rows) * row_size) / 1e3
    return {
        "task": task, "dense": dense, "rows": float(rows), "row_size": row_size, "kilobytes": kilobytes,
        "variables": len(counts), "arrays_ms": 1e3 * float(np.median(times))}  # fmt: skip


def measure(arguments: Sequence[str], workers: int, rounds: int) -> dict[str, float]:
    """Runs a cluster with one parameter server. Returns the best value of each number over the rounds; see `COLUMNS`.

    Args:
      arguments: the flags of train.py.
      workers: number of workers.
      rounds: number of rounds. Each worker makes `STEPS` steps in a round. One more round, the first, does not count.

    Raises:
      ValueError: a process of the cluster has failed.
    """
    is_synchronous = _settings(arguments)["sync_replicas"]
    steps = STEPS * (1 if is_synchronous else workers)
    results = []
    with _processes(arguments, workers, rounds) as (server, barrier, reports):
        for _ in range(rounds + 1):
            try:
                barrier.wait(START_SECONDS)
                before = Counters.read(server)
                barrier.wait(START_SECONDS)
                barrier.wait(START_SECONDS)
            except threading.BrokenBarrierError:
                raise ValueError("--modes=cluster: a process of the cluster has failed") from None
            used = [after - start for after, start in zip(Counters.read(server), before)]
            times = [reports.get() for _ in range(workers)]
            results.append([-steps / used[0], *np.min(times, axis=0), 1e3 * used[1] / steps, used[2] / steps / 1e3])
    best = np.min(results[1:], axis=0)
    best[0] *= -1
    return dict(zip(("per_second", "fastest_ms", "worker_ms", "server_ms", "kilobytes"), best.tolist()))


@contextlib.contextmanager
def _processes(arguments: Sequence[str], workers: int, rounds: int) -> Iterator[tuple[int, Any, Any]]:
    """Starts a cluster; yields the parameter server's process number, a barrier, and a queue of the workers' times."""
    context = multiprocessing.get_context("spawn")
    barrier, reports = context.Barrier(workers + 1), context.SimpleQueue()
    server, *worker_addresses = _free_addresses(workers + 1)
    hosts = [f"--ps_hosts={server}", f"--worker_hosts={','.join(worker_addresses)}"]
    processes = []
    for job, index in [("ps", 0), *[("worker", k) for k in range(workers)]]:
        place = [*arguments, *hosts, f"--job_name={job}", f"--task_index={index}"]
        processes.append(context.Process(target=_work, args=(place, rounds, barrier, reports), daemon=True))
    try:
        for process in processes:
            process.start()
        yield processes[0].pid, barrier, reports
    finally:
        for process in processes:
            process.kill()
            process.join()


def _free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free_socket in sockets:
            free_socket.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{free_socket.getsockname()[1]}" for free_socket in sockets]


def _work(arguments: Sequence[str], rounds: int, barrier: Any, reports: Any) -> None:
    """Does the work of one process of the cluster, until it is killed."""
    command.graph_mode()
    from training.distributed import distributed, servers
    from training.distributed.cluster import Cluster

    settings = _settings(arguments)
    cluster = Cluster.read(settings)
    if cluster.job == "ps":
        with contextlib.redirect_stdout(None):
            servers.serve(cluster)
        return
    try:
        with distributed.local_engine(settings):
            _train(settings, cluster, rounds, barrier, reports)
    except BaseException:
        barrier.abort()  # Without this, the other processes would wait for this one.
        raise


def _train(settings: Mapping[str, Any], cluster: Any, rounds: int, barrier: Any, reports: Any) -> None:
    from stacked_lstm.compat import tf
    from tasks import TASKS
    from training import experiment
    from training.distributed import distributed, replicas, servers
    from training.distributed.watch import Watch
    from training.distributed.worker_steps import WorkerSteps
    from training.pipeline import Split

    server = servers.start(cluster)
    task = TASKS[settings["task"]](settings)
    experiment.read_data(task)
    with tf.Graph().as_default(), tf.device(distributed.placement(cluster)):
        split = Split.process(cluster.index, len(cluster.worker_hosts), 1, cluster.is_synchronous)
        copies = replicas.build(task, experiment.recurrent_layers(settings), settings, split)
        rates = settings["learning_rate"], settings.get("weight_decay", 0)
        steps = WorkerSteps(cluster, copies, settings["epochs"] * copies.pipeline.steps_per_epoch, *rates)
        steps.start(server.target, Watch("", {}))
        for _ in range(rounds + 1):
            barrier.wait(START_SECONDS)  # No process computes.
            barrier.wait(START_SECONDS)  # The counters have been read.
            wall, processor = [time.perf_counter()], time.process_time()
            for _ in range(STEPS):
                steps.train()
                wall.append(time.perf_counter())
            reports.put((1e3 * np.min(np.diff(wall)), 1e3 * (time.process_time() - processor) / STEPS))
            barrier.wait(START_SECONDS)
        barrier.wait()  # Until `_processes` kills this process.
