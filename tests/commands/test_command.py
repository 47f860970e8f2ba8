"""The command line, and one line for an error: the cause, without headings, advice and stack traces."""

import logging
import os
import subprocess
import sys

import absl.logging
import numpy as np
import pytest
from absl import flags

from stacked_lstm.commands import command
from stacked_lstm.compat import tf


def message_of(run, capsys):
    with pytest.raises(SystemExit) as raised, command.one_line_errors("dir/some.py"):
        run()
    assert raised.value.code == 2
    return capsys.readouterr().err


def test_an_error_of_a_running_graph(capsys):
    """TensorFlow's own text begins with a heading, such as "Graph execution error:", and ends with two stack traces."""
    x = tf.placeholder(tf.float32, [None])
    checked = tf.check_numerics(x, "the sum is off")

    def run():
        with tf.Session() as session:
            session.run(checked, {x: [np.inf]})

    error = message_of(run, capsys)
    assert error.startswith("some.py: the sum is off : Tensor had Inf") and error.count("\n") == 1


def test_an_error_of_a_checkpoint(tmp_path, capsys):
    tf.get_variable("there", [2])
    saver, path = tf.train.Saver(), str(tmp_path / "model.ckpt")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        saver.save(session, path)
    with tf.Graph().as_default():
        tf.get_variable("absent", [2])
        other = tf.train.Saver()

        def run():
            with tf.Session() as session:
                other.restore(session, path)

        error = message_of(run, capsys)
    assert error == "some.py: Key absent not found in checkpoint\n"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("2 root error(s) found.\n  (0) Not found: Key a\n", "(0) Not found: Key a"),
        (
            "Graph execution error:\n\nDetected at node 'a'\nNode: 'a'\nKey a is missing\n\t [[{{node a}}]]",
            "Key a is missing",
        ),
        ("Restoring failed. Advice. Original error:\n\nKey a not found\n\t [[node]]", "Key a not found"),
        ("", "ValueError"),
    ],
)
def test_reasons(text, reason):
    assert command.reason_of(ValueError(text)) == reason


@pytest.mark.parametrize(
    "arguments, extra",
    [
        (["forecast"], "forecast"),
        (["--count", "3", "--fast", "forecast", "--count=0"], "forecast --count=0"),
        (["--count", "forecast"], None),
        (["--count=0"], None),
    ],
)
def test_an_argument_without_a_flag(arguments, extra, monkeypatch, capsys):
    """It is named first, because absl only misses the flag that it was meant for."""
    values = flags.FlagValues()
    flags.DEFINE_integer("count", None, "A number.", 1, flag_values=values)
    flags.DEFINE_boolean("fast", False, "Whether.", flag_values=values)
    flags.mark_flag_as_required("count", flag_values=values)
    flags.register_validator("count", lambda count: count != 3, "not 3", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    with pytest.raises(SystemExit):
        command.parse(["some.py", *arguments])
    error = capsys.readouterr().err
    assert error == f"some.py: expected flags only, got {extra}\n" if extra else "--count" in error


@pytest.mark.parametrize(
    "error, message",
    [
        (
            FileNotFoundError(2, "No such file or directory", "a.py"),
            "read or write a.py, got No such file or directory",
        ),
        (OSError(28, "No space left on device"), "read or write its output, got No space left on device"),
    ],
)
def test_an_error_of_the_system_has_no_number(error, message, capsys):
    def run():
        raise error

    assert message_of(run, capsys) == f"some.py: expected to {message}\n"


def test_an_interrupt_within_c(capsys):
    """`SystemError: <built-in function __import__> returned a result with an exception set` is what Python makes."""
    with pytest.raises(SystemExit) as raised, command.one_line_errors("some.py"):
        raise SystemError("a result with an exception set") from KeyboardInterrupt()
    assert raised.value.code == 130 and capsys.readouterr().err == "some.py: interrupted\n"


def test_a_closed_stdout(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dir/some.py"])
    with pytest.raises(SystemExit) as raised, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        command.run(len, len)
    assert raised.value.code == 2
    assert capsys.readouterr().err == "some.py: expected an open stdout, got a closed one\n"


def test_libraries_write_only_errors(caplog):
    """The note of TFLite's converter, "Using experimental converter", is absl's; the log of the package stays."""
    with caplog.at_level(logging.INFO):
        command.graph_mode()
        absl.logging.info("a note")
        absl.logging.error("an error")
        logging.getLogger("stacked_lstm").warning("a warning")
    assert [record.getMessage() for record in caplog.records] == ["an error", "a warning"]


@pytest.mark.parametrize("name", ["compare", "convert", "migrate"])
def test_a_module_is_a_command(name):
    """`python -m stacked_lstm.commands.NAME` does what the console script does."""
    process = subprocess.run(
        [sys.executable, "-m", "stacked_lstm.commands." + name, "--no_such_flag"],
        capture_output=True,
        env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3"),
    )
    last = process.stderr.decode().strip().splitlines()[-1]
    assert process.returncode == 2 and last.startswith(name + ".py: Unknown command line flag 'no_such_flag'"), last
