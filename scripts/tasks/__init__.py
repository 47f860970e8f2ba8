"""The tasks that `train.py` knows. A new one is a new file and a line in `TASKS`.

A task is a class with

    METRIC        name of its score, e.g. "accuracy": the last line says `train_accuracy` and `test_accuracy`.
    METRIC_LABEL  the same for people, with its unit.
    DEFAULTS      flag -> value, for the flags whose default depends on the task.
    __init__(data_dir, train_examples)
                  reads the data: from `data_dir`, or from where they are by default if that is None; only the first
                  `train_examples` training examples unless that is None. Raises OSError, ImportError or ValueError
                  with one line that says what to do.
    train, test   `training.Examples`.
    baselines     name -> float: scores that need no training, for the last line and for the picture.
    build(recurrent)
                  adds the network to the graph. Takes `networks.Recurrent`, returns `networks.Network`.
"""

from tasks import fashion_mnist, forecast

TASKS = {"fashion_mnist": fashion_mnist.FashionMnist, "forecast": forecast.Forecast}
