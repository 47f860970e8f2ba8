"""A task of one weight: a whole run of it takes a moment. It has a validation part and a file of words."""

import numpy as np

from stacked_lstm.compat import tf
from tasks import networks
from tasks.examples import Examples
from tasks.task import Task
from tasks.vocabulary import Vocabulary
from training import experiment, settings

NAME = "one_weight"


class OneWeight(Task):
    """Squared error of w x; the validation loss is smallest after some epochs."""

    METRIC = METRIC_LABEL = "error"
    DEFAULTS = {"epochs": 4, "batch_size": 2, "learning_rate": 0.1}

    def read(self):
        x = np.linspace(1, 2, 6).astype(np.float32)
        self.train, self.validation, self.test = (Examples(x=x, y=np.float32(slope) * x) for slope in (1.0, 0.55, 0.9))

    def save(self):
        Vocabulary.learn([["word"]]).write(self.settings["train_dir"])

    def restore(self):
        Vocabulary.read(self.settings["train_dir"])

    def embeddings(self):
        return {"w": "vocabulary.txt"}

    def build(self, recurrent, batch=None):
        feeds = networks.inputs({"x": (tf.float32, [None]), "y": (tf.float32, [None])}, batch)
        predictions = tf.get_variable("w", [], initializer=tf.zeros_initializer()) * feeds["x"]
        errors = predictions - feeds["y"]
        return networks.Network(feeds, tf.square(errors), tf.abs(errors), predictions)

    def pictures(self, title, predictions):
        return {}


def settings_in(directory, **changes):
    """Flag -> value of a run in a directory."""
    common = {option.name: option.default for option in settings.OPTIONS}
    new = dict(common, **dict(OneWeight.DEFAULTS, task=NAME, hidden_sizes=[1], initial_state="zeros"))
    return dict(new, train_dir=str(directory), **changes)


def run(directory, **changes):
    """Trains in a directory; returns the final numbers without times."""
    final = dict(experiment.run(settings_in(directory, **changes)).final)
    del final["seconds_per_epoch"]
    return final
