"""What a task is: data, a network, and what people want to see of its predictions."""

import collections

PARTS = ("train", "validation", "test")  # Of the data; not every task holds examples out for validation.


class Task:
    """The contract, with what most tasks do.

    Constants:
      METRIC: name of the score, e.g. "accuracy": the last line says `train_accuracy` and `test_accuracy`.
      METRIC_LABEL: the same for people, with its unit.
      DEFAULTS: flag -> value, for the flags whose default depends on the task. Flags that only some tasks have are
        those that are not in every task's.

    Attributes, after `read`:
      train, validation, test: `examples.Examples`; `validation` is None where nothing is held out.
      baselines: name -> float: scores that need no training, for the last line and for the picture.
      notes: lines about the data, for people.
    """

    METRIC = METRIC_LABEL = DEFAULTS = None

    train = validation = test = None
    notes = ()

    def __init__(self, settings):
        """Takes flag -> value."""
        self.settings, self.baselines = settings, {}

    def read(self):
        """Reads the data: from --data_dir, or where they are by default; the first --train_examples to train on.

        Raises:
          OSError, ImportError, ValueError: with one line that says what to do.
        """
        raise NotImplementedError

    def read_input(self, file):
        """Returns `examples.Examples` without labels, from a binary file of the user's.

        Raises:
          ValueError: it is not what the task reads, or the task reads none.
        """
        raise ValueError(f"--input: expected none for the task {self.settings['task']}, whose test examples are used")

    def save(self):
        """Writes to --train_dir what the network needs beside flags and checkpoints, such as a vocabulary."""

    def restore(self):
        """Reads what `save` wrote, in order to go on with a run or to predict; before `read` and `build`.

        Raises:
          ValueError, OSError: it is not there, or damaged.
        """

    def build(self, recurrent):
        """Adds the network to the graph; takes `networks.Recurrent`, returns `networks.Network`."""
        raise NotImplementedError

    def embeddings(self):
        """A variable's name -> name of a file in --train_dir with a line for each of its rows, for TensorBoard."""
        return {}

    def parts(self):
        """name -> examples of `PARTS`, those there are."""
        pairs = ((name, getattr(self, name)) for name in PARTS)
        return collections.OrderedDict((name, examples) for name, examples in pairs if examples is not None)

    def pictures(self, title, predictions):
        """name -> matplotlib Figure of the network's predictions for the test examples."""
        raise NotImplementedError

    def table(self, examples, predictions, only_errors=False):
        """Predictions for people, as a table.

        Args:
          examples: of `read_input`, or `test`.
          predictions: the network's for them.
          only_errors: only the wrong ones.

        Returns:
          A list of lists, the header first.

        Raises:
          ValueError: nobody knows what is wrong.
        """
        raise NotImplementedError
