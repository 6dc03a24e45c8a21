"""Tests of `pixelboot.library.offer`."""
