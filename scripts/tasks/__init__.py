"""The tasks that `train.py` and `predict.py` know. A new one is a new file and a line in `TASKS`; see `task.Task`."""

from tasks import fashion_mnist, forecast, titles

TASKS = {"fashion_mnist": fashion_mnist.FashionMnist, "forecast": forecast.Forecast, "titles": titles.Titles}
# Flags whose default depends on the task, and that only some tasks have.
ONLY_SOME = {name for task in TASKS.values() for name in task.DEFAULTS} - set.intersection(
    *[set(task.DEFAULTS) for task in TASKS.values()]
)
