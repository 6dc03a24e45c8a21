"""Tests of `pixelboot.http.message`."""
