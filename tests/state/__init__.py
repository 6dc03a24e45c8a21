"""Tests of what must not be forgotten."""
