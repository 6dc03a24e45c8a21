"""Tests of `pixelboot.http.connection`."""
