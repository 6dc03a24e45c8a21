"""Tests of `pixelboot.dhcp.network`."""
