"""What all commands share: parsing the flags, one line per error, and the exit status.

A command is a module with a docstring, which `--help` prints, and two functions: `define_flags(values)` adds its flags
to an `absl.flags.FlagValues`, and `main(values)` does the work. The exit status is 0 after success, 1 where the command
ran and its answer is no, 2 where it could not do what was asked, and 130 after an interruption.

This module imports no TensorFlow, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import signal
import sys
from typing import Callable, Iterator, Sequence

from absl import app, flags

# What a wrong argument, a missing package or a damaged file raises. Other errors are faults and keep their traceback.
_ERRORS = (ImportError, OSError, TypeError, ValueError, flags.Error)


def run(define_flags: Callable[[flags.FlagValues], None], main: Callable[..., None], takes_files: bool = False) -> None:
    """Runs a command from its command line and exits.

    Args:
      define_flags: adds the command's flags to an `absl.flags.FlagValues`.
      main: does the work, with the parsed flags. Its module's docstring is what `--help` prints.
      takes_files: whether the command line has names of files, too; `main` then gets them as a second argument.
        Default False.
    """
    if sys.stdout is None:  # Python's name for one that the shell has closed.
        _exit(sys.argv[0], "expected an open stdout, got a closed one", 2)
    sys.modules["__main__"].__doc__ = sys.modules[main.__module__].__doc__
    known = set(flags.FLAGS)
    define_flags(flags.FLAGS)
    for name in set(flags.FLAGS) - known:  # absl's --help shows the key flags of the script.
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])

    def check_and_run(argv: list[str]) -> None:
        with one_line_errors(argv[0]):
            if argv[1:] and not takes_files:
                raise ValueError(f"expected flags only, got {' '.join(argv[1:])}")
            main(flags.FLAGS, *[argv[1:]] * takes_files)

    app.run(check_and_run, flags_parser=functools.partial(parse, takes_files=takes_files))


def parse(argv: list[str], takes_files: bool = False) -> list[str]:
    """Parses the flags of a command line, whose first entry is the script; returns the other arguments.

    Args:
      argv: the command line.
      takes_files: as in `run`.
    """
    with one_line_errors(argv[0]):
        try:
            return flags.FLAGS(argv)
        except SystemExit:  # absl exits with 1 after --help.
            sys.exit(0)
        except flags.IllegalFlagValueError as error:  # Such as a missing flag, whose value the program was given bare.
            extra = [] if takes_files else _first_argument(argv[1:])
            if extra:
                raise ValueError(f"expected flags only, got {' '.join(extra)}") from error
            raise


def _first_argument(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments from the first one that is neither a flag nor the value of the flag before it."""
    is_value = False
    for k, argument in enumerate(arguments):
        if not is_value and not argument.startswith("-"):
            return arguments[k:]
        name = argument.lstrip("-")
        is_value = not is_value and name in flags.FLAGS and not flags.FLAGS[name].boolean
    return []


@contextlib.contextmanager
def one_line_errors(script: str) -> Iterator[None]:
    """Prints an error of arguments, files or TensorFlow as one line and exits with status 2.

    A reader that stops early, such as `| head`, is no error worth a line.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would flush once more and complain.
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        _exit(script, "interrupted", 128 + signal.SIGINT)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python's C functions turn it into a SystemError.
            _exit(script, "interrupted", 128 + signal.SIGINT)
        if not isinstance(error, _ERRORS + _tensorflow_errors()):
            raise
        hint = " (--helpshort lists the flags)" if isinstance(error, flags.Error) else ""
        reason = reason_of(error) if isinstance(error, _tensorflow_errors()) else _with_file(error)
        _exit(script, f"{reason}{hint}", 2)


def _with_file(error: Exception) -> str:
    """The message of an error. One of the operating system has a number and quotes in Python's words."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    place = "its output" if error.filename is None and error.errno == errno.ENOSPC else error.filename
    return f"expected to read or write {place}, got {error.strerror}" if place else error.strerror


def reason_of(error: Exception) -> str:
    """What an error says in one line. TensorFlow surrounds its reason with advice and stack traces."""
    text = str(error).split("Original error:")[-1].split("Original stack trace")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for k, line in enumerate(lines):
        if line.startswith("Node: ") and k + 1 < len(lines):  # Since TensorFlow 2.7 the reason follows this line.
            return lines[k + 1]
    headings = ("Graph execution error:", "root error(s) found.")
    return next((line for line in lines if not line.endswith(headings)), type(error).__name__)


def graph_mode() -> None:
    """Prepares TensorFlow for a command: it builds graphs and writes only errors to stderr."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from stacked_lstm.compat import tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    # TFLite's converter writes to absl's logger. `absl.logging.set_verbosity` would also silence this package's log.
    logging.getLogger("absl").setLevel(logging.ERROR)
    tf.disable_v2_behavior()


def _tensorflow_errors() -> tuple[type, ...]:
    """TensorFlow's class of errors, once TensorFlow is imported."""
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()


def _exit(script: str, message: str, status: int) -> None:
    print(f"{os.path.basename(script)}: {message}", file=sys.stderr)
    sys.exit(status)
