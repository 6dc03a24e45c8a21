"""Tests of `pixelboot.dhcp.message`."""
