"""What the command convert prints."""

import os
import re

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.compat import tf
from support.files.checkpoint_files import arrays_in, cell, folder, saved
from support.files.conversions import FOLDER, run


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


def test_the_assumed_kind_of_layer_normalization_is_told(tmp_path, capsys):
    names = [*(f"gain_{name}" for name in ("f", "i", "o", "c", "cell")), "bf", "bi", "bo", "bc", "shift_cell"]
    layer = dict({f"W{gate}": np.ones([3 + 2, 3], np.float32) for gate in "fioc"}, **dict.fromkeys(names, np.ones(3)))
    own, cell_file, back = (str(tmp_path / name) for name in ("own.ckpt", "cell.ckpt", "back.ckpt"))
    checkpoints.write(own, [{name: np.float32(array) for name, array in layer.items()}], "stacked_lstm")
    for source, target, layout, is_told in (
        (own, cell_file, "layer_norm_cell", 1),
        (cell_file, back, "stacked_lstm", 0),
    ):
        status, printed, errors = run(capsys, source=source, to=target, to_format=layout)
        assert status == 0, errors
        assert printed.count("Assumed: stacked_lstm has `layer_norm='tensorflow'`. With") == is_told


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
