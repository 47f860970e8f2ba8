"""Compares StackedLSTM with its peers: the same weights, the same data, on every device present.

The peers are MultiRNNCell + dynamic_rnn, Keras 2's LSTM layers, PyTorch's, on the device that is compared, and the
package's yardstick in float64 NumPy. Reports
the largest differences of outputs, final states and all gradients on random data; the losses of all while they train
side by side on hourly temperatures; the time of a step of each; and the devices on which the ops ran. Gradients are
those of a random linear function of all outputs plus sines and cosines of the final states. Exits with 1 and names
what is off when a tolerance is exceeded, with 2 where it could not compare.

    python scripts/compare.py
    python scripts/compare.py --peer=all
    python scripts/compare.py --hidden_sizes=650,650 --batch_size=20 --time_steps=35 --device=/CPU:0
"""

import collections
import functools
import sys

import numpy as np
from absl import flags

import command
import keras_lstm
import networks
import pytorch_lstm
import stacked_lstm
from stacked_lstm import checks, engines, initial_state, parity, tf32
from stacked_lstm.compat import tf
from tasks import forecast

FLAGS = flags.FLAGS

PEERS = {name: functools.partial(parity.of_peer, build) for name, build in networks.PEERS.items()}
PEERS["numpy"] = parity.PEERS["numpy"]
PEERS["pytorch"] = pytorch_lstm.PytorchNetwork
# Peer -> function that raises `parity.PeerMissingError` where it cannot be had.
LIBRARIES = {
    "dynamic_rnn": parity.rnn_cell,
    "keras": keras_lstm.keras_2,
    "pytorch": pytorch_lstm.pytorch_beside_new_ops,
}

flags.DEFINE_enum(
    "peer", "dynamic_rnn", sorted(PEERS) + ["all"], "With whom to compare; all are those that can be had here."
)
flags.DEFINE_list("hidden_sizes", ["32", "32", "64"], "Widths of the layers, from the input upwards.")
flags.DEFINE_integer("batch_size", 32, "Sequences in a batch.", lower_bound=1)
flags.DEFINE_integer("time_steps", 30, "Steps of the random sequences on which numbers and times are compared.", 1)
flags.DEFINE_enum("initial_state", "zeros", sorted(initial_state.INITIAL_STATES), "Where the state starts.")
flags.DEFINE_boolean("lengths", False, "Give all of them sequence lengths, from 0 to --time_steps.")
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
# What the report starts with.
CONFIGURATION = (
    ["hidden_sizes", "batch_size", "time_steps", "initial_state", "lengths", "time_major", "dtype", "seed"]
)  # fmt: skip

flags.DEFINE_string("data_dir", None, f"Directory with {forecast.FILE}; default: the package vega-datasets.")


def devices_present():
    """Returns names such as "/CPU:0" and "/GPU:0", CPUs first."""
    with session_of(tf.Graph()) as session:
        found = [d.name.split("/device:")[-1] for d in session.list_devices() if d.device_type in ("CPU", "GPU")]
    return ["/" + name for name in sorted(found)]


def session_of(graph):
    """A session that leaves the rest of a GPU's memory to others; the first of a process decides that for all."""
    options = tf.GPUOptions(allow_growth=True)
    return tf.Session(
        graph=graph, config=tf.ConfigProto(allow_soft_placement=FLAGS.soft_placement, gpu_options=options)
    )


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


def batches(setup, examples, steps):
    """Yields `steps` batches, drawn at random from the training windows."""
    random = np.random.RandomState(FLAGS.seed)
    for _ in range(steps):
        chosen = examples.feed(random.randint(len(examples), size=FLAGS.batch_size))
        yield parity.training_batch(setup, chosen["inputs"], chosen["changes"][:, -forecast.HOURS_OUT :])


def peers_from_flags():
    """Returns name -> function, as in `PEERS`; of all, prints those that cannot be had where new ops are."""
    if FLAGS.peer != "all":
        return {FLAGS.peer: PEERS[FLAGS.peer]}
    missing = collections.OrderedDict()
    for name, find in LIBRARIES.items():
        try:
            find()
        except parity.PeerMissingError as error:
            missing[name] = error
    if missing:
        print("\nLeft out: %s" % "; ".join("%s (%s)" % item for item in missing.items()))
    return {name: peer for name, peer in PEERS.items() if name not in missing}


def compare_on(device, setup, examples):
    """Prints the report for one device; returns a list of strings, one per tolerance exceeded."""
    if tf.DeviceSpec.from_string(device).device_type == "GPU":
        tf32.off_unless_asked_for()
    with tf.Graph().as_default() as graph, tf.device(device):
        tf.set_random_seed(FLAGS.seed)
        peers = peers_from_flags()
        comparison = parity.Comparison(setup, peers, FLAGS.learning_rate)
        print(f"\n{device}:")
        for name, network in comparison.networks.items():
            print(f"  {name:12} {network.source}")
        initialize = tf.global_variables_initializer()
        with session_of(graph) as session:
            session.run(initialize)
            comparison.start(session, FLAGS.seed)
            batch = parity.random_batch(setup, FLAGS.batch_size, FLAGS.time_steps, FLAGS.seed)
            problems = report_differences(
                list(peers), parity.differences(comparison, session, batch, setup.dtype, FLAGS.tolerance)
            )
            report_devices(comparison, session, batch)
            session.run(initialize)
            comparison.start(session, FLAGS.seed)
            losses = parity.train(comparison, session, batches(setup, examples, FLAGS.steps))
            problems += report_losses(list(comparison.networks), losses)
            report_times(comparison, session, batch)
    return [f"{device}: {problem}" for problem in problems]


def report_differences(peers, found):
    """Prints a row per tensor and a column per peer; returns strings that name what is off."""
    print("\n  Largest difference of StackedLSTM from each peer, max|a - b| / max|b|:")
    print(f"  {'':30}" + "".join(f"{p:>13}" for p in peers) + f"{'allowed':>13}")
    bad = parity.exceeded(found)
    for name in collections.OrderedDict.fromkeys(d.name for d in found):
        row = [d for d in found if d.name == name]
        off = [d.peer for d in row if d in bad]
        cells = "".join(f"{d.relative:13.2e}" for d in row) + f"{row[0].tolerance:13.0e}"
        print("  %-30s%s%s" % (name, cells, "  EXCEEDED: %s" % ", ".join(off) if off else ""))
    return [f"{d.name} differs from {d.peer}'s by {d.relative:.2e} of its size ({d.tolerance:.0e} allowed)"
            for d in bad]  # fmt: skip


def report_devices(comparison, session, batch):
    print()
    for name, network in comparison.networks.items():
        if isinstance(network, parity.GraphNetwork):
            counts = parity.devices_used(session, network.train_step, network.feed(batch))
            ran = ", ".join("%s (%d runs)" % item for item in sorted(counts.items()))
            print(f"  {name}: ops of a training step ran on {ran}")


def report_losses(names, losses):
    """Prints some of the losses; returns strings that name which are off."""
    if not len(losses):
        return []
    print(f"\n  {'step':10}" + "".join(f"{name:>14}" for name in names) + "   losses, training side by side")
    for step in sorted(set(np.linspace(0, len(losses) - 1, num=6, dtype=int))):
        print(f"  {step + 1:<10}" + "".join(f"{loss:14.8g}" for loss in losses[step]))
    differences, allowed = parity.loss_differences(losses), parity.LOSS_TOLERANCES[FLAGS.dtype]
    print(f"  {'apart':10}{'':>14}" + "".join(f"{d:14.2e}" for d in differences) + f"   at most; {allowed:.0e} allowed")
    return [
        f"losses differ from {name}'s by {difference:.2e} in {len(losses)} steps ({allowed:.0e} allowed)"
        for name, difference in zip(names[1:], differences)
        if not difference <= allowed
    ]


def report_times(comparison, session, batch):
    if not FLAGS.repeats:
        return
    print(f"\n  {'':12}{'inference':>18}{'training':>18}   medians of {FLAGS.repeats} steps; beside StackedLSTM's")
    taken = [parity.step_times(comparison, session, batch, FLAGS.repeats, training) for training in (False, True)]
    medians = [{name: np.median(seconds) * 1e3 for name, seconds in times.items()} for times in taken]
    for name in comparison.networks:
        cells = [f"{times[name]:9.2f} ms {times[name] / times[parity.OURS]:4.2f}x" for times in medians]
        print("  %-12s%18s%18s" % (name, *cells))


def main():
    with command.one_line_errors(__file__):
        task = forecast.Forecast({"data_dir": FLAGS.data_dir, "train_examples": None})
        task.read()
        setup = setup_from_flags()
        present = devices_present()
        wanted = present if FLAGS.device == "all" else [FLAGS.device]
        for device in wanted:
            if device not in present:
                checks.fail("flags", f"`--device` to be all or one that TensorFlow sees: {', '.join(present)}", device)
        print(f"stacked_lstm {stacked_lstm.__version__}, TensorFlow {tf.__version__}")
        given = dict(FLAGS.flag_values_dict(), hidden_sizes=",".join(FLAGS.hidden_sizes))
        print(", ".join(f"{name}={given[name]}" for name in CONFIGURATION))
        problems = [problem for device in wanted for problem in compare_on(device, setup, task.train)]
    if problems:
        sys.exit("\nNOT the same numbers:\n  " + "\n  ".join(problems))
    print(f"\nThe same numbers on {', '.join(wanted)}.")


if __name__ == "__main__":
    command.run(main)
