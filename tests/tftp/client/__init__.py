"""Tests of `pixelboot.tftp.client`."""
