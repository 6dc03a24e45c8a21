"""The ways out of a connection: over a plain socket, or over any transport."""
