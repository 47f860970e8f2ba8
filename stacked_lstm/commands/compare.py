"""Compares StackedLSTM with its peers: other LSTM implementations with the same weights and data.

The peers are dynamic_rnn (MultiRNNCell + dynamic_rnn of the installed TensorFlow) and numpy (the NumPy implementation
of this package, in float64). In a clone of the repository, scripts/compare.py adds keras (tf-keras) and pytorch. The
comparison runs on every device that TensorFlow lists.

The report of a device has, in this order:

1. the largest difference of each output, final state and gradient, on random data;
2. the devices on which the ops of a training step ran;
3. the training losses of all networks, which train on the same batches;
4. the median times of an inference step and of a training step.

A difference is max|a - b| / max|b|, where b is the tensor of the peer. The gradients are those of a random linear
function of all outputs plus sines and cosines of the final states.

The exit status is 0 if all differences are within the tolerances, 1 if a difference exceeds its tolerance (the report
names it), 2 if the comparison could not run, and 130 after an interrupt.

    stacked-lstm-compare
    stacked-lstm-compare --peer=all --hidden_sizes=650,650 --batch_size=20 --time_steps=35 --device=/CPU:0
    stacked-lstm-compare --peer=all --chart=differences.png
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

from absl import flags

from stacked_lstm.commands import charts, choices, command, output_files

if TYPE_CHECKING:
    from stacked_lstm import parity
    from stacked_lstm.commands.series import Data
    from stacked_lstm.compat import tf

# The flags in the first lines of the report.
_CONFIGURATION = (
    "hidden_sizes", "batch_size", "time_steps", "initial_state", "lengths", "time_major", "dtype", "seed",
)  # fmt: skip


def load_dynamic_rnn() -> parity.PeerFactory:
    """Returns the peer MultiRNNCell + dynamic_rnn; raises `parity.PeerMissingError` if TensorFlow has none."""
    from stacked_lstm import parity

    parity.rnn_cell()
    return parity.PEERS["dynamic_rnn"]


def load_numpy() -> parity.PeerFactory:
    """Returns the peer in float64 NumPy."""
    from stacked_lstm import parity

    return parity.PEERS["numpy"]


def load_synthetic(values: flags.FlagValues) -> Data:
    """Returns the synthetic series; takes no flags into account."""
    del values
    from stacked_lstm.commands import series

    return series.synthetic_data()


# Name -> function that imports a peer's library and returns what `parity.Comparison` takes. It raises
# `parity.PeerMissingError` if the library is missing, or cannot be used where new ops are placed.
PEERS: dict[str, Callable[[], parity.PeerFactory]] = {"dynamic_rnn": load_dynamic_rnn, "numpy": load_numpy}
# Name -> function of the flags that returns the training data. The first is the default.
DATA: dict[str, Callable[[flags.FlagValues], Data]] = {"synthetic": load_synthetic}


def define_flags(
    values: flags.FlagValues,
    peers: Mapping[str, Callable[[], parity.PeerFactory]] = PEERS,
    data: Mapping[str, Callable[[flags.FlagValues], Data]] = DATA,
) -> None:
    """Adds the flags of the command.

    Args:
      values: where to add them.
      peers: as `PEERS`.
      data: as `DATA`.
    """
    positive, natural = {"lower_bound": 1}, {"lower_bound": 0}
    engines, states, dtypes = list(choices.ENGINES), list(choices.INITIAL_STATES), list(choices.DTYPES)
    table: tuple[tuple[Callable[..., Any], str, Any, str, dict[str, Any]], ...] = (
        (flags.DEFINE_enum, "peer", "dynamic_rnn",
         "The peer to compare with. all: every installed peer.", {"enum_values": [*sorted(peers), "all"]}),
        (flags.DEFINE_enum, "data", next(iter(data)),
         "The training data of the networks.", {"enum_values": list(data)}),
        (flags.DEFINE_list, "hidden_sizes", ["32", "32", "64"],
         "Number of units of each layer, first layer first.", {}),
        (flags.DEFINE_integer, "batch_size", 32, "Number of sequences in a batch.", positive),
        (flags.DEFINE_integer, "time_steps", 30,
         "Number of time steps of the random sequences, for the differences and the times.", positive),
        (flags.DEFINE_enum, "initial_state", "zeros", "The kind of initial state.", {"enum_values": states}),
        (flags.DEFINE_boolean, "lengths", False, "Use random sequence lengths from 0 to --time_steps.", {}),
        (flags.DEFINE_boolean, "time_major", False, "Feed [time, batch, input] instead of [batch, time, input].", {}),
        (flags.DEFINE_enum, "dtype", "float32", "Type of weights and data.", {"enum_values": dtypes}),
        (flags.DEFINE_enum, "engine", "auto", "Engine of StackedLSTM.", {"enum_values": engines}),
        (flags.DEFINE_string, "device", "all",
         "A device, such as /CPU:0 or /GPU:0. all: every device that TensorFlow lists.", {}),
        (flags.DEFINE_boolean, "soft_placement", True,
         "Run ops without a kernel for the device on another device. The report lists the devices of the ops.", {}),
        (flags.DEFINE_integer, "steps", 100, "Number of training steps.", natural),
        (flags.DEFINE_float, "learning_rate", 0.05, "Learning rate of plain gradient descent.", natural),
        (flags.DEFINE_integer, "repeats", 20, "Number of timed steps of each network. 0: no timing.", natural),
        (flags.DEFINE_integer, "seed", 1, "Seed of weights and random data.",
         {"lower_bound": 0, "upper_bound": 2**31 - 1}),
        (flags.DEFINE_float, "tolerance", None,
         "Largest allowed difference of outputs, states and gradients (default: 1e-12 in float64, 1e-5 in float32, "
         "1e-2 in float16, 1e-1 in bfloat16).", natural),
        (flags.DEFINE_string, "chart", None, "File for a plot of the differences, such as differences.png.", {}),
    )  # fmt: skip
    for define, name, default, text, domain in table:
        define(name=name, default=default, help=text, flag_values=values, **domain)


def main(values: flags.FlagValues) -> None:
    """Compares with the package's peers, on its own data."""
    compare(values, PEERS, DATA)


def run() -> None:
    """Runs the command `stacked-lstm-compare`."""
    command.run(define_flags, main)


def compare(
    values: flags.FlagValues,
    peers: Mapping[str, Callable[[], parity.PeerFactory]],
    data: Mapping[str, Callable[[flags.FlagValues], Data]],
) -> None:
    """Compares, prints the report, and exits with status 1 if a tolerance is exceeded.

    Args:
      values: parsed flags of `define_flags`.
      peers: as `PEERS`.
      data: as `DATA`.

    Raises:
      ValueError, OSError, ImportError: a flag, a file or a missing package does not allow it; one line says why.
    """
    for name in ("tolerance", "learning_rate"):
        number = values[name].value
        if number is not None and not math.isfinite(number):
            raise ValueError(f"--{name}: expected a finite number, got {number}")
    output_files.check_file_name("chart", values.chart)
    if values.chart:
        charts.check_matplotlib("chart", values.chart)
    command.graph_mode()
    import stacked_lstm
    from stacked_lstm.compat import tf

    examples = data[values.data](values)
    setup = _setup(values, examples)
    devices = _chosen_devices(values)
    print(f"stacked_lstm {stacked_lstm.__version__}, TensorFlow {tf.__version__}")
    print(f"data: {examples.description}")
    settings = dict(values.flag_values_dict(), hidden_sizes=",".join(values.hidden_sizes))
    print(", ".join(f"{name}={settings[name]}" for name in _CONFIGURATION))
    problems, measured = [], []
    for device in devices:
        sentences, differences = _compare_on(device, values, setup, peers, examples)
        problems += [f"{device}: {sentence}" for sentence in sentences]
        measured += [(device, difference) for difference in differences]
    if values.chart:
        charts.save(values.chart, charts.draw_differences(measured))
        print(f"\nchart: {values.chart}")
    if problems:
        sys.exit("\nNOT within the tolerances:\n  " + "\n  ".join(problems))
    print(f"\nAll differences are within the tolerances on {', '.join(devices)}.")


def _setup(values: flags.FlagValues, examples: Data) -> parity.Setup:
    """The network that the flags ask for, with the data's widths."""
    from stacked_lstm import parity

    return parity.Setup(
        hidden_sizes=_widths(values.hidden_sizes),
        input_size=examples.inputs.shape[-1],
        horizon=examples.targets.shape[-1],
        initial_state=values.initial_state,
        lengths=values.lengths,
        time_major=values.time_major,
        dtype=values.dtype,
        engine=values.engine,
    )


def _widths(sizes: Sequence[str]) -> list[int]:
    if not sizes or not all(size.isdecimal() and int(size) for size in sizes):
        raise ValueError(
            f"--hidden_sizes: expected positive integers, such as 32,32,64, got {','.join(sizes) or 'none'}"
        )
    return [int(size) for size in sizes]


def devices_present() -> list[str]:
    """Returns names such as "/CPU:0" and "/GPU:0", CPUs first."""
    from stacked_lstm.compat import tf

    with _session(tf.Graph(), soft_placement=True) as session:
        names = [d.name.split("/device:")[-1] for d in session.list_devices() if d.device_type in ("CPU", "GPU")]
    return [f"/{name}" for name in sorted(names)]


def _chosen_devices(values: flags.FlagValues) -> list[str]:
    present = devices_present()
    if values.device not in present + ["all"]:
        raise ValueError(f"--device: expected one of {', '.join([*present, 'all'])}, got {values.device}")
    return present if values.device == "all" else [values.device]


def _session(graph: tf.Graph, soft_placement: bool) -> tf.Session:
    """A session that takes a GPU's memory as it needs it; the first session of a process decides that for all."""
    from stacked_lstm.compat import tf

    options = tf.GPUOptions(allow_growth=True)
    return tf.Session(graph=graph, config=tf.ConfigProto(allow_soft_placement=soft_placement, gpu_options=options))


def _load_peers(choice: str, peers: Mapping[str, Callable[[], parity.PeerFactory]]) -> dict[str, parity.PeerFactory]:
    """The chosen peers. For "all", those that cannot be had where new ops are placed are named and left out."""
    from stacked_lstm import parity

    if choice != "all":
        return {choice: peers[choice]()}
    loaded, missing = {}, []
    for name, load in peers.items():
        try:
            loaded[name] = load()
        except parity.PeerMissingError as error:
            missing.append(f"{name} ({error})")
    if missing:
        print(f"\nLeft out: {'; '.join(missing)}")
    return loaded


def _compare_on(
    device: str,
    values: flags.FlagValues,
    setup: parity.Setup,
    peers: Mapping[str, Callable[[], parity.PeerFactory]],
    examples: Data,
) -> tuple[list[str], list[parity.Difference]]:
    """Prints the report for one device; returns a sentence per tolerance exceeded, and all differences."""
    from stacked_lstm import parity, tf32
    from stacked_lstm.commands import report
    from stacked_lstm.compat import tf

    if tf.DeviceSpec.from_string(device).device_type == "GPU":
        tf32.off_unless_asked_for()
    with tf.Graph().as_default() as graph, tf.device(device):
        tf.set_random_seed(values.seed)
        comparison = parity.Comparison(setup, _load_peers(values.peer, peers), values.learning_rate)
        print(f"\n{device}:")
        report.print_sources(comparison)
        initialize = tf.global_variables_initializer()
        with _session(graph, values.soft_placement) as session:
            session.run(initialize)
            comparison.start(session, values.seed)
            batch = parity.random_batch(setup, values.batch_size, values.time_steps, values.seed)
            differences = parity.differences(comparison, session, batch, setup.dtype, values.tolerance)
            problems = report.print_differences(differences)
            report.print_devices(comparison, session, batch)
            session.run(initialize)
            comparison.start(session, values.seed)
            losses = parity.train(comparison, session, _batches(values, setup, examples))
            problems += report.print_losses(list(comparison.networks), losses, setup.dtype)
            report.print_times(comparison, session, batch, values.repeats)
    return problems, differences


def _batches(values: flags.FlagValues, setup: parity.Setup, examples: Data) -> Iterator[parity.Batch]:
    """Yields --steps batches of windows, drawn at random."""
    import numpy as np

    from stacked_lstm import parity

    random = np.random.RandomState(values.seed)
    for _ in range(values.steps):
        rows = random.randint(len(examples.inputs), size=values.batch_size)
        yield parity.training_batch(setup, examples.inputs[rows], examples.targets[rows])


if __name__ == "__main__":
    run()
