"""What classification tasks share: loss, accuracy, confusion matrix, table of predictions."""

import numpy as np

from shared import pictures
from tasks.task import Task


class Classification(Task):
    """Softmax over the classes; the predictions are their probabilities, float32 [B, C].

    Constants:
      CLASSES: the classes' names; a label is an index of it.
      NAME: heading of the table's first column, which says what an example is.
    """

    METRIC = METRIC_LABEL = "accuracy"
    CLASSES = NAME = None

    def head(self, feeds, labels, features, class_weights=None, training=None):
        """Returns the `networks.Network` with a dense layer on `features`, [B, F].

        Args:
          feeds: name -> placeholder.
          labels: int64 [B].
          features: float32 [B, F].
          class_weights: float [C], factors of the losses of the classes' examples; None for ones.
          training: see `networks.Network`.
        """
        from stacked_lstm.compat import tf
        from tasks import networks

        logits = networks.dense(features, len(self.CLASSES))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        if class_weights is not None:
            losses *= tf.gather(tf.constant(class_weights, losses.dtype), labels)
        return networks.Network(
            feeds=feeds,
            losses=losses,
            scores=tf.cast(tf.equal(tf.argmax(logits, axis=1), labels), tf.float32),
            predictions=tf.nn.softmax(logits),
            training=training,
        )

    def check_labels(self, labels, source):
        """Raises ValueError if labels are not indices of `CLASSES`; `source` is where they are from."""
        if labels.size and not (0 <= labels.min() and labels.max() < len(self.CLASSES)):
            worst = labels.max() if labels.min() >= 0 else labels.min()
            raise ValueError(f"{source}: expected labels 0 to {len(self.CLASSES) - 1}, got {worst}")

    def balance(self, examples):
        """The classes' shares of the examples, for people."""
        shares = np.bincount(examples["labels"], minlength=len(self.CLASSES)) / max(1.0, len(examples))
        return ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(self.CLASSES, shares))

    def majority(self):
        """The accuracy on the test examples of always predicting the most frequent training label."""
        return float(np.mean(self.test["labels"] == np.argmax(np.bincount(self.train["labels"]))))

    def counts(self, predictions):
        """How often each label of the test examples, a row, was predicted as each class, a column: int [C, C]."""
        counts = np.zeros([len(self.CLASSES)] * 2, np.int64)
        np.add.at(counts, (self.test["labels"], np.argmax(predictions, axis=1)), 1)
        return counts

    def test_scores(self, predictions):
        """The recall of each class, and the mean of the classes' F1 scores; both are 0 for a class without examples."""
        counts = self.counts(predictions)
        right, labels, guesses = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        recalls = right / np.maximum(1, labels)
        scores = {f"test_recall_{name}": float(recall) for name, recall in zip(self.CLASSES, recalls)}
        return dict(scores, test_macro_f1=float(np.mean(2 * right / np.maximum(1, labels + guesses))))

    def pictures(self, title, predictions):
        return {"confusion_matrix": pictures.confusion_matrix(title, self.counts(predictions), self.CLASSES)}

    def names(self, examples):
        """What the table calls each example."""
        raise NotImplementedError

    def table(self, examples, predictions, only_errors=False):
        if only_errors and "labels" not in examples:
            raise ValueError("--only_errors: expected examples with labels, got --input, which has no labels")
        header = [self.NAME, "label", "prediction"] + [f"probability_{name}" for name in self.CLASSES]
        predicted = np.argmax(predictions, axis=1)
        labels = examples["labels"] if "labels" in examples else [None] * len(examples)
        rows = [
            [name, "" if label is None else self.CLASSES[label], self.CLASSES[guess]]
            + [round(float(p), 6) for p in chances]
            for name, label, guess, chances in zip(self.names(examples), labels, predicted, predictions)
            if not only_errors or label != guess
        ]
        return [header] + rows
