"""The tasks that `train.py` and `predict.py` know. A new one is a new file and a line in `TASKS`; see `task.Task`."""

from tasks import fashion_mnist, forecast, titles

TASKS = {"fashion_mnist": fashion_mnist.FashionMnist, "forecast": forecast.Forecast, "titles": titles.Titles}
