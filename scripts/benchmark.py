"""Measures the speed of StackedLSTM and of its peers: TensorFlow, tf-keras, PyTorch, ONNX Runtime and OpenVINO.

A contestant is an engine of StackedLSTM, the package's `rnn_cell`, a peer, or one of two entries without an LSTM. These
are "gemm" (only the matrix multiplications, an upper bound of the speed) and "nothing" (a `session.run` without
computation). Each contestant has its own process. The processes take short turns, so that other load on the machine
affects all of them. A turn begins after all threads of the previous process are idle.

The modes are "inference" (from a frozen graph), "training" (forward pass, backward pass and gradient descent) and
"evaluation" (inference from variables, not frozen). With --device=GPU, the input of each step is in host memory, and
inference copies the outputs to host memory.

The first table has a row per contestant and these columns:

  median ms, p10 ms   median and 10th percentile of the time of a step
  GFLOP/s             rate of the matrix multiplications
  % of gemm           this rate relative to that of gemm
  MB                  peak memory of the process, without the memory of its imported libraries; on a CPU only
  times as fast as    the median of dynamic_rnn divided by this median
    dynamic_rnn
  as the fastest      the median of the fastest peer divided by this median
    peer

The second table has a column per contestant with the medians, and the ratios of the engine native (on a GPU: cudnn).
scripts/README.md has the results in this form. --chart plots the ratios of the engine to each peer. --from_json reads
files of --json, prints the tables and plots the ratios.

With --programs, the benchmark measures public programs for TensorFlow 1, in training and evaluation: their recurrent
parts or, with --part=whole, all of them. The contestants are "auto" (the engine that the package chooses), "graph"
(only if named), "stepwise" (TensorFlow's loop) and, where TensorFlow has tf.contrib, "tensorflow" (its own cells and
loops). The first table also has the engine of each loop, the time for building the graph, and the number of its ops.

With --options, the benchmark measures training steps of StackedLSTM with one option ("native") and without ("plain"),
and peers that have the option: PyTorch, tf-keras, the package's cells in TensorFlow's loop ("stepwise"), and TensorFlow
1.15's cells ("tensorflow").

With --modes=exported, the benchmark exports the networks of finished runs of train.py (--runs) to all formats, and runs
each file in the programs for its format. Each program has its own process. The table has a row per task, format and
program: the largest difference from the session's predictions for the test part, the task's score (the accuracy, or the
error in degrees), the size of the file, the time from the start of the process to the first prediction, the median time
of a call with one example, and the examples per second in batches of 64. Files that Keras exports have rows, too.

With --modes=cluster, the benchmark starts clusters of train.py on this machine: a parameter server and 1, 2 or 4
workers. A round has 100 steps of each worker. Each number is the best one of --rounds. The first table has the sizes of
the networks. The second table has a row per task and cluster: the steps of all workers per second, the fastest step of
a worker, the processor time of a worker and of the parameter server per step, and the bytes per step. The bytes are all
bytes on the loopback interface of Linux, so no other program may use this interface.

    python scripts/benchmark.py --json=measured.json --chart=speed.png
    python scripts/benchmark.py --programs=all --rounds=5 --json=programs.json
    python scripts/benchmark.py --options=all --json=options.json
    python scripts/benchmark.py --shapes="35,20,650,650,2;100,1,16,64,2" --modes=training --rounds=20
    python scripts/benchmark.py --device=GPU --dtype=float16
    python scripts/benchmark.py --modes=exported --rounds=3
    python scripts/benchmark.py --modes=cluster --rounds=5
    python scripts/benchmark.py --from_json=measured.json --chart=speed.png

The exit status is 0 after success, 2 if the flags do not allow a measurement, and 130 after an interrupt.
"""

import importlib.util
import os
import sys

from absl import flags

import programs
from benchmarking import chart, cluster, exported, kinds, options, record
from benchmarking.contestants import CONTESTANTS, PROGRAM_CONTESTANTS, TENSORFLOW
from benchmarking.shapes import DEVICES, DTYPES
from benchmarking.worker import Subject, Worker, each
from programs.names import has_contrib
from stacked_lstm.commands import charts, command, output_files

# Neither of these modes can be combined with another mode.
CLUSTER = "cluster"
EXPORTED = "exported"


def define_flags(values):
    """Adds the flags to an `absl.flags.FlagValues`."""
    sizes = (
        f"T,B,I,H,L: time steps, batch size, input features, units, layers. Semicolons separate shapes "
        f"(default: {kinds.SHAPES}; with --options: {options.SHAPES})."
    )
    names = (
        f"Contestants to measure, of {', '.join(CONTESTANTS)} (default: all that run on the device); "
        f"with --programs of {', '.join(PROGRAM_CONTESTANTS)} (default: all except graph)."
    )
    modes = (
        "Modes to measure, of inference, training and evaluation (default: the first two; with --programs the others). "
        "The modes exported and cluster stand alone."
    )
    rows = f"Programs to measure instead of shapes: all, or some of {', '.join(programs.PROGRAMS)}."
    part = (
        "With --programs, what is measured: recurrent (embeddings, cells, wrappers and loops, with a simple loss of "
        "the loops' outputs) or whole (also the head, its loss and the program's optimizer)."
    )
    for define, name, default, text, domain in (
        (flags.DEFINE_string, "shapes", None, sizes, {}),
        (flags.DEFINE_enum, "device", "CPU", "Device of the measurement.", {"enum_values": DEVICES}),
        (flags.DEFINE_enum, "dtype", "float32", "Type of weights and data.", {"enum_values": DTYPES}),
        (flags.DEFINE_list, "contestants", None, names, {}),
        (flags.DEFINE_list, "programs", None, rows, {}),
        (flags.DEFINE_list, "options", None, f"Options to measure: all, or some of {', '.join(options.OPTIONS)}.", {}),
        (flags.DEFINE_enum, "part", programs.PARTS[0], part, {"enum_values": programs.PARTS}),
        (flags.DEFINE_list, "modes", None, modes, {}),
        (flags.DEFINE_list, "runs", list(exported.RUNS), "Directories of train.py for --modes=exported.", {}),
        (flags.DEFINE_integer, "rounds", 10, "Number of turns of each contestant.", {"lower_bound": 1}),
        (
            flags.DEFINE_float,
            "seconds",
            0.3,
            "Length of a turn in seconds. Each turn has at least one step.",
            {"lower_bound": 0.0},
        ),
        (flags.DEFINE_string, "json", None, "File for all measurements, in milliseconds.", {}),
        (flags.DEFINE_string, "chart", None, "File for a plot of the ratios, such as speed.png.", {}),
        (
            flags.DEFINE_list,
            "from_json",
            None,
            "Files of --json, separated by commas. Nothing is measured.",
            {},
        ),
    ):
        define(name=name, default=default, help=text, flag_values=values, **domain)


def main(values):
    """Measures, or reads measurements, and prints and draws them."""
    for flag in ("json", "chart"):
        output_files.check_file_name(flag, values[flag].value)
    if values.chart:
        charts.check_matplotlib("chart", values.chart)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if values.modes in ([EXPORTED], [CLUSTER]):
        measure_alone(values)
        return
    machine, rows = read_measurements(values) if values.from_json else measure_all(values)
    kinds.of_rows(rows).tables.print_record(rows, machine)
    if values.chart:
        charts.save(values.chart, chart.draw_ratios(rows))


def measure_alone(values):
    """Measures exported files or clusters, and prints their tables."""
    (mode,) = values.modes
    for flag in ("chart", "from_json", "programs", "options", "contestants"):
        if values[flag].value:
            raise ValueError(f"--{flag}: expected none with --modes={mode}, got {values[flag].value}")
    command.graph_mode()
    machine = record.describe_machine("CPU")
    if mode == CLUSTER:
        rows = cluster.run(values.rounds, machine)
    else:
        rows = exported.run(values.runs, values.seconds, values.rounds, machine)
    if values.json:
        record.write(values.json, machine, rows)


def read_measurements(values):
    """Reads --from_json and prints the first table; returns (machine, rows)."""
    if values.json:
        raise ValueError(f"--json: expected none with --from_json, got {values.json}")
    files = [record.read(path, kinds.columns_of_rows) for path in values.from_json]
    machine = "; ".join(dict.fromkeys(machine for machine, _ in files))
    rows = [row for _, rows in files for row in rows]
    for key in ("device", "dtype"):
        present = sorted({row[key] for row in rows})
        if len(present) > 1:
            raise ValueError(f"--from_json: expected measurements of one {key}, got {' and '.join(present)}")
    names = [f"{name}s" for name in kinds.names_of_rows(rows)]
    if len(names) > 1:
        raise ValueError(f"--from_json: expected measurements of {' or of '.join(names)}, got both")
    columns = kinds.columns_of_rows(rows)
    record.print_header([heading for _, heading, _ in columns])
    record.print_rows(rows, columns)
    return machine, rows


def measure_all(values):
    """Measures all shapes or programs in all modes, and prints the first table; returns (machine, rows)."""
    subjects, modes = check_flags(values)
    kind = kinds.of_flags(values)
    machine = record.describe_machine(values.device)
    record.print_header([heading for _, heading, _ in kind.columns])
    rows = []
    for subject in subjects:
        for mode in modes:
            workers = measure(values, subject, mode)
            measured = kind.tables.summarize(subject, mode, values.device, values.dtype, workers)
            record.print_rows(measured, kind.columns)
            rows += measured
            if values.json:  # After each, so that a long run that is cut short keeps its measurements.
                record.write(values.json, machine, rows)
    return machine, rows


def check_flags(values):
    """Returns (list of `Shape` or of `Program`, modes); raises ValueError that names a flag."""
    kind = kinds.of_flags(values)
    if values.options is not None:
        for flag, expected, is_wrong in (
            ("chart", "none", values.chart),
            ("programs", "none", values.programs),
            ("device", "CPU", values.device != "CPU"),
        ):
            if is_wrong:
                raise ValueError(f"--{flag}: expected {expected}{kind.place}, got {values[flag].value}")
    subjects, modes = kind.parse(values), values.modes or kind.default_modes
    if values.dtype not in kind.dtypes:
        raise ValueError(f"--dtype: expected {' or '.join(kind.dtypes)}{kind.place}, got {values.dtype}")
    if values.device == "GPU":
        check_gpu()
    for flag, chosen, known, place in (
        ("contestants", values.contestants, names_on(kind, values.device), f" (with --device={values.device})"),
        ("modes", modes, kind.modes, kind.place and f" ({kind.place.strip()})"),
    ):
        unknown = sorted(set(chosen or ()) - set(known))
        if unknown:
            raise ValueError(f"--{flag}: expected some of {', '.join(known)}{place}, got {', '.join(unknown)}")
    chosen = values.contestants or default_contestants(kind, values.device)
    engine, peers = kind.engine_of_device.get(values.device), kind.peers
    if values.chart and (engine not in chosen or not set(chosen) & set(peers)):
        expected = f"{engine} and one of {', '.join(peers)}"
        raise ValueError(f"--chart: expected --contestants with {expected}, got {', '.join(chosen)}")
    return subjects, modes


def check_gpu():
    """Raises ValueError if TensorFlow sees no GPU, or if the environment says neither yes nor no to TF32."""
    from stacked_lstm import tf32
    from stacked_lstm.compat import tf

    tf32.asked_for()
    if not record.gpus():
        raise ValueError(f"--device: expected CPU where TensorFlow {tf.__version__} sees no GPU, got GPU")


def names_on(kind: kinds.Kind, device):
    """Names of the contestants of a kind that run on a device, with this TensorFlow."""
    names = [name for name, contestant in kind.contestants.items() if device in contestant.devices]
    return [name for name in names if name != TENSORFLOW or has_contrib()]


def default_contestants(kind: kinds.Kind, device):
    """Names of the contestants that are measured if the flags name none."""
    return [name for name in names_on(kind, device) if name not in kind.only_if_named]


def measure(values, subject: Subject, mode):
    """Measures one shape or program in one mode.

    Each mode has fresh processes, because the peak of the memory is that of the whole process.

    Returns:
      The `Worker`s after their turns. Contestants whose library is missing are named on stderr and left out.
    """
    kind = kinds.of_flags(values)
    workers = []
    for name in values.contestants or default_contestants(kind, values.device):
        library = kind.contestants[name].library
        if importlib.util.find_spec(library) is None:  # Known before a process has started.
            print(f"{name} is left out, because the package {library} is not installed", file=sys.stderr)
        elif getattr(subject, "has", lambda name: True)(name) and mode in kind.contestants[name].modes:
            workers.append(Worker(name, subject, mode, values.device, values.dtype))
    # Libraries are imported side by side, since that takes long. Steps are built one by one, since some are tried.
    workers = each(workers, Worker.wait_for_import)
    workers = each(workers, Worker.build)
    for round_number in range(values.rounds + 1):
        workers = each(workers, lambda worker: worker.turn(values.seconds, keep=round_number > 0))
    for worker in workers:
        worker.stop()
    return workers


if __name__ == "__main__":
    command.run(define_flags, main)
