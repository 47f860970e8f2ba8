"""Files from strangers, which may be hostile, and new files, which are complete or absent."""
