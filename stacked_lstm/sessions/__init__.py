"""What a program does with a session from run to run: quick calls, and states that are kept."""
