"""Measurements against other servers, each a module to run by itself: `python -m benchmarks.NAME`."""
