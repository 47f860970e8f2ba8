"""What all cells share: base classes, names, variables, states and checks."""
