"""Tests of `pixelboot.tftp.write`."""
