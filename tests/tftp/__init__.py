"""Tests of `pixelboot.tftp`."""
