"""The command convert: every golden file converted, what it prints, and that an error changes no file."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from absl import flags

from stacked_lstm import StackedLSTM, checkpoints
from stacked_lstm.commands import command, convert
from stacked_lstm.compat import tf
from support import numeric, plain_lstm, programs
from support.checkpoint_files import GOLDEN, PROGRAM, arrays_in, cell, folder, hostile_checkpoint, names_of, saved
from support.initial_states import saved_stack
from support.paths import ROOT
from support.sets import ONCE

FOLDER = os.path.dirname(GOLDEN)
CELLS = os.path.join(GOLDEN, "cells.ckpt")
SCRIPT = os.path.join(ROOT, "scripts", "convert.py")


def run(capsys, **options):
    """(exit status, stdout, stderr) of the command in this process, with `source` for --from."""
    options["from"] = options.pop("source", None)
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
    values, status = flags.FlagValues(), 0
    convert.define_flags(values)
    capsys.readouterr()
    try:
        with command.one_line_errors("convert.py"):
            values(["convert.py"] + arguments)
            convert.main(values)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def golden(folder_, archive, case):
    arrays = np.load(os.path.join(FOLDER, folder_, archive))
    return {key[len(case) + 1 :]: arrays[key] for key in arrays.files if key.startswith(case + "/")}


def restored_outputs(path, x, lengths=None):
    """The outputs of a StackedLSTM whose variables a Saver restored from a converted checkpoint."""
    layers = checkpoints.read(path, "stacked_lstm").layers
    with tf.Graph().as_default(), tf.Session() as session:
        lstm = StackedLSTM([layer.sizes[1] for layer in layers], use_bias="bf" in layers[0].weights)
        outputs, _ = lstm(x, sequence_length=lengths)
        tf.train.Saver().restore(session, path)
        return session.run(outputs)


@pytest.mark.parametrize(
    "source, options, archive, case, x, y",
    [
        ("tensorflow_1_15/cells.ckpt", {"layers": "multi_three/.*"}, "cells.npz", "multi_three", "inputs", "outputs"),
        (
            "tensorflow_1_15/cells.ckpt",
            {"layers": "basic_lstm_forget_bias_large/.*", "forget_bias": 2.5},
            "cells.npz",
            "basic_lstm_forget_bias_large",
            "inputs",
            "outputs",
        ),
        ("tensorflow_1_15/block_cells.ckpt", {"layers": "block/.*"}, "block_cells.npz", "block", "inputs", "outputs"),
        ("tf_keras/stacked.h5", {}, "network.npz", "stacked", "lstm/inputs", "lstm_1/outputs"),
        ("tf_keras/stacked_weights.h5", {}, "network.npz", "stacked", "lstm/inputs", "lstm_1/outputs"),
        ("tf_keras/no_bias.weights.h5", {}, "network.npz", "no_bias", "lstm/inputs", "lstm_1/outputs"),
        ("keras_3/stacked.keras", {}, "network.npz", "stacked", "lstm/inputs", "lstm_1/outputs"),
        ("keras_3/no_bias.h5", {}, "network.npz", "no_bias", "lstm/inputs", "lstm_1/outputs"),
    ],
)
def test_to_a_stacked_lstm(source, options, archive, case, x, y, tmp_path, capsys):
    path = str(tmp_path / "own.ckpt")
    status, printed, errors = run(
        capsys, source=os.path.join(FOLDER, source), to=path, to_format="stacked_lstm", **options
    )
    assert status == 0, errors
    assert f"Wrote {path} and read it back: " in printed and not errors
    numbers = golden(source.split("/")[0], archive, case)
    actual = restored_outputs(path, numbers[x], numbers.get("sequence_length"))
    numeric.check_same({"outputs": actual}, {"outputs": numbers[y]}, 1e-6)


TARGETS = ["own.ckpt", "cells.ckpt", "cudnn.ckpt", "new.weights.h5", "new.h5", "new.npz", "new.safetensors", "new.onnx"]
FORMATS = {"own.ckpt": "stacked_lstm", "cells.ckpt": "rnn_cell", "cudnn.ckpt": "cudnn_compatible"}


@pytest.mark.parametrize("target", TARGETS)
def test_from_pytorch_to_everything(target, tmp_path, capsys):
    """The layers of the converted file compute what PyTorch computed."""
    pytest.importorskip(
        {"x": "onnx", "s": "safetensors"}.get(target[-1], "numpy"), reason="that extra is not installed"
    )
    numbers, path = golden("pytorch", "network.npz", "stacked"), str(tmp_path / target)
    source = os.path.join(FOLDER, "pytorch", "stacked.npz")
    status, _, errors = run(capsys, source=source, to=path, to_format=FORMATS.get(target))
    assert status == 0, errors
    states = list(zip(numbers["initial_state/c"], numbers["initial_state/h"]))
    layers = [layer.weights for layer in checkpoints.read(path).layers]
    outputs, _ = plain_lstm.run(layers, numbers["inputs"], states=states)
    numeric.check_same({"outputs": outputs}, {"outputs": numbers["outputs"]}, 1e-6)


def test_the_report(tmp_path, capsys):
    arrays = dict(cell("rnn/lstm_cell"), **cell("dense", seed=1))
    arrays.update({name + "/Adam": array for name, array in cell("rnn/lstm_cell", seed=2).items()})
    source = saved(tmp_path / "model.ckpt", dict(arrays, global_step=np.int64(7)))
    before = folder(tmp_path)
    options = dict(source=source, to=str(tmp_path / "own.ckpt"), to_format="stacked_lstm")
    status, printed, errors = run(capsys, dry_run=True, **options)
    assert status == 0 and not errors and folder(tmp_path) == before
    row = r"\n  %s +rnn_cell +forward +3 +4 +- +yes +1 +no +float32"
    assert re.search(row % "rnn/lstm_cell" + " +Adam\n", printed)
    assert re.search("only if --layers names them:\n.*" + row % "dense" + " +the shapes of an LSTM", printed, re.S)
    assert re.search(r"\n  rnn/lstm_cell +stacked_lstm +stacked_lstm/layer_1/Wf +7x4\n", printed)
    assert (
        "\nKept unchanged: 3 other arrays (dense/bias, dense/kernel, global_step).\n" in printed
        and printed.endswith("written (--dry_run).\n")
    )
    status, second_report, _ = run(capsys, **options)
    assert status == 0 and second_report.startswith(printed[: printed.index("\nNothing was written")])
    assert set(arrays_in(tmp_path / "own.ckpt")) == {"global_step", "dense/kernel", "dense/bias"} | {
        f"stacked_lstm/layer_1/{kind}{gate}{slot}" for kind in "Wb" for gate in "fioc" for slot in ("", "/Adam")
    }
    status, printed, _ = run(capsys, source=source, to=str(tmp_path / "new.npz"))
    assert status == 0 and "Not converted: 3 other arrays (dense/bias, dense/kernel, global_step)." in printed


def test_forget_biases_scopes_and_templates(tmp_path, capsys):
    path = str(tmp_path / "cells.ckpt")
    status, _, errors = run(
        capsys,
        source=PROGRAM,
        to=path,
        to_format="rnn_cell",
        forget_bias=0.5,
        to_forget_bias=0.25,
        to_scope="new/cell_%d/lstm_cell",
    )
    assert status == 0, errors
    old, new = arrays_in(PROGRAM), arrays_in(path)
    for k in range(2):
        bias = old[f"model/RNN/multi_rnn_cell/cell_{k}/lstm_cell/bias"]
        change = new[f"new/cell_{k}/lstm_cell/bias"] - bias
        units = len(bias) // 4
        np.testing.assert_allclose(change, np.repeat([0, 0, 0.25, 0], units), atol=1e-7)
    status, printed, errors = run(
        capsys, source=path, to=str(tmp_path / "back.ckpt"), to_format="rnn_cell", template=PROGRAM, forget_bias=0.25
    )
    assert status == 0, errors
    assert f"Everything else stays as it is in {PROGRAM}.\nThis includes 8 arrays that an optimizer" in printed
    assert set(arrays_in(tmp_path / "back.ckpt")) == set(old)


def test_one_network_of_several_after_the_other(tmp_path, capsys):
    """The two directions of bidirectional_dynamic_rnn become two stacks in one checkpoint."""
    source, half, whole = (str(tmp_path / name) for name in ("both.ckpt", "half.ckpt", "whole.ckpt"))
    saved(source, dict(cell("net/fw/lstm_cell"), **cell("net/bw/lstm_cell", seed=1)))
    status, printed, errors = run(capsys, source=source, to=half, to_format="stacked_lstm")
    assert status == 2 and "--layers: expected the layers of one network, got " in errors
    assert errors.endswith("2 networks: net/bw, net/fw; name those of one, as in --layers='net/bw.*'\n")
    assert not os.path.exists(half + ".index")
    for start, end, side in [(source, half, "fw"), (half, whole, "bw")]:
        options = dict(layers=f"net/{side}/.*", to_format="stacked_lstm", to_scope=side)
        status, _, errors = run(capsys, source=start, to=end, **options)
        assert status == 0, errors
    assert names_of(checkpoints.read(whole).layers) == ["fw/layer_1", "bw/layer_1"]


@pytest.mark.parametrize(
    "options, expected",
    [
        (dict(to="own.ckpt", to_format="stacked_lstm"), ["rnn add 1 to the forget gate (--forget_bias)"]),
        (dict(to="new.npz"), ["rnn add 1 to the forget gate (--forget_bias)"]),
        (dict(to="new.npz", forget_bias=1.0), []),
        (dict(to="cells.ckpt", to_format="rnn_cell"), []),  # The same one twice: its value does not matter.
        (
            dict(to="cells.ckpt", to_format="rnn_cell", forget_bias=0.5),
            ["the new cells will add 1 to the forget gate (--to_forget_bias)"],
        ),
        (
            dict(to="cells.ckpt", to_format="rnn_cell", to_forget_bias=0.5),
            ["rnn add 1 to the forget gate (--forget_bias)"],
        ),
        (
            dict(source="pytorch/stacked.npz", to="cells.ckpt", to_format="rnn_cell"),
            ["the new cells will add 1 to the forget gate (--to_forget_bias)"],
        ),
        (dict(source="pytorch/stacked.npz", to="own.ckpt", to_format="stacked_lstm"), []),
    ],
)
def test_assumed_forget_biases_are_told(options, expected, tmp_path, capsys):
    """They are not in the files."""
    source = saved(tmp_path / "model.ckpt", cell("rnn/lstm_cell"))
    if "source" in options:
        source = os.path.join(FOLDER, options["source"])
    options = dict(options, source=source, to=str(tmp_path / options["to"]))
    for dry_run in (True, False):
        status, printed, errors = run(capsys, dry_run=dry_run, **options)
        assert status == 0, errors
        told = [line for line in printed.splitlines() if "Assumed: " in line]
        assert len(told) == len(expected) and all(end in line for line, end in zip(told, expected)), told


def test_assumed_forget_biases_of_several_networks(tmp_path, capsys):
    """Each is named."""
    arrays = dict(cell("net/fw/lstm_cell"), **cell("net/bw/lstm_cell", seed=1))
    source, to = saved(tmp_path / "both.ckpt", arrays), str(tmp_path / "new.ckpt")
    template, options = str(tmp_path / "template.ckpt"), dict(to=to, to_format="cudnn_compatible")
    saved(template, {name.replace("lstm_cell", "cudnn_compatible_lstm_cell"): array for name, array in arrays.items()})
    status, printed, errors = run(capsys, source=source, template=template, **options)
    assert status == 0, errors
    assert [line.split(" add ")[0] for line in printed.splitlines() if "Assumed: " in line] == [
        "Assumed: the cells of net/bw",
        "Assumed: the cells of net/fw",
    ]


def test_the_latest_checkpoint_of_a_folder(tmp_path, capsys):
    """An existing one stays the latest, and the command says so. If it is gone, the new one takes its place."""
    first, second, third = (str(tmp_path / f"{name}.ckpt") for name in ("first", "second", "third"))
    saved(first, cell("rnn/lstm_cell"))
    status, printed, _ = run(capsys, source=first, to=second, to_format="stacked_lstm")
    assert status == 0 and f"still names {first} as the latest checkpoint.\n" in printed
    assert tf.train.latest_checkpoint(str(tmp_path)) == first
    for part in (".index", ".data-00000-of-00001"):
        os.remove(first + part)
    status, printed, _ = run(capsys, source=second, to=third, to_format="rnn_cell")
    assert status == 0 and "still names" not in printed
    assert tf.train.latest_checkpoint(str(tmp_path)) == third


@pytest.mark.parametrize("kind", ["learned", "projected"])
def test_an_initial_state_is_not_dropped(kind, tmp_path, capsys):
    """Without a place in the new file, the command asks for a flag and names the arrays."""
    source, to = str(tmp_path / "model.ckpt"), str(tmp_path / "new.weights.h5")
    layers, states = saved_stack(source, kind)
    status, _, errors = run(capsys, source=source, to=to)
    names = [f"encoder/initial_state/layer_{k}/{key}" for k in (1, 2) for key in sorted(states[0])]
    expected = "convert.py: --to: expected --zero_initial_state, since a new file with the layout 'keras' has no place"
    assert status == 2 and errors.startswith(expected) and errors.endswith(f"got {', '.join(names)}\n"), errors
    assert not os.path.exists(to)
    status, printed, errors = run(capsys, source=source, to=to, zero_initial_state=True)
    assert status == 0 and f"Left out (--zero_initial_state): {', '.join(names)}.\n" in printed, errors
    own = str(tmp_path / "own.ckpt")
    status, printed, errors = run(capsys, source=source, to=own, to_format="stacked_lstm")
    assert status == 0 and printed.count(f"initial state {kind}\n") == 2, errors
    assert re.search(
        rf"  encoder/layer_1 +stacked_lstm +stacked_lstm/initial_state/layer_1/{sorted(states[0])[0]} ", printed
    )
    for layer, state in zip(checkpoints.read(own).layers, states):
        assert all(np.array_equal(layer.initial_state[key], state[key]) for key in state)


ERRORS = [
    (dict(source=None), "--from: expected a file name, got none"),
    (dict(to=None), "--to: expected a file name, got none"),
    (dict(source="missing.ckpt"), "--from: expected a TensorFlow checkpoint in .*missing.ckpt"),
    (
        dict(to_format=None),
        "--to: expected a file name that ends in one of .weights.h5 .* --to_format as one of stacked_lstm",
    ),
    (
        dict(to="there.npz", to_format=None),
        "--to: expected the name of a new file, or --overwrite, got .*there.npz, which exists",
    ),
    (
        dict(to="own.onnx"),
        "--to: expected --to_format to be 'onnx', which the name of .*own.onnx implies, got 'stacked_lstm'",
    ),
    (dict(to="no/where.ckpt"), "--to: expected an existing folder"),
    (
        dict(layers=None, source=os.path.join(GOLDEN, "block_cells.ckpt")),
        r"--layers: expected the layers of one network, got \d+ networks: block.*as in --layers='block",
    ),
    (
        dict(layers="nothing"),
        "--from: expected --layers to match .* got 'nothing'; the names are basic_lstm/rnn/basic_lstm_cell",
    ),
    (dict(max_bytes=100), "--from: expected arrays of at most 100 bytes together in .*, or a larger --max_bytes, got"),
    (dict(max_bytes=0), "flag --max_bytes=0: 0 is not a positive integer"),
    (dict(source="model.pt", layers=None), "--from: expected a file without pickles, .*save_file.*, got .*model.pt"),
    (dict(layers="["), "--from: expected --layers to be a regular expression"),
    (
        dict(layers="lstm_peepholes/.*", to="new.npz", to_format=None),
        "--to: the layer has peepholes, for which the layout 'pytorch' has no place",
    ),
    (dict(layers="(multi_two|lstm)/.*"), "each as wide as the next one's input"),
    (dict(layers="both/.*"), "--layers selects to be one stack, all of one direction, got .* backward"),
    (dict(template="there.npz"), "--template: expected a TensorFlow checkpoint in .*there.npz"),
    (
        dict(from_format="pytorch", source="there.npz", layers=None),
        "--from: expected LSTM layers in .*there.npz, got none",
    ),
    (dict(to_forget_bias="inf"), "--to: expected --to_forget_bias to be a finite number, got inf"),
    (dict(to="new.keras", to_format=None), "--to: expected --template to be an existing .keras file, because"),
    (dict(template=CELLS, to_scope="a"), "--to: expected no --to_scope, since --template names the layers, got 'a'"),
    (dict(template_layers="a"), "--to: expected no --template_layers without --template, got 'a'"),
    (
        dict(template=CELLS, to_format="rnn_cell", template_layers="no"),
        "--template: expected --template_layers to match the names of LSTM layers in .*, got 'no'",
    ),
    (dict(to_format="torch"), r"flag --to_format=torch: value should be one of"),
    (dict(forget_bias="nan"), "--from: expected --forget_bias to be a finite number, got nan"),
]


@pytest.mark.parametrize("change, message", ERRORS, ids=[message[:30] for _, message in ERRORS])
def test_errors(change, message, tmp_path, capsys):
    np.savez(str(tmp_path / "there.npz"), a=np.zeros(3))
    before = folder(tmp_path)
    options = dict(dict(source=CELLS, layers="multi_two/.*", to="own.ckpt", to_format="stacked_lstm"), **change)
    for name in ("source", "to", "template"):
        if options.get(name):
            options[name] = os.path.join(str(tmp_path), options[name])
    status, _, errors = run(capsys, **options)
    assert status == 2 and re.match("convert.py: .*" + message, errors), errors
    assert "Traceback" not in errors and folder(tmp_path) == before


def test_the_command_itself(tmp_path):
    """A process of its own reports an error without a traceback."""
    arguments = [f"--from={tmp_path / 'no.npz'}", f"--to={tmp_path / 'own.npz'}"]
    result = subprocess.run([sys.executable, SCRIPT] + arguments, capture_output=True)
    errors = result.stderr.decode()
    assert result.returncode == 2 and "Traceback" not in errors
    assert re.search(r"^convert.py: --from: expected .* in .*no.npz, got no such file$", errors, re.M)


@ONCE
@pytest.mark.parametrize("flag, role", [(None, "from"), (None, "template"), ("--trusted", "from")])
def test_a_checkpoint_that_ends_its_reader(flag, role, tmp_path):
    """Its process dies. That is one line, unless the user says that the file is trusted."""
    hostile = hostile_checkpoint(tmp_path / "model.ckpt", [-5])
    good = os.path.join(FOLDER, "pytorch", "stacked.npz")
    before = folder(tmp_path)
    arguments = [f"--from={hostile}"] if role == "from" else [f"--from={good}", f"--template={hostile}"]
    arguments += [f"--to={tmp_path / 'own.ckpt'}", "--to_format=rnn_cell"] + [flag] * (flag is not None)
    result = programs.run([SCRIPT, *arguments])
    if flag:
        assert result.returncode == -signal.SIGABRT
    else:
        expected = (
            "convert.py: --from: expected a file that does no harm, got .*model.ckpt, which ends the process .*\n"
        )
        assert result.returncode == 2 and re.fullmatch(expected, result.stderr.decode()), result.stderr
    assert folder(tmp_path) == before


PROGRAM_WITHOUT_TENSORFLOW = """
import sys, time
start = time.time()
from stacked_lstm.commands import convert
sys.argv = ["convert.py"] + sys.argv[1:]
try:
    convert.run()
finally:
    print("imported", sorted({"tensorflow", "h5py", "onnx"} & set(sys.modules)), time.time() - start < 1)
"""


def test_help_is_quick_and_needs_no_tensorflow():
    """It prints the docstring and every flag in less than a second."""
    arguments = [sys.executable, "-c", PROGRAM_WITHOUT_TENSORFLOW, "--help"]
    result = subprocess.run(arguments, capture_output=True)
    printed, values = result.stdout.decode(), flags.FlagValues()
    convert.define_flags(values)
    assert result.returncode == 0 and printed.endswith("imported [] True\n"), printed + result.stderr.decode()
    assert printed.startswith(convert.__doc__[:40]) and all(
        re.search(rf"--(\[no\])?{name}:", printed) for name in values
    )


def test_without_tensorflow(tmp_path):
    """A conversion from PyTorch to Keras imports no TensorFlow."""
    source, target = os.path.join(FOLDER, "pytorch", "stacked.npz"), str(tmp_path / "new.weights.h5")
    program = [sys.executable, "-c", PROGRAM_WITHOUT_TENSORFLOW, "--from=" + source, "--to=" + target]
    result = subprocess.run(program + ["--trusted"], capture_output=True)
    assert "imported ['h5py']" in result.stdout.decode(), result.stderr.decode()
    assert result.returncode == 0 and len(checkpoints.read(target).layers) == 2


def test_averages_with_a_name_of_their_own(tmp_path, capsys):
    arrays = dict(cell("rnn/lstm_cell"), **{name + "/mean": array for name, array in cell("rnn/lstm_cell").items()})
    source, to = saved(tmp_path / "model.ckpt", arrays), str(tmp_path / "own.ckpt")
    for averages, text in [(None, " mean\n"), ("mean", r" mean \(average\)\n")]:
        options = dict(source=source, to=to, to_format="stacked_lstm", averages=averages, overwrite=True)
        status, printed, errors = run(capsys, **options)
        assert status == 0 and re.search(text, printed), errors
        same = np.array_equal(*(arrays_in(to)["stacked_lstm/layer_1/bf" + end] for end in ("", "/mean")))
        assert same == (averages is not None)
