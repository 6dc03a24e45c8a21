"""Connections: what comes in on them, what goes out, and how long either may take."""
