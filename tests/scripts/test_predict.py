"""scripts/predict.py: its tables against numpy_lstm with the checkpoints' weights, and odd input of users."""

import csv
import io
import json
import os
import subprocess
import sys

import absl.flags
import numpy as np
import pytest

import predict
from stacked_lstm import numpy_lstm
from stacked_lstm.compat import tf
from support.processes import programs
from support.suite.sets import ONCE
from support.training.task_data import read, write_temperatures
from support.training.tiny_runs import LEARNING, SCRIPTS, TITLES, run, values_in, write_titles
from tasks import fashion_mnist, forecast
from training import experiment, gates
from training.run_files import history

GATES = ("Wf", "Wi", "Wc", "Wo", "bf", "bi", "bc", "bo")


def table_of(arguments, **flags):
    """The rows that predict.py writes for the run of these arguments: lists of str, the header first."""
    path = flags.get("output", os.path.join(arguments["train_dir"], "predictions.csv"))
    values = absl.flags.FlagValues()
    predict.define_flags(values)
    words = dict({"train_dir": arguments["train_dir"], "output": path}, **flags)
    values(["predict.py"] + [f"--{flag}={value}" for flag, value in words.items()])
    predict.run(values)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def all_outputs(values, x, layers=1):
    """numpy_lstm's outputs of x [T, B, I], from zeros."""
    weights = [{gate: values[f"stacked_lstm/layer_{k + 1}/{gate}"] for gate in GATES} for k in range(layers)]
    return numpy_lstm.forward(weights, x.astype(np.float64))[0]


def last_output(values, x):
    return all_outputs(values, x)[-1]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


# Tables


def test_images(arguments):
    """Each row from the last checkpoint's weights; the accuracy is the run's."""
    result = run(arguments, hidden_sizes="5", epochs="3")
    header, *rows = table_of(arguments)
    assert header == ["image", "label", "prediction"] + ["probability_" + n for n in fashion_mnist.FashionMnist.CLASSES]
    values = values_in(tf.train.latest_checkpoint(arguments["train_dir"]))
    test = read(fashion_mnist.FashionMnist, arguments["data_dir"]).test
    x = (np.swapaxes(test["images"], 0, 1) - 72.9) / 90.0
    hidden = np.maximum(0, last_output(values, x) @ values["dense/W"] + values["dense/b"])
    expected = softmax(hidden @ values["dense_1/W"] + values["dense_1/b"])
    actual = np.array([[float(p) for p in row[3:]] for row in rows])
    np.testing.assert_allclose(actual, expected, atol=2e-6)
    names = np.array(fashion_mnist.FashionMnist.CLASSES)
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row[1] for row in rows] == list(names[test["labels"]])
    assert [row[2] for row in rows] == list(names[expected.argmax(axis=1)])
    assert np.mean([row[1] == row[2] for row in rows]) == pytest.approx(result["test_accuracy"])


@ONCE
def test_titles_come_from_the_best_checkpoint(title_arguments):
    result = run(title_arguments, **LEARNING)
    assert result["best_epoch"] < result["epoch"]
    best, last = (
        table_of(title_arguments),
        table_of(title_arguments, checkpoint=tf.train.latest_checkpoint(title_arguments["train_dir"])),
    )
    assert best != last and best[0] == last[0]
    assert best[0] == ["title", "label", "prediction", "probability_0", "probability_1", "probability_2"]
    assert [(row[0], int(row[1])) for row in best[1:]] == TITLES["test"]
    assert np.mean([row[1] == row[2] for row in best[1:]]) == pytest.approx(result["test_accuracy"])
    values = values_in(experiment.find_checkpoint(title_arguments["train_dir"]))
    words = [values["embedding"][k] for k in (4, 5, 2, 3)]  # 上海 今天 下雪 了
    outputs = all_outputs(values, np.array(words)[:, None])[:, 0]
    pooled = np.concatenate([outputs.mean(axis=0), outputs.max(axis=0)])
    expected = softmax(pooled @ values["dense/W"] + values["dense/b"])
    (row,) = table_of(title_arguments, input=_file(title_arguments, "上海今天下雪了\n".encode()))[1:]
    assert row[:2] == ["上海今天下雪了", ""] and row[2] == str(expected.argmax())
    np.testing.assert_allclose([float(p) for p in row[3:]], expected, atol=2e-6)


@ONCE
def test_only_errors(title_arguments):
    """Each title occurs with every label, so one of them is right."""
    write_titles(title_arguments["data_dir"], dict(TITLES, test=[("广州", label) for label in range(3)]))
    run(title_arguments)
    every, wrong = table_of(title_arguments), table_of(title_arguments, only_errors="true")
    assert wrong == every[:1] + [row for row in every[1:] if row[1] != row[2]]
    assert (len(wrong), len(every)) == (1 + 2, 1 + 3)


@ONCE
def test_forecasts(arguments, tmp_path):
    """Each forecast hour has one row: the temperature of the day before plus the network's change."""
    temperatures = 50 + 10 * np.random.RandomState(1).standard_normal(1000)
    write_temperatures(tmp_path, temperatures)
    changes = {"task": "forecast", "data_dir": str(tmp_path), "initial_state": "zeros", "hidden_sizes": "4"}
    run(arguments, **dict(changes, batch_size="64"))
    header, *rows = table_of(arguments)
    assert header == ["date", "temp", "prediction"]
    # Of 200 test hours the first 72 are known to the first forecast; five whole days follow.
    assert len(rows) == 5 * 24
    assert rows[0][0] == "2010/02/06 08:00" and rows[-1][0] == "2010/02/11 07:00"  # Hours 872 and 991.
    np.testing.assert_allclose([float(row[1]) for row in rows], temperatures[872:992], atol=0.0051)
    values = values_in(tf.train.latest_checkpoint(arguments["train_dir"]))
    test = read(forecast.Forecast, tmp_path).test
    x = np.swapaxes(test["inputs"][::24], 0, 1)
    change = last_output(values, x) @ values["dense/W"] + values["dense/b"]
    daily = (temperatures[24:800] - temperatures[:776]).std()
    expected = temperatures[848:968] + change.ravel() * daily
    np.testing.assert_allclose([float(row[2]) for row in rows], expected, atol=0.006)


@ONCE
def test_links_and_pipes_stay_what_they_are(arguments, tmp_path):
    run(arguments, epochs="1")
    expected = table_of(arguments)
    target, link, pipe = (str(tmp_path / name) for name in ("target.csv", "link.csv", "pipe"))
    os.symlink(target, link)
    assert table_of(arguments, output=link) == expected
    assert os.path.islink(link) and os.path.isfile(target)
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    values = absl.flags.FlagValues()
    predict.define_flags(values)
    values(["predict.py", "--train_dir=" + arguments["train_dir"], "--output=" + pipe])
    predict.run(values)
    with open(target, "rb") as file:
        assert reader.communicate()[0] == file.read()


@ONCE
def test_any_engine_and_any_place_of_the_data(arguments, tmp_path):
    run(arguments)
    expected = table_of(arguments)
    os.rename(arguments["data_dir"], str(tmp_path / "moved"))
    os.rename(arguments["train_dir"], str(tmp_path / "run2"))
    moved = dict(arguments, train_dir=str(tmp_path / "run2"))
    assert table_of(moved, data_dir=str(tmp_path / "moved"), engine="graph") == expected


def gates_of(arguments, **flags):
    """Returns a dictionary: tag -> value of a summary that --gates wrote."""
    directory = os.path.join(arguments["train_dir"], "gates")
    table_of(arguments, gates=directory, **flags)
    (name,) = [name for name in os.listdir(directory) if name.startswith("events")]
    with open(os.path.join(directory, gates.PICTURE), "rb") as file:
        assert file.read(4) == b"\x89PNG"
    events = tf.train.summary_iterator(os.path.join(directory, name))
    return {value.tag: value for event in events for value in event.summary.value}


def test_gates_of_images(arguments, real_pictures):
    """The picture of a gate has NumPy's numbers for the first image of the data, unit by time step."""
    run(arguments, hidden_sizes="5", epochs="1")
    summaries = gates_of(arguments)
    values = values_in(tf.train.latest_checkpoint(arguments["train_dir"]))
    images = read(fashion_mnist.FashionMnist, arguments["data_dir"]).test["images"]
    x = (np.swapaxes(images[:1], 0, 1).astype(np.float64) - 72.9) / 90.0
    weights = {gate: values[f"stacked_lstm/layer_1/{gate}"] for gate in GATES}
    (steps,) = numpy_lstm.steps(numpy_lstm.forward([weights], x)[2])
    pixels = gates.images(tf.Summary(value=summaries.values()))
    assert sorted(pixels) == [f"gates/layer_1/{field}" for field in "cfghio"]
    for field in "fio":
        np.testing.assert_allclose(pixels[f"gates/layer_1/{field}"], getattr(steps, field)[:, 0].T, atol=0.6 / 255)
    assert summaries["gates/layer_1/f"].histo.num == 5 * 28 * len(images)


@ONCE
def test_gates_of_titles(title_arguments):
    """Both directions have gates, for the user's own titles. The image has only the words of the first title."""
    run(title_arguments, epochs="1", bidirectional="true")
    path = _file(title_arguments, "上海今天下雪了\n北京\n".encode())
    summaries = gates_of(title_arguments, input=path)
    names = [f"gates/{side}/layer_1/{field}" for side in ("forward", "backward") for field in "cfghio"]
    assert sorted(summaries) == sorted(names + [f"{name}/image" for name in names])
    image = summaries["gates/backward/layer_1/f/image"].image
    assert (image.height, image.width) == (5, 4) and summaries["gates/forward/layer_1/f"].histo.num == 5 * (4 + 1)
    with pytest.raises(ValueError, match="--gates: expected at least one example, got none"):
        gates_of(title_arguments, input=_file(title_arguments, b""))


# What users put in


def _file(arguments, content):
    path = os.path.join(arguments["data_dir"], "input.txt")
    with open(path, "wb") as file:
        file.write(content)
    return path


@ONCE
def test_odd_titles_have_answers(title_arguments):
    """White space, unknown characters, quotes and all kinds of line ends have a row each, in order."""
    run(title_arguments)
    lines = ["北京", "", "   ", "😀🜁\u0001", '"a,b"', "\u2028", "北京下雪" * 300, "last"]
    content = "\ufeff" + "\r\n".join(lines[:3]) + "\n" + "\r".join(lines[3:])
    os.remove(os.path.join(title_arguments["data_dir"], "test.csv"))  # Nobody asks for it.
    (header, *rows) = table_of(title_arguments, input=_file(title_arguments, content.encode("utf-8")))
    assert [row[0] for row in rows] == lines
    for row in rows:
        assert row[1] == "" and row[2] in "012"
        assert sum(float(p) for p in row[3:]) == pytest.approx(1, abs=3e-6)
    assert rows[1][2:] == rows[2][2:] == rows[5][2:]
    assert table_of(title_arguments, input=_file(title_arguments, b"")) == [header]
    assert len(table_of(title_arguments, input=_file(title_arguments, b"\n\n"))) == 3


@ONCE
def test_from_a_shell(title_arguments, tmp_path):
    """Titles through stdin, the table on stdout, in UTF-8 wherever the program runs; an error in one line."""
    run(title_arguments)

    script = "set -o pipefail; yes 北京 | head -n 8000 | %s %s --input=- --train_dir=%s 2>errors | head -n 2"
    names = (sys.executable, os.path.join(SCRIPTS, "predict.py"), title_arguments["train_dir"])
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(SCRIPTS), PYTHONIOENCODING="ascii")
    process = subprocess.run(["bash", "-c", script % names], capture_output=True, env=environment, cwd=str(tmp_path))
    assert process.returncode == 141, process.stderr
    rows = list(csv.reader(io.StringIO(process.stdout.decode("utf-8"), newline="")))
    assert [row[0] for row in rows] == ["title", "北京"]
    assert b"roken pipe" not in (tmp_path / "errors").read_bytes()
    command = [names[1], "--input=-", "--train_dir=" + names[2], "--checkpoint=nowhere"]
    (tmp_path / "content").write_bytes("北京\n新闻".encode("gbk"))
    process = programs.run(command, stdin=str(tmp_path / "content"), env=environment)
    assert process.returncode == 2 and process.stdout == b""
    assert process.stderr.decode().splitlines()[-1] == "predict.py: --input, line 1: expected UTF-8, got byte 0xb1"


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "'quoted'", "''", "'", "1+1", "a=b", "北京"]


@ONCE
def test_texts_that_a_spreadsheet_would_compute_are_guarded(title_arguments):
    """The help text's rule brings the texts back: remove the first character of texts that begin with an apostrophe."""
    run(title_arguments, epochs="1")
    path = _file(title_arguments, "\n".join(FORMULAS).encode())
    guarded, plain = (
        [row[0] for row in table_of(title_arguments, input=path, guard_formulas=value)[1:]]
        for value in ("true", "false")
    )
    assert plain == FORMULAS
    assert not [text for text in guarded if text[0] in "=+-@\t\r＝＋－＠"]
    assert [text[1:] if text[0] == "'" else text for text in guarded] == FORMULAS
    assert guarded[-3:] == FORMULAS[-3:] and [row[0] for row in table_of(title_arguments, input=path)[1:]] == guarded


def test_numbers_are_not_guarded():
    assert [predict.guard(value) for value in (-1.5, 3, "", "0", "-1.5")] == [-1.5, 3, "", "0", "'-1.5"]


@ONCE
def test_a_full_disk_is_one_line(title_arguments, tmp_path):
    run(title_arguments, epochs="1")
    command = [os.path.join(SCRIPTS, "predict.py"), "--train_dir=" + title_arguments["train_dir"]]
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(SCRIPTS))
    for output, name in ("-", "stdout"), ("/dev/full", "/dev/full"):
        process = programs.run([*command, "--output=" + output], stdout="/dev/full", env=environment)
        last = process.stderr.decode().splitlines()[-1]
        assert last == f"predict.py: --output: expected to write {name}, got No space left on device"
        assert process.returncode == 2


# flags, what is said of them
REFUSED = [
    ({"train_dir": "nowhere"}, "--train_dir: expected the directory of a run, with history.json, got nowhere"),
    ({"input": "words.txt"}, "--input: expected none for the task fashion_mnist"),
    ({"checkpoint": "nowhere"}, "--checkpoint: expected a checkpoint such as .*, got nowhere"),
    ({"checkpoint": "."}, "--checkpoint: expected a checkpoint such as .*, got .$"),
    ({"gates": "words.txt"}, "--gates: expected a directory, or the name of a new one, got words.txt, where .* a file"),
    ({"output": ""}, "--output: expected the name of a file in an existing folder, got none"),
    ({"input": "nowhere"}, "--input: expected a file, or - for stdin, got nowhere"),
    ({"output": os.path.join("nowhere", "x.csv")}, "--output: expected the name of a file in an existing folder"),
    ({"output": "."}, "--output: expected the name of a file in an existing folder, got ."),
    ({"data_dir": "nowhere"}, "--data_dir: expected Fashion-MNIST"),
]


def test_what_cannot_be_is_told_and_the_output_stays(arguments, tmp_path, monkeypatch):
    run(arguments, epochs="1")
    before = table_of(arguments)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_bytes(b"a\n")
    path = os.path.join(arguments["train_dir"], "predictions.csv")
    for flags, message in REFUSED:
        with pytest.raises((ValueError, OSError), match=message):
            table_of(arguments, **dict({"output": path}, **flags))
        with open(path, newline="") as file:
            assert list(csv.reader(file)) == before


@ONCE
def test_errors_need_labels(title_arguments, arguments, tmp_path):
    run(title_arguments, epochs="1")
    with pytest.raises(ValueError, match="--only_errors: expected examples with labels, got --input"):
        table_of(title_arguments, only_errors="true", input=_file(title_arguments, b"a"))
    write_temperatures(tmp_path, np.arange(480.0))
    changes = {"task": "forecast", "data_dir": str(tmp_path), "train_dir": str(tmp_path / "other"), "epochs": "1"}
    run(arguments, **changes)
    with pytest.raises(ValueError, match="--only_errors: expected a task with labels, got the task forecast"):
        table_of(dict(arguments, **changes), only_errors="true")


@ONCE
def test_runs_of_other_flags_and_words_are_told(title_arguments, arguments, tmp_path):
    run(title_arguments, epochs="1")
    os.remove(os.path.join(title_arguments["train_dir"], "vocabulary.txt"))
    with pytest.raises(FileNotFoundError, match="--train_dir: expected vocabulary.txt next to the checkpoints"):
        table_of(title_arguments)
    other = dict(arguments, train_dir=str(tmp_path / "other"))
    run(other, epochs="1")
    path = os.path.join(other["train_dir"], history.FILE)
    with open(path) as file:
        content = json.load(file)
    del content["flags"]["weight_initializer"]
    with open(path, "w") as file:
        json.dump(content, file)
    with pytest.raises(ValueError, match="--train_dir: .*history.json lacks weight_initializer; train again"):
        table_of(other)


@ONCE
def test_a_peers_network_predicts(arguments):
    result = run(arguments, peer="dynamic_rnn")
    rows = table_of(arguments)[1:]
    assert np.mean([row[1] == row[2] for row in rows]) == pytest.approx(result["test_accuracy"])
    with pytest.raises(ValueError, match="--gates: expected a run without --peer, got one with --peer=dynamic_rnn"):
        table_of(arguments, gates="nowhere")


def test_a_run_without_its_checkpoints_is_told(arguments):
    run(arguments, epochs="1")
    for name in os.listdir(arguments["train_dir"]):
        if "ckpt" in name or name == "checkpoint":
            os.remove(os.path.join(arguments["train_dir"], name))
    with pytest.raises(ValueError, match="--train_dir: expected a directory with checkpoints, got .*, which has none"):
        table_of(arguments)
