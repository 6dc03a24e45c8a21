"""Tests of `pixelboot.http`."""
