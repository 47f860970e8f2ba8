"""The processes of a cluster, and the place of this process in it, from flags or the environment variable TF_CONFIG."""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, NamedTuple

from shared.options import Option

JOBS = ("ps", "worker", "evaluator")
VARIABLE = "TF_CONFIG"
OPTIONS = (
    Option("enum", "job_name", None, "What this process does in a cluster (default: it trains without a cluster).",
           {"enum_values": list(JOBS)}),
    Option("integer", "task_index", 0, "Number of this process in its job, from 0. Worker 0 is the chief.",
           {"lower_bound": 0}),
    Option("list", "ps_hosts", None, "Addresses of the parameter servers, host:port,host:port,..."),
    Option("list", "worker_hosts", None, "Addresses of the workers, host:port,host:port,..."),
    Option("boolean", "sync_replicas", False,
           "The workers share each batch and wait for each other. Otherwise each worker trains on batches of its own."),
    Option("integer", "ps_partitions", 1, "Number of parts into which the embedding is split.", {"lower_bound": 1}),
)  # fmt: skip

_ADDRESS = re.compile(r"(\S+):([0-9]{1,5})")


def check_alone(present: Mapping[str, Any]) -> None:
    """Raises ValueError if a process without a job has another flag of a cluster. `present` has flags and values."""
    for option in OPTIONS[:-1]:  # A process alone may split the embedding, too.
        value = present.get(option.name)
        if value and value != option.default:
            raise ValueError(f"--job_name: expected one of {', '.join(JOBS)} with --{option.name}, got none")


class Cluster(NamedTuple):
    """The processes that train together, and this one.

    Fields:
      ps_hosts: addresses of the parameter servers, which hold the variables.
      worker_hosts: addresses of the workers, which compute; the first one is the chief.
      job: this process' job, one of `JOBS`.
      index: this process' number in its job, from 0.
      is_synchronous: whether the workers share each batch.
    """

    ps_hosts: list[str]
    worker_hosts: list[str]
    job: str
    index: int
    is_synchronous: bool

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Cluster:
        """Makes the cluster from the values of the flags `OPTIONS`, flag -> value.

        Raises:
          ValueError: an address is missing, wrong, or there twice; or the cluster has no such process.
        """
        hosts = {}
        for job in ("ps", "worker"):
            flag = f"{job}_hosts"
            hosts[job] = settings[flag] or []
            if not hosts[job] and settings["job_name"] != "evaluator":
                raise ValueError(f"--{flag}: expected host:port,... with --job_name={settings['job_name']}, got none")
            for address in hosts[job]:
                _check_address(flag, address)
        addresses = hosts["ps"] + hosts["worker"]
        for address in addresses:
            if addresses.count(address) > 1:
                raise ValueError(f"--worker_hosts: expected a different address for each process, got {address} twice")
        job, index = settings["job_name"], settings["task_index"]
        count = 1 if job == "evaluator" else len(hosts[job])
        if index >= count:
            raise ValueError(f"--task_index: expected 0 to {count - 1} with --job_name={job}, got {index}")
        return cls(hosts["ps"], hosts["worker"], job, index, settings["sync_replicas"])

    @property
    def is_chief(self) -> bool:
        """Whether this process initializes the variables, evaluates, and writes the results."""
        return self.job == "worker" and self.index == 0

    @property
    def address(self) -> str:
        """The address of this process."""
        return self.hosts()[self.job][self.index]

    def hosts(self) -> dict[str, list[str]]:
        """Job -> its addresses."""
        return {"ps": self.ps_hosts, "worker": self.worker_hosts}

    def peers(self) -> dict[str, str]:
        """Name of each process that this one waits for -> its address."""
        jobs = self.hosts() if self.is_synchronous or not self.is_chief else {"ps": self.ps_hosts}
        names = {f"{job} {k}": address for job, hosts in jobs.items() for k, address in enumerate(hosts)}
        return {name: address for name, address in names.items() if name != f"{self.job} {self.index}"}


def _check_address(flag: str, address: str) -> None:
    match = _ADDRESS.fullmatch(address)
    if not match or not 0 < int(match.group(2)) < 2**16:
        raise ValueError(f"--{flag}: expected addresses such as 10.0.0.1:2222, got {address}")


def read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Returns the flags that TF_CONFIG replaces, flag -> value; an empty dictionary if it has no cluster.

    TensorFlow's estimators read the same variable. A chief in it is the first worker here.

    Raises:
      ValueError: TF_CONFIG is no JSON object of this form, has two chiefs, or names an unknown task.
    """
    text = environment.get(VARIABLE, "")
    if not text.strip():
        return {}
    try:
        content = json.loads(text)
        hosts, task = content.get("cluster", {}), content.get("task", {})
        job, index = task.get("type", "worker"), int(task.get("index", 0))
        chiefs = _addresses(hosts, "chief") + _addresses(hosts, "master")
        ps_hosts, workers = _addresses(hosts, "ps"), _addresses(hosts, "worker")
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f'{VARIABLE}: expected JSON with "cluster" and "task", got {text[:60]} ({error})') from None
    if not hosts:
        return {}
    if len(chiefs) > 1:
        raise ValueError(f"{VARIABLE}: expected one chief, got {len(chiefs)}: {', '.join(chiefs)}")
    if job not in (*JOBS, "chief", "master"):
        raise ValueError(f"{VARIABLE}: expected a task of type {', '.join(JOBS)} or chief, got {job}")
    if index < 0 or (index > 0 and job in ("chief", "master")):  # It would become the number of another worker.
        raise ValueError(f"{VARIABLE}: expected a task with an index of 0 or more (0 for a chief), got {job} {index}")
    if job == "worker":
        index += len(chiefs)
    elif job in ("chief", "master"):
        job = "worker"
    return {"job_name": job, "task_index": index, "ps_hosts": ps_hosts, "worker_hosts": chiefs + workers}


def _addresses(hosts: Any, job: str) -> list[str]:
    addresses = hosts.get(job, [])
    if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
        raise ValueError(f"{job}: no list of addresses")
    return addresses
