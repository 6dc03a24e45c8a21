"""The servers that pixelboot is compared with, and perfdhcp, out of Debian's packages.

Their packages start services when they are installed, so they are downloaded (apt checks their signatures) and
unpacked into the cache, and run from there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from lab.machine.kernel import cache_folder
from lab.process import LabError, run

PACKAGES = (
    *("kea-dhcp4-server", "kea-admin", "kea-common", "isc-dhcp-server"),
    *("liblog4cplus-2.0.5", "libmariadb3", "libpq5"),
)
"""The servers, perfdhcp (of kea-admin), and the libraries that not every Debian has."""


@cache
def root() -> Path:
    """The folder that they are unpacked in, as into an empty file system.

    :raises lab.process.LabError: if they cannot be had.
    """
    folder = cache_folder() / "dhcp-peers"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
            _unpack(Path(aside))
            shutil.move(Path(aside) / "root", folder)
    return folder


def _unpack(folder: Path) -> None:
    sandbox = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
    run("apt-get", "-qq", *sandbox, "download", *PACKAGES, timeout=300.0, folder=folder)
    archives = list(folder.glob("*.deb"))
    if len(archives) != len(PACKAGES):
        raise LabError(f"not all of {', '.join(PACKAGES)} could be downloaded")
    for archive in archives:
        run("dpkg-deb", "-x", str(archive), str(folder / "root"))


def libraries() -> dict[str, str]:
    """What their programs need in their environment, to find the libraries that came with them."""
    return {"LD_LIBRARY_PATH": str(root() / "usr/lib/x86_64-linux-gnu")}
