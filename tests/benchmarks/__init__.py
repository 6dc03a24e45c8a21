"""Tests of the measurements' own judgement."""
