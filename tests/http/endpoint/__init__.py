"""Tests of `pixelboot.http.endpoint`."""
