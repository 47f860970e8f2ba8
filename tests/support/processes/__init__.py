"""Programs, and the processes that run them: old programs, typed ones, those of the pages, and child processes."""
