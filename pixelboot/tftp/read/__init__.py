"""Files on their way to clients."""
