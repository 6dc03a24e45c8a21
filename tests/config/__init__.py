"""Tests of `pixelboot.config`."""
