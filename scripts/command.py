"""What command lines share: whatever cannot be done ends in one line and status 2, without a traceback."""

import contextlib
import os
import signal
import sys

from absl import app, flags

from stacked_lstm.compat import tf


@contextlib.contextmanager
def one_line_errors(script):
    """Turns the errors of arguments, files and TensorFlow into a line and status 2.

    Where nobody reads stdout to its end, as with `| head`, there is nothing to say.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would flush once more and complain.
        sys.exit(128 + signal.SIGPIPE)
    except (ImportError, OSError, TypeError, ValueError, flags.Error, tf.errors.OpError) as error:
        print(f"{os.path.basename(script)}: {error}", file=sys.stderr)
        if isinstance(error, flags.Error):
            print("Try --helpshort.", file=sys.stderr)
        sys.exit(2)


def parse(argv):
    """Parses the flags of a command line, whose first entry is the script; returns the other arguments."""
    with one_line_errors(argv[0]):
        return flags.FLAGS(argv)


def run(main):
    """Runs a script's `main`, a function without arguments, with its flags parsed and nothing else on the line."""

    def check_and_run(argv):
        if argv[1:]:
            raise app.UsageError(f"unexpected arguments: {' '.join(argv[1:])}", exitcode=2)
        tf.logging.set_verbosity(tf.logging.ERROR)
        tf.disable_v2_behavior()
        main()

    app.run(check_and_run, flags_parser=parse)
