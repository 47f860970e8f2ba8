"""scripts/training/replicas.py: copies of a network on CPU devices train what one network trains."""

import numpy as np
import pytest

import train
from stacked_lstm.compat import tf
from support.sets import ONCE
from support.task_data import read
from support.tiny_runs import (
    arguments_in,
    assert_same,
    flag_values,
    rows_of,
    run,
    title_arguments_in,
    weights,
    write_titles,
)
from tasks import networks
from tasks.titles import Titles
from training.replicas import Towers


@pytest.mark.parametrize(
    "make_arguments, count, tolerance",
    [(title_arguments_in, 2, 1e-6), pytest.param(arguments_in, 3, 1e-5, marks=ONCE)],
)
def test_replicas_train_what_one_network_trains(tmp_path, make_arguments, count, tolerance):
    """The last batch of an epoch of titles has 3 titles, so the parts differ in size. One replica has the same bits."""
    arguments = make_arguments(tmp_path)
    run(arguments)
    expected = weights(arguments["train_dir"])
    for replicas in (1, count):
        directory = f"{arguments['train_dir']}-{replicas}"
        run(arguments, replicas=str(replicas), train_dir=directory)
        actual = weights(directory)
        if replicas == 1:
            assert_same(actual, expected)
            assert rows_of(directory) == rows_of(arguments["train_dir"])
        for name in (name for name in expected if "/Adam" not in name):
            atol = tolerance * np.abs(expected[name]).max()
            np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=atol, err_msg=name)


def test_the_copies_share_variables_and_have_their_own_devices(tmp_path):
    write_titles(tmp_path)
    task = read(Titles, tmp_path, bidirectional=False, seed=0, piece_dropout=0, pooled_dropout=0)
    towers = Towers(2)
    towers.build(task, networks.Recurrent([3], engine="graph"))
    assert towers.devices == ["/cpu:0", "/cpu:1"] and len(towers.networks) == 2
    variables = tf.global_variables()
    names = [variable.op.name for variable in variables]
    assert sorted(name for name in names if "stacked" not in name) == ["dense/W", "dense/b", "embedding"]
    assert len(names) == 3 + 8
    assert {variable.device for variable in variables} == {"/cpu:0"}
    assert [network.losses.device for network in towers.networks] == ["/cpu:0", "/cpu:1"]


@pytest.mark.parametrize(
    "flags",
    [{"job_name": "ps", "ps_hosts": "a:1", "worker_hosts": "b:2"}, {"peer": "keras"}, {"ablate_dropout": "true"}],
)
def test_flags_that_do_not_go_with_replicas(flags):
    with pytest.raises(ValueError, match=f"^--{next(iter(flags))}: expected none with --replicas, got "):
        train.run(flag_values(dict(flags, task="titles", replicas="2")))
