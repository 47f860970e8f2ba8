"""What tests share: reference computations, small networks, files and runs."""
