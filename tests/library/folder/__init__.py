"""Tests of `pixelboot.library.folder`."""
