"""TensorFlow's server of each process in a cluster, and how all processes learn that the training has ended."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

from shared import file_errors
from stacked_lstm.compat import tf
from training.distributed.cluster import Cluster

POLL_SECONDS = 0.5
STRAGGLER_SECONDS = 30  # How long a parameter server waits for the other workers after the chief has ended.


def start(cluster: Cluster, config: Any = None) -> Any:
    """Starts the `tf.train.Server` of this process.

    Args:
      cluster: the processes.
      config: `tf.ConfigProto`, which has the devices of this process; None for TensorFlow's.

    Raises:
      ValueError: the port is in use, or this process cannot open it.
    """
    try:
        hosts = tf.train.ClusterSpec(cluster.hosts())
        return tf.train.Server(hosts, job_name=cluster.job, task_index=cluster.index, config=config, start=True)
    except tf.errors.OpError as error:
        port = int(cluster.address.rpartition(":")[2])
        problem = _port_error(port) or error
        is_in_use = getattr(problem, "errno", None) == errno.EADDRINUSE
        user = ", which another process uses" if is_in_use else ""
        raise ValueError(
            f"--{cluster.job}_hosts: expected a port that {cluster.job} {cluster.index} can open, got {port}{user} "
            f"({file_errors.reason(problem)})"
        ) from None


def _port_error(port: int) -> OSError | None:
    """The system's error if this process asks for a port; TensorFlow only says that it could not start its server."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As TensorFlow: closed connections do not count.
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def session_config(cluster: Cluster) -> Any:
    """A session that talks to this process and to the parameter servers, so that no worker waits for another one."""
    return tf.ConfigProto(allow_soft_placement=True, device_filters=["/job:ps", _task(cluster)])


def _task(cluster: Cluster) -> str:
    return f"/job:{cluster.job}/task:{cluster.index}"


class Ends:
    """Two queues on each parameter server. Each worker that ends adds an element to one, the chief also to the other.

    Attributes:
      add: op that says that this worker has ended; for the chief, also that the training has ended.
      training_ended: bool [], whether the chief has ended.
    """

    def __init__(self, cluster: Cluster) -> None:
        """Adds the queues' ops to the default graph; takes the cluster and this process' place in it."""
        servers = range(len(cluster.ps_hosts))
        workers, chiefs = ([_queue(job, k) for k in servers] for job in ("worker", "chief"))
        own = workers + chiefs * cluster.is_chief
        self.add = tf.group(*[queue.enqueue(cluster.index) for queue in own])
        self.training_ended = tf.greater(chiefs[0].size(), 0)


def _queue(job: str, server: int) -> Any:
    with tf.device(f"/job:ps/task:{server}"):
        return tf.FIFOQueue(-1, tf.int32, [], shared_name=f"{job}_ends", name=f"{job}_ends_{server}")


def serve(cluster: Cluster) -> None:
    """Holds variables until all workers have ended, at the latest `STRAGGLER_SECONDS` after the chief has ended.

    Raises:
      ValueError: see `start`.
    """
    server, workers = start(cluster), len(cluster.worker_hosts)
    print(f"ps {cluster.index}: serves at {cluster.address} until {workers} workers have ended", flush=True)
    since = None
    with tf.Graph().as_default(), tf.Session(server.target, config=session_config(cluster)) as session:
        sizes = [_queue(job, cluster.index).size() for job in ("worker", "chief")]
        while True:
            ended, chief_ended = session.run(sizes)
            if chief_ended and since is None:
                since = time.monotonic()
            if chief_ended and ended >= workers:
                time.sleep(POLL_SECONDS)  # For the workers to close their sessions.
                return
            if since is not None and time.monotonic() - since > STRAGGLER_SECONDS:
                print(
                    f"ps {cluster.index}: ends, although {workers - ended} of {workers} workers have not ended",
                    flush=True,
                )
                return
            time.sleep(POLL_SECONDS)
