"""Tests of the UDP port."""
