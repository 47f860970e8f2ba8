"""A program that writes a file once per event of the file system, and is killed at that event; `file_events.cc` counts.

    LD_PRELOAD=file_events.so python killed_writes.py FOLDER NAME FORMAT first

FOLDER is an empty one. NAME is the file's, or the prefix of a TensorFlow checkpoint. With "again" in place of "first",
a file is overwritten. The program prints a list in JSON. It has a row for each event: the signal that ended the write,
and what is in the file ("old", "new", "none" or an error); then the same after another write that is not killed; and
the names in the folder after that. The signal of the last row is 0.
"""

import ctypes
import json
import os
import shutil
import signal
import sys

import numpy as np

from stacked_lstm import checkpoints

OLD, NEW, NEXT = 1.0, 2.0, 3.0


def layers(number):
    """Two layers of one width, with all numbers the same."""
    shapes = [{"W": [4 + width, 4], "b": [4]} for width in (3, 4)]
    return [
        {key + gate: np.full(shape[key], number, np.float32) for key in "Wb" for gate in "fioc"} for shape in shapes
    ]


def in_child(function):
    """The signal that ended a child process, or minus its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def state_of(path, format):
    """What a reader finds: "old", "new" or "none"; else the error."""
    if not any(name.startswith(os.path.basename(path)) for name in os.listdir(os.path.dirname(path))):
        return "none"
    try:
        read = checkpoints.read(path, format).layers
    except ValueError as error:
        return "none" if "Failed to find any matching files" in str(error) else str(error)  # Data without an index.
    numbers = {float(number) for layer in read for array in layer.weights.values() for number in array.flat}
    return {(OLD,): "old", (NEW,): "new", (NEXT,): "next"}.get(tuple(numbers), str(numbers))


def main(folder, name, format, is_first):
    if name.endswith(".ckpt"):
        import tensorflow  # noqa: F401  Once, not in each child.
    library, results, event = ctypes.CDLL(None), [], 0
    start, path = os.path.join(folder, "start"), os.path.join(folder, "work", name)
    os.mkdir(start)
    if not is_first:
        assert not in_child(lambda: checkpoints.write(os.path.join(start, name), layers(OLD), format))

    def write(number, last):
        work = os.path.dirname(path)
        library.file_events_start(work.encode(), ctypes.c_long(last))
        checkpoints.write(path, layers(number), format, overwrite=True)

    end = signal.SIGKILL
    while end == signal.SIGKILL:
        shutil.copytree(start, os.path.dirname(path))
        end = in_child(lambda: write(NEW, event))
        state = state_of(path, format)
        for leftover in os.listdir(os.path.dirname(path)):
            os.utime(os.path.join(os.path.dirname(path), leftover), (1, 1))
        next_end = in_child(lambda: write(NEXT, -1))
        names = sorted(os.listdir(os.path.dirname(path)))
        results.append([end, state, next_end, state_of(path, format), names])
        shutil.rmtree(os.path.dirname(path))
        event += 1
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3] or None, is_first=sys.argv[4] == "first")
