"""Tests of the commands for pictures."""
