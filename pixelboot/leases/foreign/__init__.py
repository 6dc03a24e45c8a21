"""Leases in the words of other programs, and in ours for other programs to read.  Pure."""
