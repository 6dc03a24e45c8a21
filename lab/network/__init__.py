"""A network of the lab's own: nothing in it reaches the host's interfaces, and nothing of it stays."""
