"""Clusters on this machine: in threads of this process, and in processes of their own."""

import contextlib
import os
import socket
import subprocess
import sys
import threading

from support.training.tiny_runs import SCRIPTS, command_line, run


def free_addresses(count):
    """Addresses of ports that no process uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]


def jobs(workers, servers=1, **flags):
    """Returns the flags of each process of a cluster, those of the chief last."""
    addresses = free_addresses(servers + workers)
    hosts = {"ps_hosts": ",".join(addresses[:servers]), "worker_hosts": ",".join(addresses[servers:])}
    tasks = [("ps", k) for k in range(servers)] + [("worker", k) for k in reversed(range(workers))]
    return [dict(flags, job_name=job, task_index=str(index), **hosts) for job, index in tasks]


def run_in_threads(arguments, workers, servers=1, **changes):
    """Runs a cluster in this process, the chief in this thread; returns what the chief returns."""
    *others, chief = jobs(workers, servers, **changes)
    errors = []

    def work(flags):
        try:
            run(arguments, **flags)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=[flags], daemon=True) for flags in others]
    for thread in threads:
        thread.start()
    final = run(arguments, **chief)
    for thread in threads:
        thread.join(60)
    assert not errors and not any(thread.is_alive() for thread in threads)
    return final


def start(arguments, flags, directory, prelude="", environment=()):
    """Starts a process of a cluster; its output is in files in `directory`, which are appended to.

    Args:
      arguments: flag -> value of all processes.
      flags: flag -> value of this process.
      directory: an existing directory.
      prelude: Python that runs before the command.
      environment: further variables.

    Returns:
      `subprocess.Popen`.
    """
    program = f"import sys, runpy\n{prelude}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    program = f"import sys\nsys.argv = sys.argv[1:]\n{program}"
    name = os.path.join(str(directory), f"{flags.get('job_name')}-{flags.get('task_index')}")
    path = os.pathsep.join([SCRIPTS, os.path.dirname(SCRIPTS)])
    with open(name + ".out", "ab") as out, open(name + ".err", "ab") as err:
        return subprocess.Popen(
            [sys.executable, "-c", program, os.path.join(SCRIPTS, "train.py"), *command_line({**arguments, **flags})],
            stdout=out, stderr=err, env=dict(os.environ, PYTHONPATH=path, **dict(environment)),
        )  # fmt: skip


def text_of(directory, name):
    """What a process has written so far; `name` is for example "worker-1.err"."""
    with open(os.path.join(str(directory), name), encoding="utf-8", errors="replace") as file:
        return file.read()
