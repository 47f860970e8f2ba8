"""What old programs take from `tf.contrib` besides cells and loops, which TensorFlow 2 does not have.

    from stacked_lstm.contrib import legacy_seq2seq, seq2seq

Modules and functions have the names that they have in `tf.contrib` of TensorFlow 1.15, and the same arguments and
numbers. Cells and loops of `tf.contrib.rnn` are in `stacked_lstm.rnn_cell`.
"""
