"""Tests of where the parts meet."""
