"""What a run keeps in its directory, and the way back from it to a trained network."""
