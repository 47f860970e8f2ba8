"""Runs that differ in one flag, and their comparison."""
