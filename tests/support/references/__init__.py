"""What tests compare with: implementations in NumPy, other libraries, derivatives and differences."""
