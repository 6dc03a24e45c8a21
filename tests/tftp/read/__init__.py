"""Tests of `pixelboot.tftp.read`."""
