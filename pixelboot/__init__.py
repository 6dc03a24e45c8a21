"""pixelboot: machines without a disk boot from pictures, over DHCP and HTTP, out of one process."""

__version__ = "0.1.0"
