"""`StackedLSTM`: its options, variables and initial states, and its calls. stacked_lstm.py has the class."""
