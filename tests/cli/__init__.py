"""Tests of the `pixelboot` command."""
