"""`BidirectionalLSTM`: pairs of stacks that read in both directions. bidirectional_lstm.py has the class."""
