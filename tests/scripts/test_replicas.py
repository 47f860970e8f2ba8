"""scripts/training/distributed/replicas.py: copies of a network on CPU devices train what one network trains."""

import numpy as np
import pytest

import train
from stacked_lstm.compat import tf
from support.suite.sets import ONCE
from support.training.task_data import read
from support.training.tiny_runs import (
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
from training.distributed import distributed, replicas
from training.distributed.cluster import Cluster

pytestmark = pytest.mark.usefixtures("graph_optimizer")  # Replicas, ranks and clusters have it.


@pytest.mark.parametrize(
    "make_arguments, count, tolerance",
    [(title_arguments_in, 2, 1e-6), pytest.param(arguments_in, 3, 1e-5, marks=ONCE)],
)
def test_replicas_train_what_one_network_trains(tmp_path, make_arguments, count, tolerance):
    """The last batch of an epoch of titles has 3 titles, so the parts differ in size. One replica has the same bits."""
    arguments = make_arguments(tmp_path)
    run(arguments)
    expected = weights(arguments["train_dir"])
    for number in (1, count):
        directory = f"{arguments['train_dir']}-{number}"
        run(arguments, replicas=str(number), train_dir=directory)
        actual = weights(directory)
        if number == 1:
            assert_same(actual, expected)
            assert rows_of(directory) == rows_of(arguments["train_dir"])
        for name in (name for name in expected if "/Adam" not in name):
            atol = tolerance * np.abs(expected[name]).max()
            np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("worker", [None, 1])
def test_the_copies_share_variables_and_have_their_own_devices(tmp_path, worker):
    """Also the copies of worker 1 of a cluster, whose variables are on a parameter server."""
    write_titles(tmp_path)
    task = read(Titles, tmp_path, bidirectional=False, seed=0, piece_dropout=0, pooled_dropout=0)
    flags = {"replicas": 2, "batch_size": 4, "seed": 0}
    place = worker and distributed.placement(Cluster(["a:1"], ["b:1", "c:1"], "worker", worker, True))
    with tf.device(place):
        copies = replicas.build(task, networks.Recurrent([3], engine="graph"), flags)
    variables = tf.global_variables()
    names = [variable.op.name for variable in variables]
    assert sorted(name for name in names if "stacked" not in name) == ["dense/W", "dense/b", "embedding"]
    assert len(names) == 3 + 8
    server, own = ("/job:ps/task:0", f"/job:worker/task:{worker}") if worker else ("", "")
    assert {on(variable) for variable in variables} == {f"{server}/device:CPU:0"}
    assert [on(network.losses) for network in copies.networks] == [f"{own}/device:CPU:{k}" for k in range(2)]
    assert {on(part.weight) for part in copies.pipeline.parts} == {f"{own}/device:CPU:0"}
    assert copies.config.device_count["CPU"] == 2


def on(tensor):
    """The name of a tensor's device, as all TensorFlows write it."""
    return tf.DeviceSpec.from_string(tensor.device).to_string()


@pytest.mark.parametrize("flags", [{"peer": "keras"}, {"ablate_dropout": "true"}])
def test_flags_that_do_not_go_with_replicas(flags):
    with pytest.raises(ValueError, match=f"^--{next(iter(flags))}: expected none with --replicas, got "):
        train.run(flag_values(dict(flags, task="titles", replicas="2")))
