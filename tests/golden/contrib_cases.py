"""The table of networks of the cells that `tf.contrib.rnn` has; `cells` builds them as it builds those of `cases`."""

import tensorflow.compat.v1 as tf

from golden.cases import Case

CONTRIB_CASES = {
    # LSTMBlockCell
    "block_clip": Case(lambda rnn: rnn.LSTMBlockCell(4, cell_clip=0.25)),
    "block_clip_peepholes": Case(
        lambda rnn: rnn.LSTMBlockCell(4, 0.5, cell_clip=0.3, use_peephole=True), initial_state=True
    ),
    "block_clip_zero": Case(lambda rnn: rnn.LSTMBlockCell(4, cell_clip=0.0)),
    "block_multi": Case(lambda rnn: rnn.MultiRNNCell([rnn.LSTMBlockCell(4), rnn.LSTMBlockCell(5, 0.5)])),
    "block_both": Case(lambda rnn: rnn.LSTMBlockCell(4), backward=lambda rnn: rnn.LSTMBlockCell(2, name="second")),
    # GRUCell, BasicRNNCell, GRUBlockCell
    "gru": Case(lambda rnn: rnn.GRUCell(4)),
    "gru_initial_state": Case(lambda rnn: rnn.GRUCell(4, activation=tf.nn.relu), initial_state=True, time_major=True),
    "gru_float64": Case(lambda rnn: rnn.GRUCell(4, name="encoder"), dtype="float64", lengths=False),
    "gru_multi": Case(lambda rnn: rnn.MultiRNNCell([rnn.GRUCell(4), rnn.DropoutWrapper(rnn.GRUCell(5))])),
    "basic_rnn": Case(lambda rnn: rnn.BasicRNNCell(4)),
    "basic_rnn_initial_state": Case(
        lambda rnn: rnn.BasicRNNCell(4, activation="sigmoid"), dtype="float64", initial_state=True
    ),
    "gru_block": Case(lambda rnn: rnn.GRUBlockCell(4), initial_state=True),
    "gru_block_v2": Case(lambda rnn: rnn.GRUBlockCellV2(4)),
    # LayerNormBasicLSTMCell
    "layer_norm": Case(lambda rnn: rnn.LayerNormBasicLSTMCell(4)),
    "layer_norm_initial_state": Case(
        lambda rnn: rnn.LayerNormBasicLSTMCell(4, 0.5, activation=tf.nn.relu), initial_state=True, time_major=True
    ),
    "layer_norm_float64": Case(lambda rnn: rnn.LayerNormBasicLSTMCell(4), dtype="float64", lengths=False),
    "layer_norm_multi": Case(lambda rnn: rnn.MultiRNNCell([rnn.LayerNormBasicLSTMCell(4), rnn.LSTMCell(3)])),
    "layer_norm_without": Case(lambda rnn: rnn.LayerNormBasicLSTMCell(4, layer_norm=False)),
    "layer_norm_dropout": Case(lambda rnn: rnn.LayerNormBasicLSTMCell(4, dropout_keep_prob=0.6, dropout_prob_seed=3)),
    # CoupledInputForgetGateLSTMCell
    "coupled": Case(lambda rnn: rnn.CoupledInputForgetGateLSTMCell(4)),
    "coupled_peepholes": Case(
        lambda rnn: rnn.CoupledInputForgetGateLSTMCell(4, use_peepholes=True, forget_bias=0.5), initial_state=True
    ),
    "coupled_projection": Case(
        lambda rnn: rnn.CoupledInputForgetGateLSTMCell(
            4, num_proj=3, proj_clip=0.2, num_unit_shards=2, num_proj_shards=2, activation=tf.nn.relu
        )
    ),
    "coupled_layer_norm": Case(
        lambda rnn: rnn.CoupledInputForgetGateLSTMCell(4, use_peepholes=True, num_proj=3, layer_norm=True)
    ),
    "coupled_one_tensor": Case(lambda rnn: rnn.CoupledInputForgetGateLSTMCell(4, state_is_tuple=False)),
    # Networks that are called with inputs of all steps
    "fused": Case(lambda rnn: rnn.LSTMBlockFusedCell(4), fused=True),
    "fused_initial_state": Case(
        lambda rnn: rnn.LSTMBlockFusedCell(4, 0.5, cell_clip=0.3, use_peephole=True, name="f"),
        initial_state=True,
        fused=True,
    ),
    "fused_no_lengths": Case(lambda rnn: rnn.LSTMBlockFusedCell(4, use_peephole=True), lengths=False, fused=True),
    "fused_reversed": Case(lambda rnn: rnn.TimeReversedFusedRNN(rnn.LSTMBlockFusedCell(4)), fused=True),
    "fused_reversed_no_lengths": Case(
        lambda rnn: rnn.TimeReversedFusedRNN(rnn.LSTMBlockFusedCell(4)), lengths=False, fused=True
    ),
    "fused_adaptor": Case(lambda rnn: rnn.FusedRNNCellAdaptor(rnn.BasicLSTMCell(4), use_dynamic_rnn=True), fused=True),
    "fused_adaptor_static": Case(lambda rnn: rnn.FusedRNNCellAdaptor(rnn.GRUCell(4)), fused=True),
    # Wrappers
    "highway": Case(lambda rnn: rnn.HighwayWrapper(rnn.BasicLSTMCell(3))),
    "highway_not_coupled": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.HighwayWrapper(rnn.GRUCell(3), False, 0.5), rnn.LSTMCell(2)])
    ),
    "input_projection": Case(lambda rnn: rnn.InputProjectionWrapper(rnn.LSTMCell(4), 5, activation=tf.nn.relu)),
    "output_projection": Case(lambda rnn: rnn.OutputProjectionWrapper(rnn.GRUCell(4), 2)),
    "output_projection_multi": Case(
        lambda rnn: rnn.OutputProjectionWrapper(
            rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.BasicLSTMCell(3)]), 2, activation=tf.nn.tanh
        ),
        initial_state=True,
    ),
    "embedding": Case(lambda rnn: rnn.EmbeddingWrapper(rnn.BasicLSTMCell(4), 7, 5), classes=7),
    "attention": Case(lambda rnn: rnn.AttentionCellWrapper(rnn.BasicLSTMCell(4), 3)),
    "attention_sizes": Case(
        lambda rnn: rnn.AttentionCellWrapper(rnn.BasicLSTMCell(4), 2, attn_size=5, attn_vec_size=2, input_size=6),
        initial_state=True,
    ),
    "attention_one_tensor": Case(lambda rnn: rnn.AttentionCellWrapper(rnn.GRUCell(4), 2, state_is_tuple=False)),
    # NASCell
    "nas": Case(lambda rnn: rnn.NASCell(4)),
    "nas_projection": Case(lambda rnn: rnn.NASCell(4, num_proj=3, use_bias=True), initial_state=True),
    # Activations
    "lstm_elu": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.elu)),
    "lstm_selu": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.selu)),
    "lstm_softplus": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.softplus)),
    "lstm_softsign": Case(lambda rnn: rnn.LSTMCell(4, activation="softsign")),
    "lstm_leaky_relu": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.leaky_relu)),
    "lstm_relu6": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.relu6)),
    "lstm_swish": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.swish)),
}
