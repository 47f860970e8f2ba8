"""Measures the speed of StackedLSTM and of its peers: TensorFlow, tf-keras, PyTorch, ONNX Runtime and OpenVINO.

A contestant is an engine of StackedLSTM, the package's `rnn_cell`, a peer, or one of two entries without an LSTM. These
are "gemm" (only the matrix multiplications, an upper bound of the speed) and "nothing" (a call of a session without
computation). Each contestant has its own process. The processes take short turns, so that other load on the machine
affects all of them. A turn begins after all threads of the previous contestant are idle. With --one_process, all
contestants share a process, which makes the ratios more accurate; their memory is then unknown.

The modes are "inference" (from a frozen graph), "training" (forward pass, backward pass and gradient descent) and
"evaluation" (inference from variables, not frozen). With --device=GPU, the input of each step is in host memory, and
inference copies the outputs to host memory. "native_on_cpu" is then the engine native on the machine's CPU.

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
scripts/benchmarking/results/shapes.md has results in this form. --chart plots the ratios of the engine to each peer.
--from_json reads files of --json, prints the tables and plots the ratios.

With --programs, the benchmark measures public programs for TensorFlow 1, in training and evaluation: their recurrent
parts or, with --part=whole, all of them. The contestants are "auto" (the engine that the package chooses), "graph"
(only if named), "stepwise" (TensorFlow's loop) and, where TensorFlow has tf.contrib, "tensorflow" (its own cells and
loops). The first table also has the engine of each loop, the time for building the graph, and the number of its ops.

With --options, the benchmark measures steps of StackedLSTM with one option ("native") and without it ("plain"),
and peers that have the option: PyTorch, tf-keras, the package's cells in TensorFlow's loop ("stepwise"), and TensorFlow
1.15's cells ("tensorflow"). On a GPU, the ratios are those of "graph", because cuDNN lacks most options.
"native_on_cpu" is then the native engine on the machine's CPU. In the option dropout_fed_one, each cell is in a
DropoutWrapper whose keep probability is a placeholder that is fed 1; "plain" has the cells without a wrapper.

With --cells, the benchmark measures single calls of cells, `cell(x, state)`, in a tf.while_loop with a TensorArray. The
contestants are "auto" (this package's cells) and "tensorflow" (TensorFlow's own; without tf.contrib, these are only the
cells and wrappers of tf.nn.rnn_cell). T is the number of calls in a loop. The times are those of one call, with its
share of the loop and of the call of the session.

With --threads, the benchmark measures the engine native, PyTorch and ONNX Runtime with several numbers of threads. The
second table has the speed-up over the smallest number of threads. The efficiency, in percent, is the speed-up divided
by the ratio of the two numbers of threads.

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
    python scripts/benchmark.py --cells=all --one_process --rounds=200 --seconds=0.02 --json=cells.json
    python scripts/benchmark.py --shapes="35,20,650,650,2;100,1,16,64,2" --modes=training --rounds=20
    python scripts/benchmark.py --threads=1,2,4,8,16 --json=threads.json
    python scripts/benchmark.py --device=GPU --contestants=native_on_cpu,graph,cudnn,dynamic_rnn,pytorch
    python scripts/benchmark.py --device=GPU --options=peepholes,clips,activation --modes=training,inference
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
from benchmarking import cluster, flag_checks, kinds
from benchmarking.contestants import CELL_CONTESTANTS, CONTESTANTS, PROGRAM_CONTESTANTS
from benchmarking.exported import exported
from benchmarking.processes import one_process
from benchmarking.processes.worker import Worker, each
from benchmarking.records import chart, record
from benchmarking.subjects import cells, options, threads
from benchmarking.subjects.shapes import DEVICES, DTYPES
from stacked_lstm.commands import charts, command, output_files

# None of these modes can be combined with another mode. Their functions return the rows.
MODES_ALONE = {
    "cluster": lambda values, machine: cluster.run(values.rounds, machine),
    "exported": lambda values, machine: exported.run(values.runs, values.seconds, values.rounds, machine),
}


def define_flags(values):
    """Adds the flags to an `absl.flags.FlagValues`."""
    sizes = (
        f"T,B,I,H,L: time steps, batch size, input features, units, layers; also T,B,I,H,L,float16, for example. "
        f"Semicolons separate shapes (default: {kinds.SHAPES['CPU']}; with --device=GPU: {kinds.SHAPES['GPU']}; "
        f"with --options: {options.SHAPES}; with --cells: {cells.SHAPES}; with --threads: {threads.SHAPES})."
    )
    names = (
        f"Contestants to measure, of {', '.join(CONTESTANTS)} (default: all that run on the device, except "
        "native_session_threads and native_session_run; with --threads: native, pytorch and onnxruntime); "
        f"with --programs of {', '.join(PROGRAM_CONTESTANTS)} (default: all except graph); "
        f"with --cells of {', '.join(CELL_CONTESTANTS)}."
    )
    modes = (
        "Modes to measure: inference, training, evaluation (default: the first two; with --programs or --cells, the "
        "last two; with --options, training). "
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
        (
            flags.DEFINE_enum,
            "dtype",
            "float32",
            "Type of weights and data, if the shape names none.",
            {"enum_values": DTYPES},
        ),
        (flags.DEFINE_list, "contestants", None, names, {}),
        (flags.DEFINE_list, "programs", None, rows, {}),
        (flags.DEFINE_list, "options", None, f"Options to measure: all, or some of {', '.join(options.OPTIONS)}.", {}),
        (flags.DEFINE_list, "cells", None, f"Cells to measure: all, or some of {', '.join(cells.CELLS)}.", {}),
        (flags.DEFINE_list, "threads", None, "Numbers of threads of each library, such as 1,2,4. CPU only.", {}),
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
        (
            flags.DEFINE_bool,
            "one_process",
            False,
            "Whether all contestants share a process. Their turns should be short, as with --seconds=0.02.",
            {},
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
    flag_checks.check_values(values, list(MODES_ALONE))
    for flag in ("json", "chart"):
        output_files.check_file_name(flag, values[flag].value)
    if values.chart:
        charts.check_matplotlib("chart", values.chart)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if values.modes and values.modes[0] in MODES_ALONE:  # No other mode is beside it.
        measure_alone(values, values.modes[0])
        return
    machine, rows = read_measurements(values) if values.from_json else measure_all(values)
    kind = kinds.of_rows(rows)
    kind.tables.print_record(rows, machine)
    if values.chart:
        charts.save(values.chart, chart.draw_ratios(rows, kind.comparison))


def measure_alone(values, mode):
    """Measures in a mode of `MODES_ALONE`, and prints its tables."""
    flag_checks.check_alone(values, f"--modes={mode}")
    command.graph_mode()
    machine = record.describe_machine("CPU")
    rows = MODES_ALONE[mode](values, machine)
    if values.json:
        record.write(values.json, machine, rows)


def read_measurements(values):
    """Reads --from_json and prints the first table; returns (machine, rows)."""
    flag_checks.check_alone(values, "--from_json")
    files = [record.read(path, kinds.columns_of_rows) for path in values.from_json]
    machine = "; ".join(dict.fromkeys(machine for machine, _ in files))
    rows = [row for _, rows in files for row in rows]
    devices = sorted({row["device"] for row in rows})
    if len(devices) > 1:
        raise ValueError(f"--from_json: expected measurements of one device, got {' and '.join(devices)}")
    present = [kind.flag for kind in kinds.in_rows(rows)]
    if len(present) > 1:
        actual = "both" if len(present) == 2 else "all of them"
        raise ValueError(f"--from_json: expected measurements of {' or of '.join(present)}, got {actual}")
    columns = kinds.columns_of_rows(rows)
    record.print_header([heading for _, heading, _ in columns])
    record.print_rows(rows, columns)
    return machine, rows


def measure_all(values):
    """Measures all subjects in all modes, and prints the first table; returns (machine, rows)."""
    kind = kinds.of_flags(values)
    subjects, modes = flag_checks.check_flags(values, kind, list(MODES_ALONE))
    machine = record.describe_machine(values.device)
    record.print_header([heading for _, heading, _ in kind.tables.columns])
    rows = []
    for subject in subjects:
        for mode in modes:
            workers = measure(values, kind, subject, mode)
            measured = record.summarize(kind.tables, subject, mode, values.device, workers)
            record.print_rows(measured, kind.tables.columns)
            rows += measured
            if values.json:  # After each, so that a long run that is cut short keeps its measurements.
                record.write(values.json, machine, rows)
    flag_checks.check_measured(rows, values, kind, modes)
    return machine, rows


def measure(values, kind: kinds.Kind, subject, mode):
    """Measures one subject in one mode.

    Each mode has fresh processes, because the peak of the memory is that of the whole process.

    Returns:
      The `Worker`s after their turns, or `Entrant`s. Contestants whose library is missing are named on stderr and left
      out.
    """
    contestants = {}
    for name in values.contestants or kind.default_names(values.device):
        contestant = kind.contestants[name]
        if importlib.util.find_spec(contestant.library) is None:  # Known before a process has started.
            print(f"{name} is left out, because the package {contestant.library} is not installed", file=sys.stderr)
        elif mode in contestant.modes and kind.has(subject, name):
            contestants[name] = contestant
    if values.one_process:
        return one_process.measure(contestants, subject, mode, values.device, values.seconds, values.rounds)
    workers = [
        Worker(name, contestant, subject, mode, contestant.places[values.device])
        for name, contestant in contestants.items()
    ]
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
