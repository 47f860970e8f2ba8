"""Measures the engines of StackedLSTM beside other LSTMs: TensorFlow's, tf-keras', PyTorch, ONNX Runtime, OpenVINO.

Each contestant has a process of its own; they take turns, a fraction of a second each, round after round, so that
other work on the machine slows all of them alike; each turn begins when the threads of the one before rest. Modes:
"inference" of frozen graphs, as one deploys them, "training", and "evaluation", inference between steps of training.
With --device=GPU each step still starts from an input in the host's memory, and inference ends with outputs there.

The first table has, for each contestant, the median step, its 10th percentile, the rate of its matrix products, the
memory it took beyond its libraries, and two ratios of medians: how many times as fast as dynamic_rnn it is, and as the
fastest of all the other libraries (whose own ratio is 1). The second table has the medians side by side, and what
"native", on a GPU "cudnn", makes of them; it is the form in which results are recorded in the README. Two contestants
are no LSTMs: "gemm" is the ceiling, the bare matrix products with all time steps at once; "nothing" is what a session's
call costs.

    python scripts/benchmark.py
    python scripts/benchmark.py --shapes="35,20,650,650,2;100,1,16,64,2" --modes=training --rounds=20
    python scripts/benchmark.py --device=GPU --dtype=float16
"""

import importlib.util
import json
import multiprocessing
import os
import platform
import re
import sys

import numpy as np
from absl import app, flags

from contestants import CONTESTANTS, DEVICES, DTYPES, ENGINE_OF, MODES, PEERS, Shape, serve
from stacked_lstm import tf32
from stacked_lstm.compat import tf

FLAGS = flags.FLAGS

SHAPES = "30,64,8,64,3;28,4,28,256,1;28,128,28,256,1;35,20,650,650,2;100,1,16,64,2"

# Key in --json, heading and format of what the first table says of a contestant.
COLUMNS = (
    ("shape", "T,B,I,H,L", "%s"),
    ("mode", "mode", "%s"),
    ("contestant", "contestant", "%s"),
    ("median_ms", "median ms", "%.3f"),
    ("p10_ms", "p10 ms", "%.3f"),
    ("gflops", "GFLOP/s", "%.1f"),
    ("percent_of_gemm", "% of gemm", "%.0f"),
    ("megabytes", "MB", "%.0f"),
    ("times_dynamic_rnn", "times as fast as dynamic_rnn", "%.2f"),
    ("times_fastest_peer", "as the fastest peer", "%.2f"),
)


def define_flags(values=FLAGS):
    """Adds the flags to an `absl.flags.FlagValues`."""
    sizes = "Time steps, batch, input width, hidden width, layers; shapes apart by semicolons."
    whom = f"Who takes part, of {', '.join(CONTESTANTS)}; by default all that run on the device."
    for define, name, default, text, domain in (
        (flags.DEFINE_string, "shapes", SHAPES, sizes, {}),
        (flags.DEFINE_enum, "device", "CPU", "Where all of them run.", {"enum_values": DEVICES}),
        (flags.DEFINE_enum, "dtype", "float32", "What they compute in.", {"enum_values": DTYPES}),
        (flags.DEFINE_list, "contestants", None, whom, {}),
        (flags.DEFINE_list, "modes", ["inference", "training"], f"What to measure, of {', '.join(MODES)}.", {}),
        (flags.DEFINE_integer, "rounds", 10, "How often each contestant has its turn.", {"lower_bound": 1}),
        (flags.DEFINE_float, "seconds", 0.3, "Length of a turn in seconds; at least one step.", {"lower_bound": 0.0}),
        (flags.DEFINE_string, "json", None, "File to write all measurements to, in milliseconds.", {}),
    ):
        define(name=name, default=default, help=text, flag_values=values, **domain)


def parse_shapes(text):
    """Returns a list of `Shape`; raises ValueError on anything but five positive integers each."""
    shapes = []
    for part in text.split(";"):
        numbers = [int(n) if n.strip().isdigit() else 0 for n in part.split(",")]
        if len(numbers) != len(Shape._fields) or min(numbers) < 1:
            raise ValueError(f"--shapes: expected T,B,I,H,L (positive integers), got {part!r}")
        shapes.append(Shape(*numbers))
    return shapes


class Contestant:
    """A contestant's process, as `contestants.serve` describes it; each method may raise what that sends."""

    def __init__(self, name, shape, mode, device, dtype):
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.library = None
        self.milliseconds = []
        self.megabytes = 0
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=serve, args=(remote, name, shape, mode, device, dtype), daemon=True)
        self._process.start()
        remote.close()

    def wait_for_import(self):
        self.library = self._answer()

    def build(self):
        self._answer("build")

    def turn(self, seconds, keep=True):
        """Runs steps for `seconds`; their times are kept unless it is a warm-up."""
        taken, self.megabytes = self._answer(seconds)
        if keep:
            self.milliseconds += [1e3 * t for t in taken]

    def stop(self):
        self._connection.send(None)
        self._process.join()

    def _answer(self, *requests):
        try:
            for request in requests:
                self._connection.send(request)
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            answer = RuntimeError(f"its process ended with status {self._process.exitcode}")
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


def each(contestants, action):
    """Has each contestant do `action`; returns those that could, and says of the others why they are left out."""
    able = []
    for contestant in contestants:
        try:
            action(contestant)
            able.append(contestant)
        except RuntimeError as error:
            print(f"{contestant.name} is left out: {error}", file=sys.stderr)
    return able


def on_the_device():
    """Names of the contestants that run on the device asked for."""
    return [name for name, contestant in CONTESTANTS.items() if FLAGS.device in contestant.devices]


def measure(shape, mode):
    """Returns the `Contestant`s after their turns; those whose library is missing are named and left out.

    One mode at a time, each in fresh processes: memory at most is a process' history.
    """
    contestants = []
    for name in on_the_device() if FLAGS.contestants is None else FLAGS.contestants:
        library = CONTESTANTS[name].library
        if importlib.util.find_spec(library) is None:  # Known before a process has started.
            print(f"{name} is left out: there is no {library}", file=sys.stderr)
        elif mode in CONTESTANTS[name].modes:
            contestants.append(Contestant(name, shape, mode, FLAGS.device, FLAGS.dtype))
    # Libraries are imported side by side, since that takes long; building is one by one, for some measure then.
    contestants = each(contestants, Contestant.wait_for_import)
    contestants = each(contestants, Contestant.build)
    for round_number in range(FLAGS.rounds + 1):
        contestants = each(contestants, lambda c: c.turn(FLAGS.seconds, keep=round_number > 0))
    for contestant in contestants:
        contestant.stop()
    return contestants


def summarize(shape, mode, contestants):
    """Returns a dictionary per contestant: the keys of `COLUMNS`, `steps` and `library`; None where there is none."""
    medians = {c.name: np.median(c.milliseconds) for c in contestants}
    fastest_peer = min((medians[name] for name in PEERS if name in medians), default=None)
    rows = []
    for c in contestants:
        median = medians[c.name]
        row = {
            "shape": str(shape),
            "mode": mode,
            "dtype": FLAGS.dtype,
            "contestant": c.name,
            "library": c.library,
            "steps": len(c.milliseconds),
            "median_ms": median,
            "p10_ms": np.percentile(c.milliseconds, 10),
            "megabytes": c.megabytes if FLAGS.device == "CPU" else None,  # The GPU has memory of its own.
            "gflops": None if c.name == "nothing" else shape.operations(mode) / median / 1e6,
            "times_dynamic_rnn": medians["dynamic_rnn"] / median if "dynamic_rnn" in medians else None,
            "times_fastest_peer": fastest_peer / median if fastest_peer else None,
        }
        row["percent_of_gemm"] = 100 * medians["gemm"] / median if "gemm" in medians and row["gflops"] else None
        rows.append(row)
    return rows


def cell(row, key, form):
    """A number of a measurement; nothing where there is none."""
    return form % row[key] if row.get(key) is not None else ""


def print_row(cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def print_header(headings):
    print_row(headings)
    print(f"|{'---|' * len(headings)}")


def print_record(rows):
    """Prints the second table: a row per shape and mode, a column per contestant."""
    names = [name for name in CONTESTANTS if any(row["contestant"] == name for row in rows)]
    engine = ENGINE_OF[FLAGS.device]
    cells = {}
    for row in rows:
        cells.setdefault((row["shape"], row["mode"]), {})[row["contestant"]] = row
    libraries = ", ".join(sorted({row["library"] for row in rows}))
    print(f"\nMedians in milliseconds, {FLAGS.dtype}. {machine()}; {libraries}.\n")
    about = [f"{engine}: times as fast as the fastest peer", f"{engine}: % of gemm"]
    print_header(["T,B,I,H,L", "mode"] + names + about)
    for (shape, mode), of in cells.items():
        ours = of.get(engine, {})
        ratios = [cell(ours, "times_fastest_peer", "%.2f"), cell(ours, "percent_of_gemm", "%.0f")]
        print_row([shape, mode] + [cell(of.get(name, {}), "median_ms", "%.3f") for name in names] + ratios)


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        models = re.findall(r"^model name\s*:\s*(.*)", cpuinfo.read(), re.M) or [platform.machine()]
    host = f"{models[0]}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if FLAGS.device == "CPU":
        return host
    gpu = gpus()[0]
    details = getattr(tf.config.experimental, "get_device_details", lambda gpu: {})(gpu)  # Not in TensorFlow 1.15.
    return f"{details.get('device_name', gpu.name)}, TF32 {'on' if tf32.asked_for() else 'off'}; {host}"


def gpus():
    return tf.config.experimental.list_physical_devices("GPU")


def check_flags():
    """Returns the list of `Shape`; raises ValueError that names a flag."""
    shapes = parse_shapes(FLAGS.shapes)
    tf32.asked_for()  # Raises where the environment says neither yes nor no.
    if FLAGS.device == "GPU" and not gpus():
        raise ValueError(f"--device: expected CPU where TensorFlow {tf.__version__} sees no GPU, got GPU")
    for flag, known, where in (("contestants", on_the_device(), " on a " + FLAGS.device), ("modes", MODES, "")):
        unknown = sorted(set(FLAGS[flag].value or ()) - set(known))
        if unknown:
            text = "--%s: expected some of %s%s, got %s"
            raise ValueError(text % (flag, ", ".join(known), where, ", ".join(unknown)))
    if FLAGS.json and not os.path.isdir(os.path.dirname(os.path.abspath(FLAGS.json))):
        raise ValueError(f"--json: expected a file in a directory that exists, got {FLAGS.json}")
    return shapes


def main(argv):
    if argv[1:]:
        raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}")
    try:
        shapes = check_flags()
    except ValueError as error:
        sys.exit(f"benchmark.py: {error}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print_header([heading for _, heading, _ in COLUMNS])
    rows = []
    for shape in shapes:
        for mode in FLAGS.modes:
            measured = summarize(shape, mode, measure(shape, mode))
            for row in measured:
                print_row([cell(row, key, form) for key, _, form in COLUMNS])
            rows += measured
            if FLAGS.json:  # After each, so that a long run that is cut short has not been for nothing.
                with open(FLAGS.json + ".part", "w") as file:
                    json.dump({"machine": machine(), "measurements": rows}, file, indent=1)
                os.replace(FLAGS.json + ".part", FLAGS.json)
    print_record(rows)


if __name__ == "__main__":
    define_flags()
    app.run(main)
