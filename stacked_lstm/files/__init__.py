"""Files and folders that are complete or absent, also if a process is killed or the machine stops."""
