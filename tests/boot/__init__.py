"""Tests of the boot decision."""
