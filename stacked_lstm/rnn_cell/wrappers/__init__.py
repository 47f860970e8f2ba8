"""Cells made of other cells: stacks and wrappers."""
