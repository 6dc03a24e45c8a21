"""Tests of `pixelboot.dhcp.settings`."""
