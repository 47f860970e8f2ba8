"""The drop-in against the numbers that TensorFlow 1.15's own cells computed, from TensorFlow's own checkpoints.

tests/golden/cells.py is the table of networks; tests/golden/generate.py had TensorFlow 1.15.5 compute them.
"""

import pytest

from golden import cells
from stacked_lstm import rnn_cell
from support.golden_networks import check_numbers
from support.native_ops import auto_engine
from support.sets import ONCE

# Cases that engines do not run: cells of users.
STEPWISE = """
    multi_user_cell multi_old_user_cell user_cell old_user_cell dropout_user_cell
""".split()
# Cases that draw a mask at each step. Engines draw other ones, so these run on TensorFlow's loop, one step at a time.
DRAWN = """
    dropout_input dropout_output dropout_state dropout_all dropout_tensors dropout_float64 dropout_one_tensor
    dropout_filter dropout_multi dropout_user_cell multi_dropout multi_wrappers both_dropout
""".split()
# Cases that native does not run: half precision, and activations that it does not have.
ON_GRAPH = ["lstm_float16", "basic_lstm_float16", "lstm_all_options", "lstm_all_options_one_tensor"]


def engines_of(name):
    """The engine of each direction on a machine that has the native one."""
    if name in STEPWISE + DRAWN:
        engine = "stepwise"
    else:
        engine = "graph" if name in ON_GRAPH else "native"
    return [engine, engine] if cells.CASES[name].backward else [engine]


# Beginnings of the names of cases of contrib's cells -> the engine on a machine that has the native one. The longest
# beginning counts.
CONTRIB_ENGINES = {
    "block": "native",
    "block_clip": "graph",
    "block_clip_zero": "native",
    "cudnn_compatible": "native",
    "basic_rnn": "stepwise",
    "coupled": "native",
    "coupled_layer_norm": "graph",
    "fused": "native",
    "fused_adaptor_static": "stepwise",
    "fused_initial_state": "graph",
    "gru": "stepwise",
    "attention": "stepwise",
    "embedding": "stepwise",
    "highway": "stepwise",
    "input_projection": "stepwise",
    "layer_norm": "native",
    "lstm": "graph",
    "nas": "stepwise",
    "output_projection": "stepwise",
}


def engine_of_contrib(name):
    return CONTRIB_ENGINES[max((start for start in CONTRIB_ENGINES if name.startswith(start)), key=len)]


CONTRIB = {name: "block_cells" for name in cells.BLOCK_CASES}
CONTRIB.update({name: "contrib_cells" for name in cells.CONTRIB_CASES})
CONTRIB = {name: file for name, file in CONTRIB.items() if name.startswith(tuple(CONTRIB_ENGINES))}


def check(name, files, module, session, engine):
    """Restores a case's variables by name and compares outputs, final states and all gradients."""
    used = []
    engine = "stepwise" if name in DRAWN else engine

    def dynamic_rnn(cell, **options):
        outputs, state = rnn_cell.dynamic_rnn(cell, engine=engine, **options)
        used.append(rnn_cell.engine_used(outputs).name)
        return outputs, state

    def bidirectional_dynamic_rnn(cell_fw, cell_bw, **options):
        outputs, states = rnn_cell.bidirectional_dynamic_rnn(cell_fw, cell_bw, engine=engine, **options)
        used.extend(rnn_cell.engine_used(direction).name for direction in outputs)
        return outputs, states

    network = cells.build(name, module, dynamic_rnn, bidirectional_dynamic_rnn)
    if cells.case_of(name).fused:
        used.append(rnn_cell.engine_used(network.results["outputs"]).name)
    check_numbers(name, network, files, session)
    return used


@pytest.mark.parametrize("name", sorted(cells.CASES))
def test_on_engines(name, plain_session):
    used = check(name, "cells", rnn_cell, plain_session, None)
    assert used == [auto_engine() if expected == "native" else expected for expected in engines_of(name)]


@ONCE
@pytest.mark.parametrize("name", sorted(name for name in cells.CASES if "native" in engines_of(name)))
def test_graph(name, plain_session):
    assert set(check(name, "cells", rnn_cell, plain_session, "graph")) == {"graph"}


@ONCE
@pytest.mark.parametrize("name", sorted(name for name in cells.CASES if "stepwise" not in engines_of(name)))
def test_stepwise(name, plain_session):
    assert set(check(name, "cells", rnn_cell, plain_session, "stepwise")) == {"stepwise"}


@pytest.mark.parametrize("name", sorted(CONTRIB))
def test_contrib(name, plain_session):
    file, expected = CONTRIB[name], engine_of_contrib(name)
    used = check(name, file, rnn_cell, plain_session, None)
    assert set(used) == {auto_engine() if expected == "native" else expected}


@ONCE
@pytest.mark.parametrize("name", sorted(name for name in CONTRIB if not cells.case_of(name).fused))
def test_contrib_stepwise(name, plain_session):
    file = CONTRIB[name]
    assert set(check(name, file, rnn_cell, plain_session, "stepwise")) == {"stepwise"}
