"""benchmark.py --modes=cluster: sizes by hand, and a cluster of processes on this machine."""

import pytest

from benchmarking import cluster
from support.suite.sets import EXHAUSTIVE, ONCE
from support.training.benchmarks import run_main
from support.training.tiny_runs import PLAIN, TITLES, command_line

pytestmark = ONCE


def test_sizes(title_arguments, monkeypatch):
    """One batch has all titles, so R is the number of their words, and 1 for padding."""
    batch = str(len(TITLES["train"]))
    arguments = command_line(dict(title_arguments, hidden_sizes="5", embedding_size="4", batch_size=batch, **PLAIN))
    monkeypatch.setattr(cluster, "_command_line", lambda task: arguments)
    row = cluster.sizes("titles")
    dense = 4 * (4 + 5 + 1) * 5 + (2 * 5 + 1) * 3
    rows = 1 + len({word for title, _ in TITLES["train"][:-3] for word in title.split()})  # The last three validate.
    assert (row["dense"], row["row_size"]) == (dense, 4)
    assert (row["rows"], row["kilobytes"]) == (rows, 8 * (dense + rows * 4) / 1e3)


@pytest.mark.parametrize("flag, value", [("chart", "a.png"), ("contestants", ["native", "graph"])])
def test_flags_of_other_modes(flag, value):
    text = value if flag == "chart" else "native,graph"
    with pytest.raises(ValueError, match=f"--{flag}: expected none with --modes=cluster, got {text}$"):
        run_main(modes=["cluster"], **{flag: value})
    with pytest.raises(ValueError, match="--modes: expected .*, got inference, cluster$"):
        run_main(modes=["inference", "cluster"])


@EXHAUSTIVE
@pytest.mark.parametrize("workers, is_synchronous", [(1, "false"), (2, "true")])
def test_measure(title_arguments, workers, is_synchronous):
    """A step moves all gradients and all weights of each worker, and little else."""
    changes = {"hidden_sizes": "200", "sync_replicas": is_synchronous, "epochs": "1000"}
    row = cluster.measure(command_line(dict(title_arguments, **changes)), workers, 1)
    expected = 8e-3 * workers * 4 * (4 + 200 + 1) * 200
    assert expected < row["kilobytes"] < 1.3 * expected
    assert 0 < row["fastest_ms"] <= 1e3 / row["per_second"] * workers
    assert row["worker_ms"] > 0 and row["server_ms"] > 0


@EXHAUSTIVE
def test_a_process_that_fails(title_arguments, monkeypatch):
    monkeypatch.setattr(cluster, "START_SECONDS", 120.0)
    changes = {"engine": "cudnn"}
    with pytest.raises(ValueError, match="--modes=cluster: a process of the cluster has failed"):
        cluster.measure(command_line(dict(title_arguments, **changes)), 1, 1)
