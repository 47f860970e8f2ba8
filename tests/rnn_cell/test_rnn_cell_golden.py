"""The drop-in against the numbers that TensorFlow 1.15's own cells computed, from TensorFlow's own checkpoints.

tests/golden/cells.py is the table of networks; tests/golden/generate.py had TensorFlow 1.15.5 compute them.
"""

import pytest

from golden import cells
from stacked_lstm import rnn_cell
from support.engines.native_ops import auto_engine
from support.networks.golden_networks import check_numbers
from support.suite.sets import ONCE, some

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
    "highway": "native",
    "highway_not_coupled": "stepwise",
    "input_projection": "native",
    "layer_norm": "native",
    "lstm": "graph",
    "nas": "stepwise",
    "output_projection": "stepwise",
    "output_projection_multi": "native",
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


# Each cell, option and kind of state once.
FEW = """
    basic_lstm_forget_bias_large basic_lstm_one_tensor_given basic_lstm_name basic_lstm_time_major_no_lengths
    basic_lstm_relu lstm_peepholes_initial_state lstm_projection_wider lstm_proj_clip lstm_proj_clip_alone
    lstm_cell_clip_zero lstm_one_tensor_given lstm_activation_by_name lstm_shards lstm_float64 multi_mixed multi_nested
    multi_one_tensor multi_of_one_tensors multi_same_cell dropout_none dropout_variational dropout_variational_tensors
    dropout_variational_multi residual residual_fn device both both_initial_state
""".split()
CASES = [(name,) for name in sorted(cells.CASES)]
ON_ENGINES = [case for case in CASES if case[0] in FEW + STEPWISE + DRAWN + ON_GRAPH]
OF_GRAPH = [case for case in CASES if "native" in engines_of(case[0])]


@pytest.mark.parametrize("name", [pytest.param(*case, marks=[] if case in ON_ENGINES else ONCE) for case in CASES])
def test_on_engines(name, plain_session):
    used = check(name, "cells", rnn_cell, plain_session, None)
    assert used == [auto_engine() if expected == "native" else expected for expected in engines_of(name)]


@ONCE
@pytest.mark.parametrize("name", some([(name,) for name in sorted(FEW)], OF_GRAPH))
def test_graph(name, plain_session):
    assert set(check(name, "cells", rnn_cell, plain_session, "graph")) == {"graph"}


@ONCE
@pytest.mark.parametrize(
    "name",
    some([(n,) for n in sorted(FEW + ON_GRAPH)], [case for case in CASES if "stepwise" not in engines_of(*case)]),
)
def test_stepwise(name, plain_session):
    assert set(check(name, "cells", rnn_cell, plain_session, "stepwise")) == {"stepwise"}


CONTRIB_OF_OLDEST = """
    block_clip_peepholes block_multi basic_rnn gru gru_block layer_norm layer_norm_dropout coupled_peepholes
    coupled_layer_norm fused_initial_state fused_reversed fused_adaptor highway input_projection output_projection_multi
    embedding attention nas_projection lstm_elu cudnn_compatible_multi
""".split()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in CONTRIB_OF_OLDEST else ONCE) for name in sorted(CONTRIB)]
)
def test_contrib(name, plain_session):
    file, expected = CONTRIB[name], engine_of_contrib(name)
    used = check(name, file, rnn_cell, plain_session, None)
    assert set(used) == {auto_engine() if expected == "native" else expected}


@ONCE
@pytest.mark.parametrize(
    "name",
    sorted(n for n in CONTRIB if not cells.case_of(n).fused and engine_of_contrib(n) != "stepwise"),
)
def test_contrib_stepwise(name, plain_session):
    """`test_contrib` has the other cases."""
    file = CONTRIB[name]
    assert set(check(name, file, rnn_cell, plain_session, "stepwise")) == {"stepwise"}
