"""Tests of the leases in a SQLite file."""
