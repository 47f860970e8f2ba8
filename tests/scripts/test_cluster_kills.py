"""Clusters of processes: killed processes rejoin by the same command, and the others say that they wait."""

import os
import random
import re
import signal
import time

import pytest

from support.suite.sets import EXHAUSTIVE
from support.training.clusters import jobs, start, text_of
from support.training.tiny_runs import LEARNING, rows_of, title_arguments_in
from training.run_files import checkpoints

pytestmark = EXHAUSTIVE

ENDS = (".out", ".err")
KILLS = int(os.environ.get("CLUSTER_KILLS", "1"))  # Of each process; a long test has more.
# Frequent checkpoints, early lines, and steps that take long enough to be killed in.
PRELUDE = """
import time
from training import trainer, watch
trainer.SAVE_SECONDS, watch.PATIENCE = 0.5, 1.0
from training import worker_steps
step = worker_steps.WorkerSteps._train
def slow_step(self, run):
    time.sleep(0.05)
    return step(self, run)
worker_steps.WorkerSteps._train = slow_step
"""


class Cluster:
    """Processes of a cluster, which a test kills and starts again."""

    def __init__(self, arguments, directory, workers, servers=1, **flags):
        self.arguments, self.directory, self.processes = arguments, directory, {}
        self.flags = {f"{each['job_name']}-{each['task_index']}": each for each in jobs(workers, servers, **flags)}
        for name in self.flags:
            self.start(name)

    def start(self, name):
        self.processes[name] = start(self.arguments, self.flags[name], self.directory, PRELUDE)

    def kill(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def epochs(self):
        """The number of epochs that the chief has noted."""
        try:
            return len(rows_of(self.arguments["train_dir"]))
        except (OSError, ValueError):
            return 0

    def wait(self, condition, seconds=300):
        """Waits until a condition holds; fails with all output if it does not, or if a process has failed."""
        end = time.monotonic() + seconds
        while not condition():
            failed = [name for name, process in self.processes.items() if process.poll()]
            if failed or time.monotonic() > end:
                texts = [f"{name}:\n{text_of(self.directory, name + end)}" for name in self.flags for end in ENDS]
                pytest.fail(f"failed: {failed}\n" + "\n".join(texts))
            time.sleep(0.05)

    def finish(self, seconds):
        self.wait(lambda: all(process.poll() == 0 for process in self.processes.values()), seconds)

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def arguments(tmp_path):
    return dict(title_arguments_in(tmp_path), **LEARNING)


@pytest.mark.parametrize("synchronous", ["false", "true"])
def test_killed_processes_rejoin(arguments, tmp_path, synchronous):
    """No step before the last checkpoint is lost, the others say who is missing, and the end is as good as ever."""
    moments = random.Random(synchronous)
    names = ["ps-0", "worker-1", "worker-0"] * KILLS
    epochs = 12 * len(names) + 8
    cluster = Cluster(dict(arguments, epochs=str(epochs), patience="10000"), tmp_path, 2, sync_replicas=synchronous)
    try:
        for name in names:
            before = cluster.epochs()
            cluster.wait(lambda before=before: cluster.epochs() >= before + 2)
            time.sleep(moments.uniform(0, 1))
            cluster.kill(name)
            # A complete checkpoint does not count before the file `checkpoint` names it: it may not be on the disk.
            step = step_of(checkpoints.candidates(arguments["train_dir"])[0])
            if name == "ps-0" or synchronous == "true":  # Otherwise nobody waits.
                missing = rf"no answer from .*{name.replace('-', ' ')}"
                for other in {"worker-0", "worker-1"} - {name}:
                    cluster.wait(lambda other=other: re.search(missing, text_of(tmp_path, f"{other}.err")), 30)
            cluster.start(name)
            if name == "worker-0":
                line = r"going on from .*model.ckpt-(\d+), "
                starts = len(re.findall(line, text_of(tmp_path, "worker-0.out")))
                cluster.wait(lambda starts=starts: len(re.findall(line, text_of(tmp_path, "worker-0.out"))) > starts)
                assert int(re.findall(line, text_of(tmp_path, "worker-0.out"))[-1]) >= step
        cluster.finish(100 + 2 * epochs)
    finally:
        cluster.close()
    rows = rows_of(arguments["train_dir"])
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))
    assert rows[-1]["train_accuracy"] == 1
    assert [row["global_step"] for row in rows] == sorted(row["global_step"] for row in rows)


def step_of(path):
    return int(path.rpartition("-")[2])
