"""Tests of `pixelboot.tftp.limits`."""
