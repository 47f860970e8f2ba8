"""CudnnLSTM: layers without cells, with all weights in one variable."""
