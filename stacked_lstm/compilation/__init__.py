"""Shared libraries of C++ that the compiler on this machine builds at their first use, and that a cache keeps.

`library.py` finds or builds a library, `compiler.py` compiles, `cache_folder.py` has the folder. Nothing here imports
TensorFlow.
"""
