"""scripts/benchmark.py on either device: who takes part, where the steps run, and what the tables say.

Without a GPU, steps for a GPU run on the CPU if TensorFlow allows it.
"""

import collections
import functools
import importlib.util
import itertools
import re
import sys

import numpy as np
import pytest

import benchmark
from benchmarking import timing
from benchmarking.contestants import CONTESTANTS, Contestant
from benchmarking.processes import worker
from benchmarking.steps import graphs
from peers import pytorch
from stacked_lstm import engines, tf32
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.suite.places import NEEDS_GPU
from support.suite.sets import ONCE
from support.training.benchmarks import GRAPHS, SHAPE, Measured, built, run_main, run_main_in_threads

PRODUCTS = ("MatMul", "BlockLSTM", "StackedLstm")  # Types of ops, or how they begin.


@pytest.fixture(autouse=True)
def without_trials(monkeypatch):
    monkeypatch.setattr(timing, "TRIAL", 0)


def gpus(number, monkeypatch):
    """Makes TensorFlow see so many GPUs."""
    actual = [collections.namedtuple("Gpu", "name")(f"/physical_device:GPU:{n}") for n in range(number)]
    config = tf.config.experimental
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: {"GPU": actual}[kind])
    monkeypatch.setattr(config, "get_device_details", lambda gpu: {"device_name": "chip " + gpu.name}, raising=False)


def test_no_gpu(monkeypatch):
    gpus(0, monkeypatch)
    with pytest.raises(ValueError, match="^--device: expected CPU where TensorFlow .* sees no GPU, got GPU$"):
        run_main(device="GPU")


def test_contestants_of_another_device(monkeypatch):
    gpus(1, monkeypatch)
    message = r"^--contestants: expected some of .*graph_xla, rnn_cell.* \(with --device=GPU\), got native, openvino$"
    with pytest.raises(ValueError, match=message):
        run_main(device="GPU", contestants=["graph", "openvino", "native"])


# Engines are those that the package has.
BOTH = {"graph", "graph_xla", "rnn_cell", "dynamic_rnn", "tf_keras", "block_lstm", "pytorch", "gemm", "nothing"}
TAKE_PART = {
    "CPU": BOTH | {"native", "predictor", "predictor_bfloat16", "predictor_int8", "onnxruntime", "openvino"},
    "GPU": BOTH | {"native_on_cpu"} | {"cudnn"} & set(engines.ENGINES),
}


@pytest.mark.parametrize("device", sorted(TAKE_PART))
def test_who_takes_part_and_where(device, monkeypatch, capsys):
    """By default all contestants that run on the device; each is told its device, and the tables name it."""
    gpus(1, monkeypatch)
    started = []

    class Started(Measured):
        def __init__(self, name, contestant, shape, mode, place):
            Measured.__init__(self, name, [1.0])
            self.megabytes = {"CPU": 5, "GPU": None}[place]
            started.append((name, place))

        def turn(self, seconds, keep):
            pass

        def wait_for_import(self):
            pass

        build = stop = wait_for_import

    monkeypatch.setattr(importlib.util, "find_spec", bool)
    monkeypatch.setattr(benchmark, "Worker", Started)
    run_main(device=device, modes=["inference"], shapes="3,2,4,8,2")
    places = {"native_on_cpu": "CPU"}
    assert sorted(started) == sorted((name, places.get(name, device)) for name in TAKE_PART[device])
    printed = capsys.readouterr().out
    engine, megabytes = {"CPU": ("native", "5"), "GPU": ("cudnn", "")}[device]
    assert f"| {engine}: times as fast as the fastest peer | {engine}: % of gemm |\n" in printed
    assert re.search(rf"\| graph \| 1.000 \| 1.000 \| .* \| {megabytes} \| 1.00 \| 1.00 \|$", printed, re.M)
    assert ("milliseconds, float32. chip /physical_device:GPU:0, TF32 off; " in printed) == (device == "GPU")


class Answers(list):
    """A connection to a contestant's process: what it sends, and requests for it to receive."""

    def __init__(self, requests):
        self.send, self.recv = self.append, functools.partial(next, iter(requests))


def stand_in_step(made, *arguments):
    """Prepares its device as graphs do, and makes a step that does nothing."""
    graphs.prepare(arguments[-1])
    made.append(arguments)
    return lambda: None


@pytest.mark.parametrize("device, dtype", [("CPU", "float32"), ("GPU", "float16")])
def test_a_process_builds_on_its_device(device, dtype, monkeypatch):
    """TF32 is off on a GPU; a process for the CPU does not touch the switch."""
    made, turned_off = [], []
    monkeypatch.setattr(tf32, "off_unless_asked_for", lambda: turned_off.append(device))
    stand_in = Contestant("tensorflow", f"{__name__}:stand_in_step", (made,))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    answers = Answers(["build", 0.0, None])
    worker.serve(answers, stand_in, SHAPE._replace(dtype=dtype), "training", device)
    library, is_built, (seconds, megabytes) = answers
    assert (library, is_built, len(seconds)) == (f"tensorflow {tf.__version__}", None, 1)
    assert (megabytes is None) == (device == "GPU")
    assert [arguments[2:] for arguments in made] == [("training", device)] and made[0][1].dtype == dtype
    assert turned_off == [device] * (device == "GPU")


def test_every_graph_prepares_its_device(monkeypatch):
    prepared = []
    monkeypatch.setattr(graphs, "prepare", prepared.append)
    names = [name for name, contestant in CONTESTANTS.items() if "GPU" in contestant.places and name not in LIBRARIES]
    for name in names:
        if importlib.util.find_spec(CONTESTANTS[name].library):
            CONTESTANTS[name].make_step()(SHAPE, np.ones([3, 2, 4], np.float32), "training", "GPU")
            assert prepared.pop() == "GPU" and not prepared, name


LIBRARIES = {"cudnn", "pytorch"}  # A GPU must be there for these.


@ONCE
@pytest.mark.parametrize("name", GRAPHS + ["gemm"])
def test_devices_of_graphs(name, monkeypatch):
    """The products are placed on the device; without a GPU, those for a GPU run on the CPU.

    A session for the CPU has no GPU to place other ops on.
    """
    for device, mode in itertools.product(CONTESTANTS[name].places, ("inference", "training")):
        step, session = built(name, mode, monkeypatch, device)
        step()
        products = [op for op in session.graph.get_operations() if op.type.startswith(PRODUCTS)]
        assert {op.device for op in products} == {f"/device:{device}:0"}
        assert dict(session._config.device_count) == {"CPU": {"GPU": 0}, "GPU": {}}[device]
        assert session._config.allow_soft_placement == (device == "GPU")


@pytest.mark.parametrize("name", ["graph", "rnn_cell", "dynamic_rnn", "gemm"])
def test_dtypes(name, monkeypatch):
    """The products are in the dtype of the input."""
    for dtype, mode in itertools.product(("float16", "float64"), ("inference", "training")):
        step, session = built(name, mode, monkeypatch, x=np.ones([3, 2, 4], dtype))
        step()
        products = [op for op in session.graph.get_operations() if op.type.startswith(PRODUCTS)]
        assert {op.outputs[0].dtype.base_dtype.name for op in products} == {dtype}


@ONCE
@NEEDS_NATIVE
@pytest.mark.parametrize(
    "flags",
    [
        {"options": ["peepholes"]},
        pytest.param({"modes": ["training", "inference"]}, marks=pytest.mark.exhaustive),
    ],
    ids=["options", "shapes"],
)
def test_commands_for_a_gpu(flags, monkeypatch, capsys):
    """The commands for a GPU's tables, with a shape in float16. The steps run on this CPU, as TensorFlow allows."""
    gpus(1, monkeypatch)
    shapes = "3,2,4,8,2" if "options" in flags else "3,2,4,8,2;3,2,4,8,1,float16"
    flags.update(device="GPU", contestants=["native_on_cpu", "graph"], shapes=shapes, rounds=1, seconds=0.0)
    run_main_in_threads(monkeypatch, **flags)
    printed = capsys.readouterr()
    pairs = re.findall(r"^(?:\| peepholes )?\| (3,\S+) \| (\w+) \| ([a-z]\w+) \| [0-9]+\.[0-9]+ \|", printed.out, re.M)
    expected = [
        (shape, mode, name)
        for shape in shapes.split(";")
        for mode in flags.get("modes", ["training"])
        for name in ("native_on_cpu", "graph")
        if (shape, name) != ("3,2,4,8,1,float16", "native_on_cpu")
    ]
    assert pairs == expected
    assert printed.err.count("native_on_cpu is left out, because of an error: ") == (2 if "modes" in flags else 0)
    assert ("| graph: times as fast as native_on_cpu |" in printed.out) == ("options" in flags)


@pytest.mark.gpu
@NEEDS_GPU
def test_on_a_gpu(capsys):
    """All contestants whose library is installed make a turn, in both modes."""
    run_main(device="GPU", shapes="3,2,4,8,2", rounds=1, seconds=0.0)
    printed = capsys.readouterr().out
    for name, contestant in CONTESTANTS.items():
        takes_part = "GPU" in contestant.places and importlib.util.find_spec(contestant.library) is not None
        if takes_part and name == "pytorch":
            takes_part = pytorch.pytorch().cuda.is_available()
        for mode in ("inference", "training"):
            assert (f"| 3,2,4,8,2 | {mode} | {name} | " in printed) == takes_part
