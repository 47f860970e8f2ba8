"""The words that a network knows, and the numbers it knows them by."""

import collections
import os

import files

FILE = "vocabulary.txt"
SPECIAL = ("<padding>", "<unknown>")  # The words of the numbers 0 and 1. No tokenizer makes one word of these.
UNKNOWN = SPECIAL.index("<unknown>")


class Vocabulary:
    """Words, most frequent first, behind `SPECIAL`: a word's number is its place.

    Attributes:
      words: list of str, `SPECIAL` included.
    """

    def __init__(self, words):
        self.words = words
        self._numbers = {word: number for number, word in enumerate(words)}

    @classmethod
    def learn(cls, texts, size=None):
        """From texts, each a list of words; of words that are equally frequent the alphabet decides.

        Args:
          size: most words, `SPECIAL` included; None for all there are.
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
        with open(path, "rb") as file:
            content = file.read()
        try:
            *words, rest = content.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected words in UTF-8, got {error}") from None
        if tuple(words[: len(SPECIAL)]) != SPECIAL or rest or len(set(words)) != len(words) or "" in words:
            raise ValueError(
                "%s: expected a line for each of %s and then for each word, got something else"
                % (path, " and ".join(SPECIAL))
            )
        return cls(words)

    def write(self, directory):
        """Writes a line per word, in UTF-8: the format of TensorBoard's metadata, too."""

        def write(path):
            with open(path, "wb") as file:
                file.write("".join(f"{word}\n" for word in self.words).encode("utf-8"))

        files.replace(os.path.join(directory, FILE), write)

    def __len__(self):
        return len(self.words)

    def encode(self, text):
        """The numbers of a list of words."""
        return [self._numbers.get(word, UNKNOWN) for word in text]
