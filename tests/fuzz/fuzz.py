"""Tries hostile files, hostile calls of the native ops and random networks, for a while.

    python tests/fuzz/fuzz.py                       # two minutes
    python tests/fuzz/fuzz.py --minutes=60 --seed=7
    python tests/fuzz/fuzz.py --kinds=onnx --seed=123 --cases=1   # one case again

A case passes if it succeeds or raises one of the documented errors, within 10 seconds of processor time, ten minutes on
the clock and 3 GiB of memory. The readers of TensorFlow and HDF5 may also end their process, since only
`trusted=False` is safe for such files; the summary counts them. Any other outcome is a failure: the program prints the
kind, the seed and the reason, keeps the files in --keep, and exits with status 1. A file that has found something goes
to `corpus/`.
"""

import argparse
import collections
import contextlib
import faulthandler
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [path for path in (HERE, os.path.dirname(HERE), ROOT) if path not in sys.path]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

SECONDS = 10  # Of processor time for a case.
CLOCK_SECONDS = 600  # For a case that waits forever. Beside other work, 10 seconds of processor time can take minutes.
BYTES = 3 * 2**30
BATCH = 50  # Cases in one process; a network takes as long as many files.
BATCHES = {"networks": 4}


def main(arguments):
    """Runs the cases and prints a summary; returns the exit status."""
    flags = parsed(arguments)
    import kinds

    from stacked_lstm.compat import tf
    from stacked_lstm.engines.native import library
    from stacked_lstm.runtime import library as runtime_library

    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    runtime_library.functions()
    library.load()  # Before processes are forked.
    names = flags.kinds.split(",") if flags.kinds else list(kinds.KINDS)
    if set(names) - set(kinds.KINDS):
        print(f"fuzz.py: expected --kinds of {', '.join(kinds.KINDS)}, got {flags.kinds}", file=sys.stderr)
        return 2
    counts = {name: collections.Counter() for name in names}
    spent = dict.fromkeys(names, 0.0)
    seeds, failures = dict.fromkeys(names, flags.seed), 0
    seconds = 60 * flags.minutes
    end = time.time() + seconds
    while failures < 20:
        unfinished = [name for name in names if not flags.cases or seeds[name] < flags.seed + flags.cases]
        if time.time() > end:
            unfinished = [name for name in unfinished if not counts[name]]  # Each kind gets a turn.
        if not unfinished:
            break
        name, start = min(unfinished, key=spent.get), time.time()  # All kinds get the same time.
        count = BATCHES.get(name, BATCH)
        if flags.cases:
            count = min(count, flags.seed + flags.cases - seeds[name])
        end_of_turn = start + seconds / len(names)
        seed, outcomes, failed = run_batch(kinds.KINDS[name], name, seeds[name], count, end_of_turn, flags.keep)
        seeds[name], failures = seed, failures + failed
        counts[name].update(outcomes)
        spent[name] += time.time() - start
    for name in names:
        total = sum(counts[name].values())
        shown = ", ".join(f"{count} {outcome}" for outcome, count in counts[name].most_common(8))
        print(f"{name}: {total} cases from seed {flags.seed} in {spent[name]:.0f} s: {shown}")
    print(f"{failures} failures{f', files in {flags.keep}' if failures else ''}")
    return 1 if failures else 0


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="how long to run (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first case of each kind (default: 0)")
    parser.add_argument("--kinds", default="", help="comma-separated kinds of cases (default: all)")
    parser.add_argument("--cases", type=int, default=0, help="cases of each kind at most (default: no limit)")
    parser.add_argument("--keep", default=os.path.join(ROOT, "build", "fuzz"), help="folder for files that fail")
    return parser.parse_args(arguments)


def run_batch(kind, name, seed, count, end, keep):
    """Runs cases in a child process: one, and others until the time `end`, or until one ends the process.

    Returns:
      (seed of the next case, list of outcomes, number of failures).
    """
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        child = os.fork()
        if not child:
            try:
                run_cases(kind, seed, count, end, folder, log)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        with open(log, "rb") as file:
            lines = file.read().decode(errors="replace").split("\n\n")
        outcomes, failures = [], 0
        for line in filter(None, lines):
            number, _, outcome = line.partition(" ")
            if number == "end":
                outcomes.append(outcome.split(":")[0])
                if outcome.startswith("FAILED"):
                    failures += 1
                    report(name, seed, outcome, folder, keep)
                seed += 1
        if os.WIFSIGNALED(status):
            reason = signal.Signals(os.WTERMSIG(status)).name
            outcomes.append(f"died of {reason}")
            if not kind.can_die:
                failures += 1
                report(name, seed, f"died of {reason}", folder, keep)
            elif reason != "SIGABRT":  # A reader that runs forever or crashes is rare. Its seed is worth a line.
                print(f"{name}, seed {seed}: died of {reason}, which is documented")
            seed += 1
    return seed, outcomes, failures


def run_cases(kind, seed, count, end, folder, log):
    """What the child process does. It stops after a failure, so that its files are the last ones."""
    faulthandler.disable()  # pytest enables it. A process that dies has nothing to say.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    with open(log, "wb", buffering=0) as file:
        for number in range(seed, seed + count):
            if number > seed and time.time() > end:
                return
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # The signal ends the process, even within a library.
            signal.setitimer(signal.ITIMER_REAL, CLOCK_SECONDS)
            place = os.path.join(folder, "case")
            os.mkdir(place)
            outcome = outcome_of(kind, number, place)
            file.write(f"end {outcome}\n\n".encode(errors="replace"))
            if outcome.startswith("FAILED"):
                return
            shutil.rmtree(place)


def outcome_of(kind, seed, folder):
    try:
        return kind.run(seed, folder)
    except BaseException as error:
        if kind.is_clean(error):
            return "clean errors"
        return "FAILED: " + "".join(traceback.format_exception(type(error), error, error.__traceback__))[-3000:].strip()


def report(name, seed, reason, folder, keep):
    """Prints a failure and keeps its files."""
    target = os.path.join(keep, f"{name}-{seed}")
    shutil.rmtree(target, ignore_errors=True)
    with contextlib.suppress(OSError):
        shutil.copytree(os.path.join(folder, "case"), target)
    print(f"{name}, seed {seed}: {reason}\n  again: python tests/fuzz/fuzz.py --kinds={name} --seed={seed} --cases=1")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
