"""Tests of `pixelboot.leases.foreign`."""
