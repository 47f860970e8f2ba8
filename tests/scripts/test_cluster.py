"""scripts/training/distributed/: flags, TF_CONFIG, ports, and what a waiting process says."""

import errno
import json
import os
import re
import socket
import threading

import pytest

import train
from stacked_lstm.compat import tf
from support.training.clusters import free_addresses, jobs
from support.training.tiny_runs import flag_values
from training import settings
from training.distributed import cluster, servers, watch

HOSTS = {"ps_hosts": "a:1,b:2", "worker_hosts": "c:3,d:4"}


def read(**flags):
    """The cluster of a command line."""
    return cluster.Cluster.read(settings.read_flags(flag_values(dict({"task": "forecast"}, **flags))))


def test_flags():
    chief = read(job_name="worker", sync_replicas="true", **HOSTS)
    assert chief == cluster.Cluster(["a:1", "b:2"], ["c:3", "d:4"], "worker", 0, True)
    assert chief.is_chief and chief.address == "c:3"
    assert chief.peers() == {"ps 0": "a:1", "ps 1": "b:2", "worker 1": "d:4"}
    other = read(job_name="worker", task_index="1", **HOSTS)
    assert not other.is_chief and other.address == "d:4" and not other.is_synchronous
    assert other.peers() == {"ps 0": "a:1", "ps 1": "b:2", "worker 0": "c:3"}
    assert read(job_name="worker", **HOSTS).peers() == {"ps 0": "a:1", "ps 1": "b:2"}
    assert read(job_name="ps", task_index="1", **HOSTS).address == "b:2"


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"ps_hosts": ""}, r"--ps_hosts: expected host:port,\.\.\. with --job_name=worker, got none"),
        ({"worker_hosts": "c:3,d"}, "--worker_hosts: expected addresses such as 10.0.0.1:2222, got d"),
        ({"worker_hosts": "c:70000"}, "--worker_hosts: expected addresses such as 10.0.0.1:2222, got c:70000"),
        ({"worker_hosts": "c:3,d e:4"}, "--worker_hosts: expected addresses such as 10.0.0.1:2222, got d e:4"),
        ({"worker_hosts": "a:1,d:4"}, "--worker_hosts: expected a different address for each process, got a:1 twice"),
        ({"task_index": "2"}, "--task_index: expected 0 to 1 with --job_name=worker, got 2"),
        ({"ablate_initial_state": "true"}, "--ablate_initial_state: expected none with --job_name, got true"),
        ({"task": "titles", "ablate_dropout": "true"}, "--ablate_dropout: expected none with --job_name, got true"),
    ],
)
def test_wrong_flags(flags, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        train.run(flag_values(dict({"task": "forecast", "job_name": "worker"}, **dict(HOSTS, **flags))))


@pytest.mark.parametrize(
    "name, value", [("sync_replicas", "true"), ("worker_hosts", "a:1"), ("ps_hosts", "a:1"), ("task_index", "1")]
)
def test_flags_of_a_cluster_without_a_job(name, value):
    """Otherwise, a process would train alone without a word."""
    with pytest.raises(
        ValueError, match=f"^--job_name: expected one of ps, worker, evaluator with --{name}, got none$"
    ):
        train.run(flag_values({"task": "forecast", name: value}))


def test_empty_flags_of_a_cluster():
    """As a shell gives them that has no addresses."""
    values = flag_values({"task": "forecast", "ps_hosts": "", "worker_hosts": "", "task_index": "0"})
    assert settings.read_flags(values)["job_name"] is None


def test_an_unknown_job_is_one_line():
    with pytest.raises(Exception, match="flag --job_name=chef: value should be one of <ps|worker|evaluator>"):
        flag_values({"task": "forecast", "job_name": "chef"})


HOSTS_IN_JSON = {"ps": ["a:1"], "worker": ["c:3", "d:4"]}


@pytest.mark.parametrize(
    "hosts, task, job, index, workers",
    [
        (HOSTS_IN_JSON, {"type": "ps", "index": 0}, "ps", 0, ["c:3", "d:4"]),
        (HOSTS_IN_JSON, {"type": "worker", "index": 1}, "worker", 1, ["c:3", "d:4"]),
        (dict(HOSTS_IN_JSON, chief=["e:5"]), {"type": "worker", "index": 1}, "worker", 2, ["e:5", "c:3", "d:4"]),
        (dict(HOSTS_IN_JSON, chief=["e:5"]), {"type": "chief", "index": 0}, "worker", 0, ["e:5", "c:3", "d:4"]),
        (dict(HOSTS_IN_JSON, master=["e:5"]), {"type": "master"}, "worker", 0, ["e:5", "c:3", "d:4"]),
    ],
)
def test_tf_config(monkeypatch, hosts, task, job, index, workers):
    """TF_CONFIG counts where the command line names no job."""
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": hosts, "task": task}))
    assert read()[:4] == (["a:1"], workers, job, index)
    assert read(job_name="worker", **HOSTS).worker_hosts == ["c:3", "d:4"]


@pytest.mark.parametrize("text", ["", "{}", '{"task": {"type": "worker", "index": 0}}'])
def test_tf_config_without_a_cluster(text):
    assert cluster.read_environment({"TF_CONFIG": text}) == {}
    assert cluster.read_environment({}) == {}


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", 'expected JSON with "cluster" and "task", got {'),
        ("[]", 'expected JSON with "cluster" and "task", got '),
        ('{"cluster": {"ps": "a:1"}}', 'expected JSON with "cluster" and "task", got .*ps: no list of addresses'),
        ('{"cluster": {"chief": ["a:1", "b:1"]}}', "expected one chief, got 2: a:1, b:1"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "chef"}}', "expected a task of type ps, worker, .*, got chef"),
        ('{"cluster": {"chief": ["c:1"]}, "task": {"index": -1}}', "expected a task with an index .*, got worker -1"),
        ('{"cluster": {"chief": ["c:1"]}, "task": {"type": "chief", "index": 1}}', "expected a task .*, got chief 1"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"index": Infinity}}', 'expected JSON with "cluster" and "task", got '),
    ],
)
def test_wrong_tf_config(text, message):
    with pytest.raises(ValueError, match=f"^TF_CONFIG: {message}"):
        cluster.read_environment({"TF_CONFIG": text})


def port_message(flags):
    """What `servers.start` says about the port of worker 0, from behind the number of the port."""
    message = r"--worker_hosts: expected a port that worker 0 can open, got \d+(.*)"
    with pytest.raises(ValueError) as info:
        servers.start(read(**dict(flags, ps_hosts="127.0.0.1:9")))
    return re.fullmatch(message, str(info.value)).group(1)


def test_a_port_in_use_is_one_line():
    (flags,) = jobs(1, 0)
    with socket.socket() as other:
        other.bind(("", int(flags["worker_hosts"].rpartition(":")[2])))
        other.listen(1)
        assert port_message(flags).endswith(", which another process uses (Address already in use)")


def test_other_errors_of_a_port_blame_no_process(monkeypatch):
    """The message is the system's; if the system gives the port, it is TensorFlow's."""

    class Refusing(socket.socket):
        def bind(self, address):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), address)

    def fail(*arguments, **options):
        raise tf.errors.UnknownError(None, None, "Could not start gRPC server")

    (flags,) = jobs(1, 0)
    monkeypatch.setattr(tf.train, "Server", fail)
    assert port_message(flags) == " (Could not start gRPC server)"
    monkeypatch.setattr(socket, "socket", Refusing)
    assert port_message(flags) == " (Permission denied)"


def test_a_line_while_nothing_happens(capfd):
    """The line names who does not answer, and comes again after twice the time."""
    silent, listening = free_addresses(2)
    with socket.socket() as server:
        host, port = listening.split(":")
        server.bind((host, int(port)))
        server.listen(8)
        peers = {"ps 0": silent, "worker 0": listening}
        with watch.Watch("worker 1", peers, patience=0.1) as guard:
            threading.Event().wait(0.5)
            lines = capfd.readouterr().err.splitlines()
            with guard.paused():
                threading.Event().wait(0.3)
                assert capfd.readouterr().err == ""
        assert 1 <= len(lines) <= 3
        assert all(line.startswith("worker 1: no step for 0 s: no answer from ps 0 (") for line in lines)
        assert watch.Watch("w", {"worker 0": listening}).line(12.3) == (
            "w: no step for 12 s: all other processes answer, one may be busy"
        )
