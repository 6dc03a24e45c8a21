"""Tests of `pixelboot.dhcp`."""
