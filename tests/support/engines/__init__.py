"""What tests of engines and kernels need: native ops, a cuDNN on the host, builds and sanitizers."""
