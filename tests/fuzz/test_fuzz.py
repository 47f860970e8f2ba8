"""The files that the fuzzer has found, and the fuzzer itself: it finds what is wrong, and a short run finds nothing."""

import os
import random
import subprocess
import sys
import time

import kinds
import mutations
import pytest

import fuzz
from stacked_lstm import checkpoints
from stacked_lstm.checkpoints.safety import child_process
from support.suite.paths import ROOT
from support.suite.sets import EXHAUSTIVE, ONCE

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
PACKAGES = {".onnx": "onnx", ".safetensors": "safetensors"}


@pytest.mark.parametrize("name", sorted(name for name in os.listdir(CORPUS) if name != "unsafe"))
def test_what_was_found(name):
    """It is read, or refused with one clean error, soon and without much memory."""
    pytest.importorskip(PACKAGES.get(os.path.splitext(name)[1], "numpy"), reason="that extra is not installed")
    for trusted in (True, False):
        start = time.time()
        try:
            checkpoints.read(os.path.join(CORPUS, name), trusted=trusted)
        except ValueError as error:
            assert str(error).startswith("checkpoints.read: expected ") and "MemoryError" not in str(error)
        assert time.time() - start < 30


@pytest.mark.parametrize("name", sorted(os.listdir(os.path.join(CORPUS, "unsafe"))))
def test_what_ends_a_reader(name, monkeypatch):
    """Its reader would end this process or run forever. In a child process, that is one error."""
    monkeypatch.setattr(child_process, "_SECONDS", 3)
    with pytest.raises(ValueError, match="^checkpoints.read: expected "):
        checkpoints.read(os.path.join(CORPUS, "unsafe", name), trusted=False)


def wrong(name):
    """A function that misbehaves at its third seed."""

    def run(seed, folder):
        with open(os.path.join(folder, "input"), "w") as file:
            file.write(str(seed))
        if seed == 12:
            if name == "raise":
                raise RuntimeError("unexpected")
            if name == "abort":
                os.abort()
            if name == "wait":
                time.sleep(3600)
            while name == "loop":
                pass
            bytearray(2**40)
        return "passed"

    return run


@ONCE
@pytest.mark.parametrize(
    "name, reason",
    [
        ("raise", "unexpected"),
        ("abort", "died of SIGABRT"),
        ("loop", "died of SIGPROF"),
        ("wait", "died of SIGALRM"),
        ("allocate", "MemoryError"),
    ],
)
def test_it_finds_what_is_wrong(name, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    if name == "wait":
        monkeypatch.setattr(fuzz, "CLOCK_SECONDS", 3)
    kind = FakeKind(wrong(name))
    end = time.time() + 60
    seed, outcomes, failures = fuzz.run_batch(kind, "fake", 10, 5, end, str(tmp_path))
    assert failures == 1 and seed == 13 and outcomes[:2] == ["passed", "passed"] and len(outcomes) == 3
    printed = capsys.readouterr().out
    assert printed.startswith("fake, seed 12: ") and reason in printed and "--kinds=fake --seed=12 --cases=1" in printed
    assert (tmp_path / "fake-12" / "input").read_text() == "12"
    if name in ("abort", "loop"):  # What the documentation says of some readers.
        kind.can_die = True
        assert fuzz.run_batch(kind, "fake", 10, 5, end, str(tmp_path))[2] == 0


class FakeKind:
    def __init__(self, run):
        self.run, self.can_die = run, False

    def is_clean(self, error):
        return isinstance(error, ValueError)


def test_mutations_change_files_and_repeat():
    """Each kind makes other bytes, the same ones for the same seed, and often a file whose parts are still sound."""
    for suffix in (".npz", ".keras", ".h5", ".onnx", ".safetensors", ".ckpt.index"):
        with open(kinds.golden_files(suffix)[0], "rb") as file:
            data = file.read()
        kind = suffix.replace(".ckpt", "")
        results = [mutations.mutate(data, kind, random.Random(seed)) for seed in range(40)]
        assert results == [mutations.mutate(data, kind, random.Random(seed)) for seed in range(40)]
        assert sum(result != data for result in results) > 30
        if kind in (".onnx", ".index", ".safetensors"):
            assert sum(is_sound(mutations.KINDS[kind], result) for result in results) > 15


def is_sound(mutation, data):
    """Whether the mutation of parts can read a file."""
    try:
        mutation(data, random.Random(0))
    except Exception:
        return False
    return True


@EXHAUSTIVE  # `.ci/run` runs the fuzzer itself.
def test_a_short_run():
    arguments = [sys.executable, os.path.join(ROOT, "tests", "fuzz", "fuzz.py"), "--cases=5", "--seed=5", "--minutes=9"]
    result = subprocess.run(arguments, capture_output=True)
    printed = result.stdout.decode()
    assert result.returncode == 0 and printed.endswith("\n0 failures\n"), printed + result.stderr.decode()
    assert printed.count(" 5 cases from seed 5 ") == len(kinds.KINDS), printed
