"""The tasks that train.py and predict.py know. A new task is a new file and a line in `TASKS`; see `task.Task`.

TensorFlow is imported when a task builds its network, so that `--help` answers at once.
"""

from tasks import fashion_mnist, forecast, titles

TASKS = {"fashion_mnist": fashion_mnist.FashionMnist, "forecast": forecast.Forecast, "titles": titles.Titles}
