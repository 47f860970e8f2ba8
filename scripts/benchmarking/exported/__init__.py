"""The mode "exported": the files that `stacked_lstm.export` writes, in the programs that they are for."""
