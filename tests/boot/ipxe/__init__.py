"""Tests of `pixelboot.boot.ipxe`."""
