"""The servers that pixelboot is compared with, out of Debian's packages and PyPI's.

Debian's nginx starts a service when it is installed, so it is downloaded (apt checks its signature) and unpacked into
the cache, and run from there, as ``tools/setup bench`` does.  aiohttp has a virtual environment of its own there, made
from the Python that runs pixelboot.  twisted.web is the one that pixelboot itself has.
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
from lab.needs import PATH
from lab.process import LabError, run

MODULES = ("aiohttp==3.14.5",)
"""The servers in Python that pixelboot does not come with."""


@cache
def nginx() -> str:
    """The path of nginx: what is installed, else what is unpacked in the cache.

    :raises lab.process.LabError: if it cannot be had.
    """
    if installed := shutil.which("nginx", path=PATH):
        return installed
    folder = cache_folder() / "nginx"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
            _unpack(Path(aside))
            shutil.move(Path(aside) / "root", folder)
    return str(folder / "usr/sbin/nginx")


def _unpack(folder: Path) -> None:
    sandbox = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
    run("apt-get", "-qq", *sandbox, "download", "nginx", timeout=300.0, folder=folder)
    archives = list(folder.glob("*.deb"))
    if len(archives) != 1:
        raise LabError("nginx could not be downloaded")
    run("dpkg-deb", "-x", str(archives[0]), str(folder / "root"))


@cache
def python() -> str:
    """The Python that has the servers in Python.

    :raises lab.process.LabError: if they cannot be had.
    """
    folder = cache_folder() / f"http-peers-python-{platform.python_version()}"
    interpreter, stamp = folder / "bin/python", folder / "made"
    if not stamp.exists():
        run(sys.executable, "-m", "venv", "--clear", str(folder), timeout=120.0)
        run(str(interpreter), "-m", "pip", "install", "--quiet", *MODULES, timeout=600.0)
        stamp.touch()
    return str(interpreter)
