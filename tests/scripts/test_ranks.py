"""train.py --horovod with a stand-in for Horovod, which is not installed: what ranks train, one process trains.

No test runs Horovod itself.
"""

import sys

import numpy as np
import pytest

import train
from support.suite.sets import EXHAUSTIVE, ONCE
from support.training.horovod_stand_in import Horovod, install, run_ranks
from support.training.tiny_runs import assert_same, flag_values, rows_of, run, title_arguments_in, weights
from training.distributed import ranks

pytestmark = pytest.mark.usefixtures("graph_optimizer")  # Replicas, ranks and clusters have it.


@pytest.fixture
def arguments(tmp_path):
    return dict(title_arguments_in(tmp_path), engine="graph")


@ONCE
def test_one_rank_trains_what_one_process_trains(arguments, monkeypatch):
    """Bit for bit, with dropout and weight decay, after a resumption in each."""
    changes = {"dropout": "0.5", "weight_decay": "0.1"}
    alone, other = (dict(arguments, train_dir=arguments["train_dir"] + name, **changes) for name in ("1", "2"))
    horovod = install(monkeypatch, 1)
    for epochs in ("1", "2"):
        expected = run(alone, epochs=epochs)
        actual = run_ranks(horovod, other, epochs=epochs)
    assert_same(weights(other["train_dir"]), weights(alone["train_dir"]))
    assert rows_of(other["train_dir"]) == rows_of(alone["train_dir"])
    assert dict(actual, seconds_per_epoch=0) == dict(expected, seconds_per_epoch=0)


# With other seeds, biases that are nearly 0 are rounded more: with 0 in TensorFlow 1.15, with 1 on three ranks.
@pytest.mark.parametrize("size, seed", [(2, "1"), pytest.param(3, "2", marks=EXHAUSTIVE)])
def test_ranks_train_what_one_process_trains(size, seed, arguments, monkeypatch, capsys):
    """Titles of different lengths, 7 in a batch, so that the parts differ in size.

    The second epoch begins with the variables of a checkpoint, which only rank 0 reads.
    """
    changes = {"batch_size": "7", "initial_state": "projected", "weight_decay": "0.1", "patience": "13", "seed": seed}
    alone, other = (dict(arguments, train_dir=arguments["train_dir"] + name, **changes) for name in ("1", "2"))
    horovod = install(monkeypatch, size)
    run(alone, epochs="3")
    run_ranks(horovod, other, epochs="1")
    run_ranks(horovod, other, epochs="3")
    assert horovod.is_initialized == set(range(size))
    printed = capsys.readouterr().out
    for rank in range(1, size):
        for count in (4, 8):
            assert f"rank {rank}: made {count} steps, rank 0 has ended\n" in printed
    actual, expected = weights(other["train_dir"]), weights(alone["train_dir"])
    assert sorted(actual) == sorted(expected) and actual["global_step"] == expected["global_step"] == 12
    for name in (name for name in expected if "/Adam" not in name):
        atol = 1e-6 * np.abs(expected[name]).max()
        np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=atol, err_msg=name)


def test_a_loss_that_is_not_finite_ends_all_ranks(arguments, monkeypatch):
    with pytest.raises(FloatingPointError, match="training stopped in epoch 1"):
        run_ranks(install(monkeypatch, 2), arguments, learning_rate="1e38")


def test_a_gpu_for_each_rank():
    horovod = Horovod(2)
    horovod.be(1)
    assert ranks.session_config(horovod).gpu_options.visible_device_list == "1"


def test_without_horovod(arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod", None)
    with pytest.raises(ImportError, match=r"^--horovod needs the package horovod \(.*\): pip install horovod$"):
        run(arguments, horovod="true")


@pytest.mark.parametrize("flags", [{"replicas": "2"}, {"peer": "keras"}, {"ablate_initial_state": "true"}])
def test_flags_that_do_not_go_with_horovod(flags):
    with pytest.raises(ValueError, match=f"^--{next(iter(flags))}: expected none with --horovod, got "):
        train.run(flag_values(dict(flags, task="forecast", horovod="true")))
