"""Tests of `pixelboot.http.connection.outlet`."""
