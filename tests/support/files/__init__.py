"""Files that tests write and read: checkpoints, models of other libraries, and the events of the file system."""
