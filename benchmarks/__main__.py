"""All measurements, one after the other: `python -m benchmarks`."""

from __future__ import annotations

import sys

from benchmarks import boot_time, catalogue, containers, offers
from benchmarks.dhcp import run as dhcp
from benchmarks.http import run as http
from benchmarks.tftp import run as tftp

if __name__ == "__main__":
    sys.exit(
        max(
            [
                containers.main(["--check"]),
                catalogue.main(["--check"]),
                offers.main(["--check"]),
                dhcp.main(["--check"]),
                tftp.main(["--check"]),
                http.main(["--check"]),
                boot_time.main([]),
                boot_time.main(["--firmware", "uefi"]),
            ]
        )
    )
