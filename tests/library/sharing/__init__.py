"""Tests of `pixelboot.library.sharing`."""
