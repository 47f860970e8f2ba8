"""What a task is: data, a network, and what people want to see of its predictions."""

PARTS = ("train", "validation", "test")  # Parts of the data; not every task has a validation part.


class Task:
    """The contract, with the methods that most tasks share.

    Constants:
      METRIC: name of the score, e.g. "accuracy"; the last line of a run has `train_accuracy` and `test_accuracy`.
      METRIC_LABEL: the name for people, with the unit.
      DEFAULTS: flag -> value, for the flags of every task whose default depends on the task.
      OPTIONS: `shared.options.Option`s that this task has and others do not.

    Attributes, after `read`:
      train, validation, test: `examples.Examples`; `validation` is None if the task has no such part.
      baselines: name -> float: scores that need no training, for the last line and for the picture.
      notes: lines about the data, for people.
    """

    METRIC = METRIC_LABEL = DEFAULTS = None
    OPTIONS = ()

    train = validation = test = None
    notes = ()

    def __init__(self, settings):
        """Takes flag -> value."""
        self.settings, self.baselines = settings, {}

    @classmethod
    def defaults(cls):
        """Flag -> value of all flags whose default depends on the task."""
        return dict(cls.DEFAULTS, **{option.name: option.default for option in cls.OPTIONS})

    def read(self):
        """Reads the data: from --data_dir, or from its usual place; the first --train_examples to train on.

        Raises:
          OSError, ImportError, ValueError: with one line that says what to do.
        """
        raise NotImplementedError

    def read_input(self, file):
        """Reads the user's own examples, which have no labels.

        Args:
          file: a binary file.

        Returns:
          `examples.Examples`.

        Raises:
          ValueError: the file is not what the task reads, or the task reads none.
        """
        raise ValueError(
            f"--input: expected none for the task {self.settings['task']}, which predicts its test examples only"
        )

    def save(self):
        """Writes to --train_dir what the network needs besides flags and checkpoints, such as a vocabulary."""

    def restore(self):
        """Reads what `save` wrote, to go on with a run or to predict; it comes before `read` and `build`.

        Raises:
          ValueError, OSError: a file is missing or damaged.
        """

    def build(self, recurrent, batch=None):
        """Adds the network to the graph.

        Args:
          recurrent: `networks.Recurrent`.
          batch: name -> tensor, the examples to train on, see `networks.inputs`.

        Returns:
          `networks.Network`.
        """
        raise NotImplementedError

    def embeddings(self):
        """A variable's name -> name of a file in --train_dir with a line for each of its rows, for TensorBoard."""
        return {}

    def parts(self):
        """Name -> examples of each part of `PARTS` that the task has."""
        pairs = ((name, getattr(self, name)) for name in PARTS)
        return {name: examples for name, examples in pairs if examples is not None}

    def test_scores(self, predictions):
        """Name -> number: further scores of the network's predictions for the test examples, for the last line."""
        return {}

    def pictures(self, title, predictions):
        """Name -> matplotlib Figure of the network's predictions for the test examples."""
        raise NotImplementedError

    def table(self, examples, predictions, only_errors=False):
        """Makes a table of predictions for people.

        Args:
          examples: what `read_input` returns, or `test`.
          predictions: the network's for them.
          only_errors: whether to leave out examples whose prediction is right.

        Returns:
          A list of rows, the header first.

        Raises:
          ValueError: the examples have no labels that say what is right.
        """
        raise NotImplementedError
