"""The other end of TFTP: downloads and uploads, for probes, tests and programs of one's own."""
