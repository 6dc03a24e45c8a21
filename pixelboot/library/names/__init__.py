"""What a name means that a client sends: a file below the operator's folder, or a loader of the system's."""
