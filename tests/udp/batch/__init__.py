"""Tests of `pixelboot.udp.batch`."""
