"""What tests share: other ways to the same numbers, small networks, files and runs."""
