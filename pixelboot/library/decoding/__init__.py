"""Pictures decoded: the process that does it, the server's side of that, and what is kept of it on disk."""
