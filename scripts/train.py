"""Trains a stacked LSTM on one of the tasks in tasks/, and goes on where a killed run stopped.

    python scripts/train.py --task=forecast
    python scripts/train.py --task=fashion_mnist --train_examples=5000 --batch_size=4 --epochs=8

What to learn from:    --task --data_dir --train_examples
What to learn with:    --hidden_sizes --initial_state --engine --peer
How to learn:          --epochs --batch_size --learning_rate --seed
Where to keep it:      --train_dir

The progress bar is on stderr. On stdout there is a line per epoch, and at the end the final numbers as one line of
JSON. Accuracies and errors are those of the network at an epoch's end, on the whole training and test set; seconds
are those of training, without these evaluations, and `seconds_per_epoch` is their median. --train_dir then holds
checkpoints, TensorBoard's events, history.json and curves.png.
"""

import contextlib
import importlib
import json
import os
import sys

from absl import app, flags

import curves
import networks
import training
from stacked_lstm.compat import tf
from stacked_lstm.engines import ENGINES
from stacked_lstm.initial_state import INITIAL_STATES
from tasks import TASKS

# Flags that decide what a checkpoint holds: a run goes on only with the same values. Without --epochs, so that a
# finished run can be trained on, and without --train_dir, so that it can be moved.
IDENTITY = (
    "task", "data_dir", "train_examples", "hidden_sizes", "initial_state", "engine", "peer",
    "batch_size", "learning_rate", "seed",
)  # fmt: skip
EXTRAS = ("matplotlib", "tqdm")


def _by_task(name):
    """The default of a flag that depends on the task, for its help."""
    return ", ".join("%s for %s" % (curves.text(task.DEFAULTS[name]), key) for key, task in sorted(TASKS.items()))


_COUNT = {"lower_bound": 1}
# (how absl makes it, name, default, what its values are, help), in the order of the table above.
FLAGS = (
    (flags.DEFINE_enum, "task", None, {"enum_values": sorted(TASKS)}, "What to train on."),
    (flags.DEFINE_string, "data_dir", None, {}, "Directory of the data (default: where the task's package puts them)."),
    (flags.DEFINE_integer, "train_examples", None, _COUNT, "Train on the first so many examples (default: all)."),
    (flags.DEFINE_list, "hidden_sizes", None, {},
     "Widths of the LSTM layers, first to last (default: %s)." % _by_task("hidden_sizes")),
    (flags.DEFINE_enum, "initial_state", None, {"enum_values": sorted(INITIAL_STATES)},
     "Where the LSTM starts (default: %s; zeros with --peer)." % _by_task("initial_state")),
    (flags.DEFINE_enum, "engine", "auto", {"enum_values": ["auto"] + list(ENGINES)},
     "What runs StackedLSTM; auto takes the first that can."),
    (flags.DEFINE_enum, "peer", None, {"enum_values": sorted(networks.PEERS)},
     "Train MultiRNNCell + dynamic_rnn instead of StackedLSTM."),
    (flags.DEFINE_integer, "epochs", None, _COUNT,
     "Passes over the training examples, resumed ones included (default: %s)." % _by_task("epochs")),
    (flags.DEFINE_integer, "batch_size", None, _COUNT,
     "Examples per training step (default: %s)." % _by_task("batch_size")),
    (flags.DEFINE_float, "learning_rate", None, {},
     "Step size of Adam (default: %s)." % _by_task("learning_rate")),
    (flags.DEFINE_integer, "seed", 0, {"lower_bound": 0, "upper_bound": 2**31 - 1},
     "Decides the initial weights and the order of the examples."),
    (flags.DEFINE_string, "train_dir", None, {},
     "Where results are kept and a killed run goes on (default: runs/TASK, or runs/TASK-PEER with --peer)."),
)  # fmt: skip
VALIDATORS = {
    "task": (lambda task: task is not None, "expected one of %s" % ", ".join(sorted(TASKS))),
    "hidden_sizes": (
        lambda sizes: sizes is None or (sizes and all(size.isdigit() and int(size) for size in sizes)),
        "expected positive integers, such as 32,32,64",
    ),
    "learning_rate": (lambda rate: rate is None or 0 < rate < float("inf"), "expected a positive number"),
}


def define_flags(values=flags.FLAGS):
    """Adds `FLAGS` to an `absl.flags.FlagValues`."""
    for define, name, default, domain, text in FLAGS:
        define(name=name, default=default, help=text, flag_values=values, **domain)
    for name, (is_valid, message) in VALIDATORS.items():
        flags.register_validator(name, is_valid, message, flag_values=values)


def settings_of(values):
    """Returns flag -> value, with the task's defaults where a flag is not given."""
    settings = dict.fromkeys(IDENTITY)
    settings.update(TASKS[values.task].DEFAULTS)
    settings["train_dir"] = os.path.join("runs", "-".join(filter(None, [values.task, values.peer])))
    if values.peer:
        settings["initial_state"] = "zeros"  # The peer knows no other.
    given = ((name, values[name].value) for name in settings)
    settings.update((name, value) for name, value in given if value is not None)
    settings["hidden_sizes"] = [int(size) for size in settings["hidden_sizes"]]
    return settings


def run(values):
    """Does what the script does.

    Args:
      values: `absl.flags.FlagValues` with the flags of `define_flags`.

    Returns:
      What it prints last, as a mapping.

    Raises:
      ValueError, OSError, ImportError: the flags, the data or the environment do not allow it; one line says why.
      FloatingPointError: training met NaN or infinity, see `training.Trainer`.
    """
    for name in EXTRAS:
        _require(name)
    settings = settings_of(values)
    recurrent = networks.Recurrent(*[settings[name] for name in ("hidden_sizes", "initial_state", "engine", "peer")])
    history = curves.History(settings["train_dir"], {name: settings[name] for name in IDENTITY})
    task = TASKS[settings["task"]](settings["data_dir"], settings["train_examples"])
    print("%s: %d training and %d test examples" % (settings["task"], len(task.train), len(task.test)))
    for baseline in task.baselines.items():
        print("baseline: %s %.4f" % baseline)
    with tf.Graph().as_default():
        tf.set_random_seed(settings["seed"])
        network = task.build(recurrent)
        print("network: %s" % recurrent.description, flush=True)
        history.create()
        arguments = [settings[name] for name in ("batch_size", "learning_rate", "seed", "train_dir")]
        with contextlib.closing(training.Trainer(network, task.train, *arguments)) as trainer:
            history.forget_after(trainer.step)
            fit(trainer, task, history, settings)
    title = "%s, %s %s" % (settings["task"], settings["peer"] or "StackedLSTM", curves.text(settings["hidden_sizes"]))
    picture = os.path.join(settings["train_dir"], curves.PICTURE)
    curves.draw(picture, title, history.rows, task.METRIC, task.METRIC_LABEL, task.baselines)
    final = dict(history.summary(task.METRIC), **task.baselines)
    print(json.dumps({name: round(value, 6) for name, value in final.items()}), flush=True)
    return final


def _require(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ImportError("train.py needs %s (%s): pip install stacked_lstm[examples]" % (name, error)) from None


def fit(trainer, task, history, settings):
    """Trains to the last epoch's end. Each is a row of `history` and a line on stdout; a progress bar is on stderr."""
    import tqdm

    if trainer.step:
        epochs_done = trainer.step / float(trainer.steps_per_epoch)
        print("going on from %s, %.2f epochs done" % (trainer.last_checkpoint, epochs_done), flush=True)
    total = settings["epochs"] * trainer.steps_per_epoch
    pause = 0.1 if sys.stderr.isatty() else 10  # Seconds; a log file need not have every step.
    with tqdm.tqdm(total=total, initial=trainer.step, unit="step", mininterval=pause) as bar:

        def on_batch(loss):
            bar.set_postfix(loss="%.4f" % loss, refresh=False)
            bar.update()

        for epoch in range(trainer.step // trainer.steps_per_epoch + 1, settings["epochs"] + 1):
            bar.set_description("epoch %d" % epoch)
            row = {"epoch": epoch, "seconds": trainer.train_epoch(on_batch), "global_step": trainer.step}
            row["learning_rate"] = settings["learning_rate"]
            for part, examples in (("train", task.train), ("test", task.test)):
                row[part + "_loss"], row["%s_%s" % (part, task.METRIC)] = trainer.evaluate(examples)
            history.add(row)
            trainer.save()
            trainer.summarize(row)
            bar.write(line_of(row, task.METRIC))


def line_of(row, metric):
    """A row of the history for people."""
    parts = ["epoch %(epoch)2d, %(seconds).1f s" % row]
    for part in ("train", "test"):
        values = (part, row[part + "_loss"], metric, row["%s_%s" % (part, metric)])
        parts.append("%s loss %.4f %s %.4f" % values)
    return " | ".join(parts)


def main(argv):
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    try:
        if argv[1:]:
            raise ValueError("expected flags only, got %s" % " ".join(argv[1:]))
        run(flags.FLAGS)
    except (ValueError, OSError, ImportError) as error:
        _exit(error, 2)
    except FloatingPointError as error:
        _exit(error, 1)
    except KeyboardInterrupt:
        _exit("interrupted; the same command goes on from the last checkpoint", 130)


def _exit(error, status):
    print("train.py: %s" % " ".join(str(error).split()), file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    define_flags()
    app.run(main)
