"""Python programs in processes of their own that need not import TensorFlow: one process has it, and forks for each.

Importing TensorFlow takes some seconds. A program sees nothing else of the process that forks it: `stacked_lstm` is
not imported there, no graph exists, and TensorFlow's behaviour is that of a new process.
"""

import atexit
import contextlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
import types

_server = None  # One for each process that uses `run`.


def run(arguments, cwd=None, env=None, stdin=os.devnull, stdout=None):
    """Like `subprocess.run([sys.executable, *arguments], capture_output=True, cwd=cwd, env=env)`.

    Args:
      arguments: list of str: the path of a program, or -c and a program, or -m and a module; then its arguments.
      cwd: the folder in which it runs; None for the current one.
      env: its environment; None for that of this process. TensorFlow has read its own variables already.
      stdin: the path of a file that it reads.
      stdout: the path of a file that it writes to; None to return the output.
    """
    global _server
    from stacked_lstm.compat import gpu_visible  # Not in the process that forks.

    if gpu_visible():  # CUDA does not survive a fork.
        return _run_alone(arguments, cwd, env, stdin, stdout)
    if _server is None:
        quiet = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")  # As the package's commands set it before the import.
        _server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=quiet)
        atexit.register(_server.communicate)  # The end of its input ends it.
    with tempfile.TemporaryDirectory() as folder:
        files = [stdout or os.path.join(folder, "stdout"), os.path.join(folder, "stderr")]
        environment = dict(os.environ if env is None else env)
        request = [list(map(str, arguments)), str(cwd or os.getcwd()), environment, [stdin, *files]]
        _server.stdin.write(json.dumps(request).encode() + b"\n")
        _server.stdin.flush()
        status = json.loads(_server.stdout.readline().decode())
        printed = []
        for path in files:
            with open(os.devnull if path == stdout else path, "rb") as file:
                printed.append(file.read())
    return subprocess.CompletedProcess(arguments, status, *printed)


def check(arguments, **options):
    """Like `run`, but returns what the program printed; fails with its errors, unless its exit status is 0."""
    result = run(arguments, **options)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def _run_alone(arguments, cwd, env, stdin, stdout):
    """`run` without the process that forks."""
    with contextlib.ExitStack() as files:
        source = files.enter_context(open(stdin, "rb"))
        target = files.enter_context(open(stdout, "wb")) if stdout else subprocess.PIPE
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=env, stdin=source, stdout=target, stderr=subprocess.PIPE)


def _serve():
    """Reads requests from stdin, forks for each, and writes the exit status to stdout; a signal's is negative."""
    import tensorflow.compat.v1  # noqa: F401  It is why this process exists.

    requests, statuses = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    for line in requests:
        child = os.fork()
        if not child:
            requests.close()
            statuses.close()
            os._exit(_status_of(*json.loads(line.decode())))
        status = os.waitpid(child, 0)[1]
        status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        statuses.write(json.dumps(status).encode() + b"\n")
        statuses.flush()


def _status_of(arguments, folder, environment, files):
    """Becomes the program, as far as that is possible in a fork; returns its exit status."""
    for number, path in enumerate(files):
        descriptor = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    status = 0
    try:
        _execute(*arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if status and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _execute(first, *others):
    """Runs what the arguments name as `__main__`."""
    if first == "-c":
        sys.argv, sys.path[:0] = ["-c", *others[1:]], [""]
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(others[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif first == "-m":
        sys.argv, sys.path[:0] = list(others), [""]
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:0] = [first, *others], [os.path.dirname(os.path.abspath(first))]
        sys.modules["__main__"] = types.ModuleType("__main__")
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _serve()
