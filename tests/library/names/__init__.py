"""Tests of `pixelboot.library.names`."""
