"""scripts/shared/layer_options.py: the flags of StackedLSTM's options, from the command line to resumed runs."""

import inspect
import json
import os

import numpy as np
import pytest

from shared import layer_options
from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from support.suite.sets import ONCE
from support.training.tiny_runs import assert_same, flag_values, run, values_in, weights
from tasks import TASKS, networks
from training import experiment, settings
from training.run_files import history


def test_each_option_of_a_stack_has_a_flag():
    names = list(inspect.signature(StackedLSTM.__init__).parameters)
    first, last = names.index("input_dropout"), names.index("projection_clip")
    assert sorted(layer_options.TABLE) == sorted(names[first : last + 1])


@pytest.mark.parametrize(
    "flag, text, value",
    [
        ("dropout", "0.5", 0.5),
        ("dropout", "0.5,0", [0.5, 0.0]),
        ("recurrent_dropout_kind", "candidate", "candidate"),
        ("layer_norm", "true,false,tensorflow", [True, False, "tensorflow"]),
        ("residual", "after layer 1", "after layer 1"),
        ("projection_size", "3", 3),
        ("peepholes", "false", False),
        ("cell_clip", "2", 2.0),
    ],
)
def test_values(flag, text, value):
    """A value survives the file of the run."""
    chosen = settings.read_flags(flag_values({"task": "forecast", flag: text}))
    assert chosen[flag] == value and type(chosen[flag]) is type(value)
    saved = json.loads(json.dumps(chosen))
    settings.check_saved_flags(saved)
    for wrong in ({"a": 1}, [], [[0.5]], "many", [None]):
        if not (isinstance(wrong, str) and flag in ("recurrent_dropout_kind", "layer_norm", "residual")):
            with pytest.raises(
                ValueError, match=f"--train_dir: expected the flags of a run in its history, .*--{flag}="
            ):
                settings.check_saved_flags(dict(saved, **{flag: wrong}))


@pytest.mark.parametrize(
    "flag, text, message",
    [
        ("dropout", "x", "--dropout: expected a number, one for all layers or, after commas, one per layer, got x"),
        ("dropout", "", "--dropout: expected a number, one for all layers or, after commas, one per layer, got none"),
        ("dropout", "1.5", "--dropout: expected a rate from 0 to below 1, got 1.5"),
        ("dropout", ".1,.2,.3", "--dropout: expected one value, or a list of 2 values, one for each place between tw"),
        ("zoneout_c", "0.5,-1,0", "--zoneout_c: expected a rate from 0 to 1, got -1.0"),
        (
            "recurrent_dropout_kind",
            "all",
            "--recurrent_dropout_kind: expected one of candidate, variational, got 'all'",
        ),
        ("layer_norm", "yes", "--layer_norm: expected true, false or 'tensorflow', got 'yes'"),
        ("residual", "after layer 9", "--residual: expected true, false, a list of them, or 'after layer k' with a "),
        ("projection_size", "1.5", "--projection_size: expected an integer, one for all layers or, after commas, one"),
        ("projection_size", "0", "--projection_size: expected a positive integer, got 0"),
        ("peepholes", "1", "--peepholes: expected true or false, one for all layers or, after commas, one per layer, "),
        ("cell_clip", "inf", "--cell_clip: expected a positive, finite number, got inf"),
        (
            "projection_clip",
            "2",
            "StackedLSTM: expected a --projection_size for layer 1, because it has a --projection",
        ),
    ],
)
def test_bad_values_are_refused(flag, text, message):
    with pytest.raises(ValueError) as error:
        experiment.recurrent_layers(settings.read_flags(flag_values({"task": "forecast", flag: text})))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_the_last_output_has_what_stands_around_the_layer(session):
    """With a residual connection, it is the state plus the input; the layer below has no such connection."""
    inputs = np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32)
    x, lengths = tf.placeholder(tf.float32, [None, None, 3]), tf.placeholder(tf.int32, [None])
    recurrent = networks.Recurrent([3], residual=True)
    outputs, last = recurrent(x, lengths)
    session.run(tf.global_variables_initializer())
    values, every = session.run([last, outputs], {x: inputs, lengths: [5, 2]})
    np.testing.assert_array_equal(values, [every[0, 4], every[1, 1]])
    assert recurrent.training is None


RANDOM = {"input_dropout": "0.2", "dropout": "0.3", "output_dropout": "0.2", "recurrent_dropout": "0.3,0.4"}
RANDOM.update({"zoneout_c": "0.1", "zoneout_h": "0.2", "recurrent_dropout_kind": "candidate"})
OTHERS = {"layer_norm": "true", "residual": "false,true", "projection_size": "4", "projection_clip": "3"}
OTHERS.update({"peepholes": "true", "cell_clip": "5", "hidden_sizes": "6,5"})


@ONCE
def test_a_resumed_run_has_the_same_masks_and_predictions_have_none(arguments):
    flags = dict(arguments, **RANDOM, **OTHERS)
    undisturbed = dict(flags, train_dir=arguments["train_dir"] + "2", epochs="4")
    result = run(undisturbed)
    run(flags)
    run(flags, epochs="4")
    actual, expected = weights(flags["train_dir"]), weights(undisturbed["train_dir"])
    assert_same(actual, expected)
    for name in ("Wp", "pf", "gain_f"):
        assert f"stacked_lstm/layer_2/{name}" in actual
    other = dict(flags, train_dir=arguments["train_dir"] + "3", epochs="4", zoneout_h="0")
    run(other)
    assert np.any(weights(other["train_dir"])["dense/W"] != actual["dense/W"])
    task = TASKS["fashion_mnist"](experiment.read_settings(flags["train_dir"]))
    task.read()
    path = os.path.join(flags["train_dir"], "model.ckpt-12")
    right = experiment.predict(task, task.test, path).argmax(axis=1) == task.test["labels"]
    assert right.mean() == pytest.approx(result["test_accuracy"])
    assert sorted(values_in(path)) == sorted(actual)


@ONCE
def test_early_runs_without_these_flags_go_on(arguments):
    run(arguments)
    path = os.path.join(arguments["train_dir"], history.FILE)
    with open(path) as file:
        content = json.load(file)
    for name in layer_options.TABLE:
        assert content["flags"].pop(name) is None
    with open(path, "w") as file:
        json.dump(content, file)
    assert experiment.read_settings(arguments["train_dir"])["dropout"] is None
    run(arguments, epochs="3")
    with pytest.raises(ValueError, match="--train_dir: .* with --dropout=0.5, got .* with no --dropout;"):
        run(arguments, dropout="0.5")
