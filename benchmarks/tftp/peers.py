"""The servers that pixelboot is compared with, out of Debian's packages and PyPI's.

Debian's start services when they are installed, so they are downloaded (apt checks their signatures) and unpacked into
the cache, and run from there.  The ones in Python have a virtual environment of their own there, made from the Python
that runs pixelboot.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from lab.machine.kernel import cache_folder
from lab.process import LabError, run

PACKAGES = ("atftpd", "tftpd-hpa", "libnsl2", "libpcre2-8-0", "libtirpc3", "libwrap0")
"""The servers, and the libraries that not every Debian has."""

MODULES = ("fbtftp==0.5", "py3tftp==1.3.0", "tftpy==0.8.7")
"""The servers in Python."""


@cache
def root() -> Path:
    """The folder that Debian's are unpacked in, as into an empty file system.

    :raises lab.process.LabError: if they cannot be had.
    """
    folder = cache_folder() / "tftp-peers"
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
    """What Debian's need in their environment, to find the libraries that came with them."""
    folders = [root() / place / f"{platform.machine()}-linux-gnu" for place in ("lib", "usr/lib")]
    return {"LD_LIBRARY_PATH": ":".join(str(folder) for folder in folders)}


@cache
def python() -> str:
    """The Python that has the servers in Python.

    :raises lab.process.LabError: if they cannot be had.
    """
    folder = cache_folder() / f"tftp-peers-python-{platform.python_version()}"
    interpreter, stamp = folder / "bin/python", folder / "made"
    if not stamp.exists():
        run(sys.executable, "-m", "venv", "--clear", str(folder), timeout=120.0)
        run(str(interpreter), "-m", "pip", "install", "--quiet", *MODULES, timeout=600.0)
        stamp.touch()
    return str(interpreter)
