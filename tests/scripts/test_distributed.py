"""scripts/training/distributed/: clusters in threads; they train what one process trains."""

import os
import re
import shutil

import numpy as np
import pytest

from stacked_lstm.compat import tf
from support.engines.native_ops import auto_engine
from support.suite.sets import EXHAUSTIVE, ONCE
from support.training.clusters import run_in_threads
from support.training.tiny_runs import LEARNING, assert_same, rows_of, run, title_arguments_in, weights
from training.distributed import evaluator, worker_steps
from training.run_files import checkpoints, lock

pytestmark = pytest.mark.usefixtures("graph_optimizer")  # Replicas, ranks and clusters have it.

PARTS = ("train", "validation", "test")
SCORES = ["global_step"] + [f"{part}_{name}" for part in PARTS for name in ("loss", "accuracy")]


@pytest.fixture
def arguments(tmp_path):
    # A thread could not change the environment for itself, which "auto" would ask for.
    return dict(title_arguments_in(tmp_path), engine=auto_engine())


@ONCE
def test_one_worker_trains_what_one_process_trains(arguments):
    """Bit for bit, with dropout and weight decay, on two parameter servers, after a resumption in each."""
    changes = {"dropout": "0.5", "weight_decay": "0.1", "balance": "0.4"}
    alone, cluster = (dict(arguments, train_dir=arguments["train_dir"] + name, **changes) for name in ("1", "2"))
    for epochs in ("1", "3"):
        expected = run(alone, epochs=epochs)
        actual = run_in_threads(cluster, 1, 2, epochs=epochs)
    assert_same(weights(cluster["train_dir"]), weights(alone["train_dir"]))
    assert rows_of(cluster["train_dir"]) == rows_of(alone["train_dir"])
    actual, expected = (dict(final, seconds_per_epoch=0) for final in (actual, expected))
    assert actual == expected
    files = [{name for name in os.listdir(each["train_dir"]) if "events" not in name} for each in (alone, cluster)]
    assert files[1] - files[0] <= {"graph.pbtxt"}


def distances(actual, expected):
    """Name of each variable without the optimizer's -> max|a - b| / max|b|."""
    names = [name for name in expected if "/Adam" not in name]
    return {name: np.max(np.abs(actual[name] - expected[name])) / np.max(np.abs(expected[name])) for name in names}


@pytest.mark.parametrize(
    "initial_state, workers, servers, replicas, batch_size, steps",
    [("zeros", 2, 1, 1, "5", 24), ("projected", 2, 1, 2, "8", 16)]
    + [
        pytest.param(*case, marks=EXHAUSTIVE)
        for case in [("learned", 3, 2, 1, "8", 16), ("projected", 2, 2, 1, "5", 24), ("learned", 2, 1, 3, "5", 24)]
    ],
)
def test_synchronous_workers_train_what_one_process_trains(
    arguments, initial_state, workers, servers, replicas, batch_size, steps
):
    """On titles of different lengths. Batches cannot be divided equally, so the parts differ in size."""
    changes = {"epochs": "4", "patience": "4", "batch_size": batch_size}
    changes.update({"initial_state": initial_state, "weight_decay": "0.1"})
    alone, cluster = (dict(arguments, train_dir=arguments["train_dir"] + name, **changes) for name in ("1", "2"))
    run(alone)
    run_in_threads(cluster, workers, servers, sync_replicas="true", replicas=str(replicas))
    actual, expected = weights(cluster["train_dir"]), weights(alone["train_dir"])
    assert sorted(actual) == sorted(expected) and actual["global_step"] == expected["global_step"] == steps
    far = distances(actual, expected)
    assert max(far.values()) < 1e-6, far


@pytest.mark.parametrize(
    "token, queue, global_step, expected, left",
    [
        (6, [], 6, 6, []),
        (5, [6], 5, 6, [5]),  # The token of another worker, for the same step.
        (5, [6], 6, 6, []),  # That of a worker that was killed.
        (0, [3, 6], 6, 6, []),  # Tokens that other workers gave back too late.
        (4, [], 4, 4, []),  # The chief was started again, from step 4.
        (3, [4], 4, 4, []),
    ],
)
def test_the_token_of_the_next_step(token, queue, global_step, expected, left, monkeypatch):
    """A worker has made step 5. The queue of the tokens is a list."""
    steps = worker_steps.WorkerSteps.__new__(worker_steps.WorkerSteps)
    steps.step, own_step, waiting = 5, [token], list(queue)
    steps._global_step, steps._return_token, steps._take_token = "global step", "return", "take"

    def run(op):
        if op == "take":
            own_step[0] = waiting.pop(0)
        elif op == "return":
            waiting.append(own_step[0])
        return global_step if op == "global step" else own_step[0]

    monkeypatch.setattr(worker_steps.time, "sleep", lambda seconds: None)
    assert steps._settle(run, token) == expected
    assert waiting == left


def test_a_partitioned_embedding(arguments):
    """From one checkpoint, with parts of 3, 3 and 2 words on two parameter servers. The checkpoints are the same."""
    alone = dict(arguments, patience="13")
    run(alone, epochs="1")
    cluster = dict(alone, train_dir=arguments["train_dir"] + "-cluster")
    shutil.copytree(alone["train_dir"], cluster["train_dir"])
    run(alone, epochs="3")
    run_in_threads(cluster, 2, 2, epochs="3", sync_replicas="true", ps_partitions="3")
    actual, expected = weights(cluster["train_dir"]), weights(alone["train_dir"])
    assert sorted(actual) == sorted(expected) and actual["embedding"].shape == (8, 4)
    far = distances(actual, expected)
    assert max(far.values()) < 1e-6, far


def test_the_evaluator(arguments, capsys):
    """It says of the last checkpoint what the training said, and ends where no process trains any more."""
    run(arguments)
    expected = rows_of(arguments["train_dir"])[-1]
    capsys.readouterr()
    assert run(arguments, job_name="evaluator") == {name: expected[name] for name in expected if name in SCORES}
    assert re.search(r"^evaluator: step 8, train loss \d\.\d{4} accuracy ", capsys.readouterr().out, re.M)
    run(arguments, job_name="evaluator", engine="graph")
    for name, value in (("train_examples", "3"), ("hidden_sizes", "7")):  # The numbers would be those of other data.
        with pytest.raises(ValueError, match=f"--train_dir: expected a directory of a run with --{name}={value}, got"):
            run(arguments, job_name="evaluator", **{name: value})


def test_the_evaluator_says_once_what_it_waits_for(tmp_path, monkeypatch, capsys):
    """It ends if no process trains, also where the file `checkpoint` is lost. It waited silently."""

    def iterate(directory, timeout, timeout_fn):
        assert not timeout_fn() and not timeout_fn()
        yield "model.ckpt-1"
        with lock.hold(directory):
            assert not timeout_fn() and not timeout_fn()
        assert timeout_fn()

    monkeypatch.setattr(tf.train, "checkpoints_iterator", iterate)
    assert list(evaluator.paths_of(str(tmp_path))) == ["model.ckpt-1"]
    assert capsys.readouterr().out.splitlines() == [
        f"evaluator: waits for the first checkpoint in {tmp_path}, in which no process trains yet",
        f"evaluator: waits for the next checkpoint in {tmp_path}",
    ]


@EXHAUSTIVE
def test_a_damaged_checkpoint(arguments, capsys):
    run(arguments)
    newest = checkpoints.last(arguments["train_dir"])
    with open(newest + ".data-00000-of-00001", "r+b") as file:
        file.truncate(100)
    run_in_threads(arguments, 1, epochs="3")
    assert re.search(r"model.ckpt-8: expected a whole .*; the newest intact checkpoint is ", capsys.readouterr().out)
    assert [row["epoch"] for row in rows_of(arguments["train_dir"])] == [1, 2, 3]


def test_asynchronous_workers_learn(arguments):
    """Each worker trains on batches of its own; together they make the steps of one process, or a few more."""
    run_in_threads(dict(arguments, **LEARNING), 2)
    rows = rows_of(arguments["train_dir"])
    assert len(rows) == 12 and rows[-1]["train_accuracy"] == 1 and rows[-1]["global_step"] >= 48
    assert [row["global_step"] // 4 >= row["epoch"] for row in rows] == [True] * 12
