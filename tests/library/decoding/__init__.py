"""Tests of `pixelboot.library.decoding`."""
