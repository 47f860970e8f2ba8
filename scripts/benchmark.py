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

    python scripts/benchmark.py --json=measured.json --chart=speed.png
    python scripts/benchmark.py --shapes="35,20,650,650,2;100,1,16,64,2" --modes=training --rounds=20
    python scripts/benchmark.py --device=GPU --dtype=float16
    python scripts/benchmark.py --from_json=measured.json --chart=speed.png

The exit status is 0 after success, 2 if the flags do not allow a measurement, and 130 after an interrupt.
"""

import importlib.util
import os
import sys

from absl import flags

from benchmarking import chart, record
from benchmarking.contestants import CONTESTANTS, ENGINE_OF_DEVICE, PEERS
from benchmarking.shapes import DEVICES, DTYPES, MODES, Shape, parse_shapes
from benchmarking.worker import Worker, each
from stacked_lstm.commands import charts, command, output_files

SHAPES = "30,64,8,64,3;28,4,28,256,1;28,128,28,256,1;35,20,650,650,2;100,1,16,64,2"


def define_flags(values):
    """Adds the flags to an `absl.flags.FlagValues`."""
    sizes = "T,B,I,H,L: time steps, batch size, input features, units, layers. Semicolons separate shapes."
    names = f"Contestants to measure, of {', '.join(CONTESTANTS)} (default: all that run on the device)."
    for define, name, default, text, domain in (
        (flags.DEFINE_string, "shapes", SHAPES, sizes, {}),
        (flags.DEFINE_enum, "device", "CPU", "Device of the measurement.", {"enum_values": DEVICES}),
        (flags.DEFINE_enum, "dtype", "float32", "Type of weights and data.", {"enum_values": DTYPES}),
        (flags.DEFINE_list, "contestants", None, names, {}),
        (flags.DEFINE_list, "modes", ["inference", "training"], f"Modes to measure, of {', '.join(MODES)}.", {}),
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
    machine, rows = read_measurements(values) if values.from_json else measure_all(values)
    record.print_record(rows, machine)
    if values.chart:
        charts.save(values.chart, chart.draw_ratios(rows))


def read_measurements(values):
    """Reads --from_json and prints the first table; returns (machine, rows)."""
    if values.json:
        raise ValueError(f"--json: expected none with --from_json, got {values.json}")
    files = [record.read(path) for path in values.from_json]
    machine = "; ".join(dict.fromkeys(machine for machine, _ in files))
    rows = [row for _, rows in files for row in rows]
    for key in ("device", "dtype"):
        kinds = sorted({row[key] for row in rows})
        if len(kinds) > 1:
            raise ValueError(f"--from_json: expected measurements of one {key}, got {' and '.join(kinds)}")
    record.print_header([heading for _, heading, _ in record.COLUMNS])
    record.print_measurements(rows)
    return machine, rows


def measure_all(values):
    """Measures all shapes and modes and prints the first table; returns (machine, rows)."""
    shapes = check_flags(values)
    machine = record.describe_machine(values.device)
    record.print_header([heading for _, heading, _ in record.COLUMNS])
    rows = []
    for shape in shapes:
        for mode in values.modes:
            measured = record.summarize(shape, mode, values.device, values.dtype, measure(values, shape, mode))
            record.print_measurements(measured)
            rows += measured
            if values.json:  # After each, so that a long run that is cut short keeps its measurements.
                record.write(values.json, machine, rows)
    return machine, rows


def check_flags(values):
    """Returns the list of `Shape`; raises ValueError that names a flag."""
    shapes = parse_shapes(values.shapes)
    if values.device == "GPU":
        check_gpu()
    for flag, known, place in (
        ("contestants", names_on(values.device), f" (with --device={values.device})"),
        ("modes", MODES, ""),
    ):
        unknown = sorted(set(values[flag].value or ()) - set(known))
        if unknown:
            raise ValueError(f"--{flag}: expected some of {', '.join(known)}{place}, got {', '.join(unknown)}")
    chosen, engine = values.contestants or list(CONTESTANTS), ENGINE_OF_DEVICE[values.device]
    if values.chart and (engine not in chosen or not set(chosen) & set(PEERS)):
        peers = ", ".join(PEERS)
        raise ValueError(f"--chart: expected --contestants with {engine} and one of {peers}, got {', '.join(chosen)}")
    return shapes


def check_gpu():
    """Raises ValueError if TensorFlow sees no GPU, or if the environment says neither yes nor no to TF32."""
    from stacked_lstm import tf32
    from stacked_lstm.compat import tf

    tf32.asked_for()
    if not record.gpus():
        raise ValueError(f"--device: expected CPU where TensorFlow {tf.__version__} sees no GPU, got GPU")


def names_on(device):
    """Names of the contestants that run on a device."""
    return [name for name, contestant in CONTESTANTS.items() if device in contestant.devices]


def measure(values, shape: Shape, mode):
    """Measures one shape and mode.

    Each mode has fresh processes, because the peak of the memory is that of the whole process.

    Returns:
      The `Worker`s after their turns. Contestants whose library is missing are named on stderr and left out.
    """
    workers = []
    for name in values.contestants or names_on(values.device):
        library = CONTESTANTS[name].library
        if importlib.util.find_spec(library) is None:  # Known before a process has started.
            print(f"{name} is left out, because the package {library} is not installed", file=sys.stderr)
        elif mode in CONTESTANTS[name].modes:
            workers.append(Worker(name, shape, mode, values.device, values.dtype))
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
