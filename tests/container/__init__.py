"""Tests of the container codec."""
