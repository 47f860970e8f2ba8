"""The words that a network knows, and the numbers it knows them by."""

import collections
import os

from shared import file_errors
from stacked_lstm.commands import output_files

FILE = "vocabulary.txt"
SPECIAL = ("<padding>", "<unknown>")  # Words 0 and 1. No tokenizer makes a single word of these.
UNKNOWN = SPECIAL.index("<unknown>")


class Vocabulary:
    """A list of words, `SPECIAL` first and then the most frequent ones; a word's number is its index.

    Attributes:
      words: list of str, `SPECIAL` included.
    """

    def __init__(self, words):
        self.words = words
        self._numbers = {word: number for number, word in enumerate(words)}

    @classmethod
    def learn(cls, texts, size=None):
        """Learns the words of texts, most frequent first; equally frequent words are in alphabetical order.

        Args:
          texts: lists of words.
          size: the most words to keep, `SPECIAL` included; None for all.
        """
        counts = collections.Counter(word for text in texts for word in text)
        words = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((list(SPECIAL) + words)[:size])

    @classmethod
    def read(cls, directory):
        """Reads what `write` wrote.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: it is another kind of file, cut short, or has a word twice.
        """
        path = os.path.join(directory, FILE)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"--train_dir: expected {FILE} next to the checkpoints, found none at {path}")
        with file_errors.named("--train_dir", path), open(path, "rb") as file:
            content = file.read()
        try:
            *words, rest = content.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected words in UTF-8 ({error}); train again in another directory") from None
        if tuple(words[: len(SPECIAL)]) != SPECIAL or rest or len(set(words)) != len(words) or "" in words:
            raise ValueError(
                f"{path}: expected the lines {' and '.join(SPECIAL)}, and then a line for each word; the file is "
                "damaged: train again in another directory"
            )
        return cls(words)

    def write(self, directory):
        """Writes a line per word, in UTF-8, which TensorBoard reads as metadata."""

        def write(path):
            with open(path, "wb") as file:
                file.write("".join(f"{word}\n" for word in self.words).encode("utf-8"))

        path = os.path.join(directory, FILE)
        with file_errors.named("--train_dir", path, "write"):
            output_files.replace(path, write)

    def __len__(self):
        return len(self.words)

    def encode(self, text):
        """The numbers of a list of words."""
        return [self._numbers.get(word, UNKNOWN) for word in text]
