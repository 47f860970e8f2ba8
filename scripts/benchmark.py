"""Measures the engines of StackedLSTM beside other LSTMs: TensorFlow's, tf-keras', PyTorch, ONNX Runtime, OpenVINO.

Each contestant has a process of its own; they take turns, a fraction of a second each, round after round, so that
other work on the machine slows all of them alike. The table gives for each the median step, its 10th percentile, the
rate of its matrix products, the memory it took beyond its libraries, and how many times as fast as dynamic_rnn it is
(ratio of medians; 0 where that takes no part). The contestant "gemm" is no LSTM, but the ceiling: the same matrix
products, with all time steps at once.

    python scripts/benchmark.py
    python scripts/benchmark.py --shapes="35,20,650,650,2;100,1,16,64,2" --modes=training --rounds=20
"""

import importlib.util
import json
import multiprocessing
import os
import platform
import sys

import numpy as np
from absl import app, flags

from contestants import CONTESTANTS, MODES, Shape, serve

FLAGS = flags.FLAGS

REFERENCE = "dynamic_rnn"
SHAPES = "30,64,8,64,3;28,4,28,256,1;28,128,28,256,1;35,20,650,650,2;100,1,16,64,2"

flags.DEFINE_string(
    "shapes", SHAPES, "Time steps, batch, input width, hidden width, layers; shapes apart by semicolons."
)
flags.DEFINE_list("contestants", list(CONTESTANTS), "Who takes part, of %s." % ", ".join(CONTESTANTS))
flags.DEFINE_list("modes", list(MODES), "What to measure, of %s." % ", ".join(MODES))
flags.DEFINE_integer("rounds", 10, "How often each contestant has its turn.", lower_bound=1)
flags.DEFINE_float("seconds", 0.3, "Length of a turn in seconds; at least one step.", lower_bound=0.0)
flags.DEFINE_string("json", None, "File to write all measurements to, in milliseconds.")


def parse_shapes(text):
    """Returns a list of `Shape`; raises ValueError on anything but five positive integers each."""
    shapes = []
    for part in text.split(";"):
        numbers = [int(n) if n.strip().isdigit() else 0 for n in part.split(",")]
        if len(numbers) != len(Shape._fields) or min(numbers) < 1:
            raise ValueError("--shapes: expected T,B,I,H,L (positive integers), got %r" % part)
        shapes.append(Shape(*numbers))
    return shapes


class Contestant(object):
    """A contestant's process, as `contestants.serve` describes it."""

    def __init__(self, name, shape):
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.milliseconds = []
        self.megabytes = 0
        self._connection, remote = context.Pipe()
        self._process = context.Process(target=serve, args=(remote, name, shape), daemon=True)
        self._process.start()
        remote.close()
        self.problem = self._connection.recv()

    def turn(self, mode, seconds, keep=True):
        """Runs steps for `seconds`; their times are kept unless it is a warm-up."""
        self._connection.send((mode, seconds))
        taken, self.megabytes = self._connection.recv()
        if keep:
            self.milliseconds += [1e3 * t for t in taken]

    def stop(self):
        if self.problem is None:
            self._connection.send(None)
        self._process.join()


def measure(shape, mode):
    """Returns the `Contestant`s after their turns; those whose library is missing are named and left out.

    One mode at a time, each in fresh processes: memory at most is a process' history.
    """
    contestants = []
    for name in FLAGS.contestants:
        if mode not in CONTESTANTS[name].modes:
            continue
        if importlib.util.find_spec(CONTESTANTS[name].library) is None:  # Known before a process has started.
            print("%s is left out: there is no %s" % (name, CONTESTANTS[name].library), file=sys.stderr)
            continue
        contestant = Contestant(name, shape)
        if contestant.problem:
            print("%s is left out: %s" % (name, contestant.problem), file=sys.stderr)
            contestant.stop()
        else:
            contestants.append(contestant)
    for round_number in range(FLAGS.rounds + 1):
        for contestant in contestants:
            contestant.turn(mode, FLAGS.seconds, keep=round_number > 0)
    for contestant in contestants:
        contestant.stop()
    return contestants


def report(shape, mode, contestants):
    """Prints a table row per contestant and returns them as dictionaries."""
    medians = {c.name: np.median(c.milliseconds) for c in contestants}
    rows = []
    for c in contestants:
        median, low = medians[c.name], np.percentile(c.milliseconds, 10)
        ratio = medians.get(REFERENCE, 0) / median
        rate = shape.operations(mode) / median / 1e6
        cells = (shape, mode, c.name, median, low, rate, c.megabytes, ratio)
        print("| %s | %s | %s | %.2f | %.2f | %.1f | %.0f | %.2f |" % cells, flush=True)
        keys = ("shape", "mode", "contestant", "median_ms", "p10_ms", "gflops", "megabytes", "times_as_fast")
        rows.append(dict(zip(keys, (str(shape),) + cells[1:]), steps=len(c.milliseconds)))
    return rows


def main(argv):
    if argv[1:]:
        raise app.UsageError("unexpected arguments: %s" % " ".join(argv[1:]))
    try:
        shapes = parse_shapes(FLAGS.shapes)
        for flag, known in (("contestants", CONTESTANTS), ("modes", MODES)):
            unknown = set(FLAGS[flag].value) - set(known)
            if unknown:
                raise ValueError("--%s: expected some of %s, got %s" % (flag, ", ".join(known), ", ".join(unknown)))
        if FLAGS.json and not os.path.isdir(os.path.dirname(os.path.abspath(FLAGS.json))):
            raise ValueError("--json: expected a file in a directory that exists, got %s" % FLAGS.json)
    except ValueError as error:
        sys.exit("benchmark.py: %s" % error)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print("%s, %d cores, Python %s\n" % (platform.machine(), os.cpu_count(), platform.python_version()))
    print("| T,B,I,H,L | mode | contestant | median ms | p10 ms | GFLOP/s | MB | times as fast as %s |" % REFERENCE)
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for shape in shapes:
        for mode in FLAGS.modes:
            rows += report(shape, mode, measure(shape, mode))
    if FLAGS.json:
        with open(FLAGS.json + ".part", "w") as file:
            json.dump(rows, file, indent=1)
        os.replace(FLAGS.json + ".part", FLAGS.json)


if __name__ == "__main__":
    app.run(main)
