"""What tests let a child process do: functions without arguments that misbehave as readers of files do."""

import os
import sys
import time

import numpy as np


def abort():
    os.abort()


def loop():
    while True:
        pass


def sleep():
    time.sleep(60)


def allocate():
    try:
        np.empty(2**34, np.uint8)  # No page of it is touched.
    except MemoryError:
        sys.exit("no memory")


def tell():
    """Prints the arguments and the paths of modules."""
    print(sys.argv, sys.path)
    print("to stderr", file=sys.stderr)
    sys.exit(3)
