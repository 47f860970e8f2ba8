"""Compares StackedLSTM with MultiRNNCell + dynamic_rnn: same graph, same weights, same data, every device present.

Reports the largest differences of outputs, final states and all gradients on random data; the losses of both while
they train side by side on hourly temperatures; the time of a step of each; and the devices on which the ops ran.
Exits with 1 and names what is off when a tolerance is exceeded, with 2 where it could not compare.

    python scripts/compare.py
    python scripts/compare.py --hidden_sizes=650,650 --batch_size=20 --time_steps=35 --device=/CPU:0
"""

import sys

import numpy as np
from absl import app, flags

import stacked_lstm
from stacked_lstm import checks, engines, initial_state, parity
from stacked_lstm.compat import tf
from tasks import forecast

FLAGS = flags.FLAGS

flags.DEFINE_list("hidden_sizes", ["32", "32", "64"], "Widths of the layers, from the input upwards.")
flags.DEFINE_integer("batch_size", 32, "Sequences in a batch.", lower_bound=1)
flags.DEFINE_integer("time_steps", 30, "Steps of the random sequences on which numbers and times are compared.", 1)
flags.DEFINE_enum("initial_state", "zeros", sorted(initial_state.INITIAL_STATES), "Where the state starts.")
flags.DEFINE_boolean("lengths", False, "Give both sequence lengths, from 0 to --time_steps.")
flags.DEFINE_boolean("time_major", False, "Feed [time, batch, input] instead of [batch, time, input].")
flags.DEFINE_enum("dtype", "float32", sorted(parity.TOLERANCES), "Type of weights and data.")
flags.DEFINE_enum("engine", "auto", ["auto"] + sorted(engines.ENGINES), "Engine of the StackedLSTM.")
flags.DEFINE_string("device", "all", 'A device such as "/CPU:0" or "/GPU:0", or "all" that are present.')
flags.DEFINE_boolean("soft_placement", True, "Let ops without a kernel for the device run elsewhere; the report shows.")
flags.DEFINE_integer("steps", 100, "Training steps side by side.", lower_bound=0)
flags.DEFINE_float("learning_rate", 0.05, "Of plain gradient descent.", lower_bound=0.0)
flags.DEFINE_integer("repeats", 20, "Timed steps of each; 0 for no timing.", lower_bound=0)
flags.DEFINE_integer("seed", 1, "Of weights and data.")
flags.DEFINE_float(
    "tolerance", None, "Largest max|a-b|/max|b| allowed, instead of the one for --dtype.", lower_bound=0.0
)
flags.DEFINE_string("data_dir", None, "Directory with %s; default: the package vega-datasets." % forecast.FILE)


def devices_present():
    """Returns names such as "/CPU:0" and "/GPU:0", CPUs first."""
    with tf.Session(graph=tf.Graph()) as session:
        found = [d.name.split("/device:")[-1] for d in session.list_devices() if d.device_type in ("CPU", "GPU")]
    return ["/" + name for name in sorted(found)]


def setup_from_flags():
    """`parity.Setup` of the network that the flags ask for, with the inputs and outputs of the forecast."""
    return parity.Setup(
        hidden_sizes=checks.widths(
            [int(s) if s.isdigit() else s for s in FLAGS.hidden_sizes], "flags", "--hidden_sizes"
        ),
        input_size=forecast.FEATURES,
        horizon=forecast.HOURS_OUT,
        initial_state=FLAGS.initial_state,
        lengths=FLAGS.lengths,
        time_major=FLAGS.time_major,
        dtype=FLAGS.dtype,
        engine=FLAGS.engine,
    )


def batches(examples, steps):
    """Yields `steps` batches (inputs, targets), drawn at random from the training windows."""
    random = np.random.RandomState(FLAGS.seed)
    for _ in range(steps):
        chosen = examples.feed(random.randint(len(examples), size=FLAGS.batch_size))
        yield chosen["inputs"], chosen["changes"]


def compare_on(device, setup, examples):
    """Prints the report for one device; returns a list of strings, one per tolerance exceeded."""
    with tf.Graph().as_default(), tf.device(device):
        tf.set_random_seed(FLAGS.seed)
        pair = parity.Pair(setup, FLAGS.learning_rate)
        print("\n%s: engine %s (%s), peer %s" % ((device,) + pair.lstm.engine_used + (pair.peer.source,)))
        initialize = tf.global_variables_initializer()
        with tf.Session(config=tf.ConfigProto(allow_soft_placement=FLAGS.soft_placement)) as session:
            session.run(initialize)
            session.run(pair.start)
            feed = pair.feed(FLAGS.batch_size, FLAGS.time_steps, FLAGS.seed)
            problems = report_differences(parity.differences(pair, session, feed, setup.dtype, FLAGS.tolerance))
            for name, step in zip(("StackedLSTM", "dynamic_rnn"), pair.train_steps):
                report_devices(name, parity.devices_used(session, step, feed))
            session.run(initialize)
            session.run(pair.start)
            problems += report_losses(parity.train(pair, session, batches(examples, FLAGS.steps)))
            report_times(pair, session, feed)
    return ["%s: %s" % (device, problem) for problem in problems]


def report_differences(found):
    print("  %-30s %12s %12s %10s" % ("largest difference of", "absolute", "relative", "allowed"))
    bad = parity.exceeded(found)
    for d in found:
        print("  %-30s %12.2e %12.2e %10.0e%s" % (d + ("  EXCEEDED" if d in bad else "",)))
    return ["%s differs by %.2e of its size (%.0e allowed)" % (d.name, d.relative, d.tolerance) for d in bad]


def report_devices(name, counts):
    ran = ", ".join("%s (%d)" % item for item in sorted(counts.items()))
    print("  %s: ops of a training step ran on %s" % (name, ran))


def report_losses(losses):
    if not len(losses):
        return []
    print("  %-10s %14s %14s %12s   training side by side" % ("step", "StackedLSTM", "dynamic_rnn", "relative"))
    shown = sorted(set(np.linspace(0, len(losses) - 1, num=6, dtype=int)))
    for step in shown:
        ours, theirs = losses[step]
        print("  %-10d %14.8f %14.8f %12.2e" % (step + 1, ours, theirs, abs(ours - theirs) / abs(theirs)))
    difference, allowed = parity.loss_difference(losses), parity.LOSS_TOLERANCES[FLAGS.dtype]
    if difference <= allowed:
        return []
    return ["losses differ by %.2e in %d steps (%.0e allowed)" % (difference, len(losses), allowed)]


def report_times(pair, session, feed):
    if not FLAGS.repeats:
        return
    print("  %-10s %14s %14s %12s   median of %d steps" % ("", "StackedLSTM", "dynamic_rnn", "ratio", FLAGS.repeats))
    for name, training in (("inference", False), ("training", True)):
        taken = parity.step_times(pair, session, feed, FLAGS.repeats, training)
        ours, theirs = np.median(taken.ours) * 1e3, np.median(taken.peer) * 1e3
        print("  %-10s %11.2f ms %11.2f ms %11.2fx" % (name, ours, theirs, theirs / ours))


def main(argv):
    if argv[1:]:
        raise app.UsageError("unexpected arguments: %s" % " ".join(argv[1:]))
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    try:
        examples = forecast.Forecast(FLAGS.data_dir).train
        setup = setup_from_flags()
        present = devices_present()
        wanted = present if FLAGS.device == "all" else [FLAGS.device]
        for device in wanted:
            if device not in present:
                checks.fail("flags", "`--device` to be all or one of %s" % ", ".join(present), device)
        print("stacked_lstm %s, TensorFlow %s, %s" % (stacked_lstm.__version__, tf.__version__, setup.dtype))
        problems = [problem for device in wanted for problem in compare_on(device, setup, examples)]
    except (ImportError, OSError, ValueError) as error:
        print("compare.py: %s" % error, file=sys.stderr)
        sys.exit(2)
    if problems:
        sys.exit("\nNOT the same numbers:\n  " + "\n  ".join(problems))
    print("\nThe same numbers on %s." % ", ".join(wanted))


if __name__ == "__main__":
    app.run(main)
