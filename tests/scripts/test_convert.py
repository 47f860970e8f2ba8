"""scripts/convert.py as users run it: from every golden file, what it prints, and that an error changes nothing."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from absl.testing import flagsaver

import command
import convert
from stacked_lstm import StackedLSTM, checkpoints
from stacked_lstm.compat import tf
from support import numeric, plain_lstm
from support.checkpoint_files import GOLDEN, PROGRAM, arrays_in, cell, folder, names_of, saved

FOLDER = os.path.dirname(GOLDEN)
CELLS = os.path.join(GOLDEN, "cells.ckpt")
SCRIPT = convert.__file__


@pytest.fixture(autouse=True)
def own_flags():
    """Flags as they were before, whatever a test gives."""
    with flagsaver.flagsaver():
        yield


def run(capsys, **flags):
    """(exit status, stdout, stderr) of the script in this process, with `source` for --from."""
    flags["from"] = flags.pop("source", None)
    given = ["--%s=%s" % item for item in flags.items() if item[1] is not None]
    capsys.readouterr()
    convert.FLAGS.unparse_flags()
    status = 0
    try:
        command.parse([SCRIPT] + given)
        convert.main()
    except SystemExit as left:
        status = left.code
    printed = capsys.readouterr()
    return status or 0, printed.out, printed.err


def golden(folder_, archive, case):
    arrays = np.load(os.path.join(FOLDER, folder_, archive))
    return {key[len(case) + 1 :]: arrays[key] for key in arrays.files if key.startswith(case + "/")}


def restored_outputs(path, x, lengths=None):
    """What a StackedLSTM computes with the variables of a converted checkpoint, restored by a Saver."""
    layers = checkpoints.read(path, "stacked_lstm").layers
    with tf.Graph().as_default(), tf.Session() as session:
        lstm = StackedLSTM([checkpoints.sizes(layer.layer)[1] for layer in layers], use_bias="bf" in layers[0].layer)
        outputs, _ = lstm(x, sequence_length=lengths)
        tf.train.Saver().restore(session, path)
        return session.run(outputs)


@pytest.mark.parametrize(
    "source, flags, archive, case, x, y",
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
def test_to_a_stacked_lstm(source, flags, archive, case, x, y, tmp_path, capsys):
    path = str(tmp_path / "own.ckpt")
    status, printed, errors = run(
        capsys, source=os.path.join(FOLDER, source), to=path, to_format="stacked_lstm", **flags
    )
    assert status == 0, errors
    assert f"Wrote {path}, and read it back" in printed and not errors
    numbers = golden(source.split("/")[0], archive, case)
    found = restored_outputs(path, numbers[x], numbers.get("sequence_length"))
    numeric.check_same({"outputs": found}, {"outputs": numbers[y]}, 1e-6)


TARGETS = ["own.ckpt", "cells.ckpt", "cudnn.ckpt", "new.weights.h5", "new.h5", "new.npz", "new.safetensors", "new.onnx"]
FORMATS = {"own.ckpt": "stacked_lstm", "cells.ckpt": "rnn_cell", "cudnn.ckpt": "cudnn_compatible"}


@pytest.mark.parametrize("target", TARGETS)
def test_from_pytorch_to_everything(target, tmp_path, capsys):
    """What was converted, read again, computes what PyTorch computed."""
    pytest.importorskip(
        {"x": "onnx", "s": "safetensors"}.get(target[-1], "numpy"), reason="that extra is not installed"
    )
    numbers, path = golden("pytorch", "network.npz", "stacked"), str(tmp_path / target)
    source = os.path.join(FOLDER, "pytorch", "stacked.npz")
    status, _, errors = run(capsys, source=source, to=path, to_format=FORMATS.get(target))
    assert status == 0, errors
    states = list(zip(numbers["initial_state/c"], numbers["initial_state/h"]))
    layers = [found.layer for found in checkpoints.read(path).layers]
    outputs, _ = plain_lstm.run(layers, numbers["inputs"], states=states)
    numeric.check_same({"outputs": outputs}, {"outputs": numbers["outputs"]}, 1e-6)


def test_the_report(tmp_path, capsys):
    arrays = dict(cell("rnn/lstm_cell"), **cell("dense", seed=1))
    arrays.update({name + "/Adam": array for name, array in cell("rnn/lstm_cell", seed=2).items()})
    source = saved(tmp_path / "model.ckpt", dict(arrays, global_step=np.int64(7)))
    before = folder(tmp_path)
    flags = dict(source=source, to=str(tmp_path / "own.ckpt"), to_format="stacked_lstm")
    status, printed, errors = run(capsys, dry_run=True, **flags)
    assert status == 0 and not errors and folder(tmp_path) == before
    row = r"\n  %s +rnn_cell +forward +3 +4 +- +yes +1 +no +float32"
    assert re.search(row % "rnn/lstm_cell" + " +Adam\n", printed)
    assert re.search("only if --layers names them:\n.*" + row % "dense" + " +shapes of an LSTM", printed, re.S)
    assert re.search(r"\n  rnn/lstm_cell +stacked_lstm +stacked_lstm/layer_1/Wf +7x4\n", printed)
    assert "\n3 other arrays are kept as they are.\n" in printed and printed.endswith("written (--dry_run).\n")
    status, again, _ = run(capsys, **flags)
    assert status == 0 and again.startswith(printed[: printed.index("\nNothing was written")])
    assert set(arrays_in(tmp_path / "own.ckpt")) == {"global_step", "dense/kernel", "dense/bias"} | {
        f"stacked_lstm/layer_1/{kind}{gate}{slot}" for kind in "Wb" for gate in "fioc" for slot in ("", "/Adam")
    }
    status, printed, _ = run(capsys, source=source, to=str(tmp_path / "new.npz"))
    assert status == 0 and "3 other arrays stay behind." in printed


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
    assert f"All else is as in {PROGRAM}.\nThat goes for 8 arrays that an optimizer" in printed
    assert set(arrays_in(tmp_path / "back.ckpt")) == set(old)


def test_one_network_of_several_after_the_other(tmp_path, capsys):
    """The two directions of bidirectional_dynamic_rnn become two stacks in one checkpoint."""
    source, half, whole = (str(tmp_path / name) for name in ("both.ckpt", "half.ckpt", "whole.ckpt"))
    saved(source, dict(cell("net/fw/lstm_cell"), **cell("net/bw/lstm_cell", seed=1)))
    status, printed, errors = run(capsys, source=source, to=half, to_format="stacked_lstm")
    assert status == 2 and "expected `--layers` to name the layers of one stack" in errors
    assert errors.rstrip().endswith("net/bw, net/fw") and not os.path.exists(half + ".index")
    for start, end, side in [(source, half, "fw"), (half, whole, "bw")]:
        flags = dict(layers=f"net/{side}/.*", to_format="stacked_lstm", to_scope=side)
        status, _, errors = run(capsys, source=start, to=end, **flags)
        assert status == 0, errors
    assert names_of(checkpoints.read(whole).layers) == ["fw/layer_1", "bw/layer_1"]


ERRORS = [
    (dict(source=None), "flags: expected `--from` to name a file, got None"),
    (dict(to=None), "flags: expected `--to` to name a file, got None"),
    (dict(source="missing.ckpt"), "checkpoints.read: expected a TensorFlow checkpoint in .*missing.ckpt"),
    (dict(to_format=None), "expected a format, or a name that ends in one of .weights.h5"),
    (
        dict(to="there.npz", to_format=None),
        "expected a name that is free, or to be asked to overwrite, got .*there.npz",
    ),
    (dict(to="own.onnx"), "a name that does not end as files of the format onnx do, got .*own.onnx"),
    (dict(to="no/where.ckpt"), "expected an existing folder"),
    (
        dict(layers=None, source=os.path.join(GOLDEN, "block_cells.ckpt")),
        "expected `--layers` to name the layers of one stack, as there are several, got block",
    ),
    (dict(layers="nothing"), "with names like nothing, got none; named otherwise: basic_lstm/rnn/basic_lstm_cell"),
    (dict(layers="["), "expected a regular expression"),
    (dict(layers="lstm_projection/.*"), "without peepholes or projection"),
    (dict(layers="lstm_peepholes/.*", to="new.npz", to_format=None), "without peepholes, since the layout 'pytorch'"),
    (dict(layers="(multi_two|lstm)/.*"), "each as wide as the next one's input"),
    (dict(layers="both/.*"), r"expected layers that are one stack \(name those that are\), got .*'backward'"),
    (dict(template="there.npz"), "expected a TensorFlow checkpoint in .*there.npz"),
    (dict(from_format="pytorch", source="there.npz", layers=None), "LSTM layers in .*there.npz, got none"),
    (dict(to_format="torch"), r"flag --to_format=torch: value should be one of"),
    (dict(forget_bias="nan"), "expected `forget_bias` to be a finite number, got nan"),
]


@pytest.mark.parametrize("change, message", ERRORS, ids=[message[:30] for _, message in ERRORS])
def test_errors(change, message, tmp_path, capsys):
    np.savez(str(tmp_path / "there.npz"), a=np.zeros(3))
    before = folder(tmp_path)
    flags = dict(dict(source=CELLS, layers="multi_two/.*", to="own.ckpt", to_format="stacked_lstm"), **change)
    for name in ("source", "to", "template"):
        if flags.get(name):
            flags[name] = os.path.join(str(tmp_path), flags[name])
    status, _, errors = run(capsys, **flags)
    assert status == 2 and re.match("convert.py: .*" + message, errors), errors
    assert "Traceback" not in errors and folder(tmp_path) == before


def test_the_command_itself(tmp_path):
    """In a process of its own: an error without a traceback."""
    flags = [f"--from={tmp_path / 'no.npz'}", f"--to={tmp_path / 'own.npz'}"]
    result = subprocess.run([sys.executable, SCRIPT] + flags, capture_output=True)
    errors = result.stderr.decode()
    assert result.returncode == 2 and "Traceback" not in errors
    assert re.search(r"^convert.py: checkpoints.read: expected .* in .*no.npz, got FileNotFoundError", errors, re.M)


def test_averages_with_a_name_of_their_own(tmp_path, capsys):
    arrays = dict(cell("rnn/lstm_cell"), **{name + "/mean": array for name, array in cell("rnn/lstm_cell").items()})
    source, to = saved(tmp_path / "model.ckpt", arrays), str(tmp_path / "own.ckpt")
    for averages, text in [(None, " mean\n"), ("mean", r" mean \(average\)\n")]:
        flags = dict(source=source, to=to, to_format="stacked_lstm", averages=averages, overwrite=True)
        status, printed, errors = run(capsys, **flags)
        assert status == 0 and re.search(text, printed), errors
        same = np.array_equal(*(arrays_in(to)["stacked_lstm/layer_1/bf" + end] for end in ("", "/mean")))
        assert same == (averages is not None)
