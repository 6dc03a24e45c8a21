"""Debian's cloud kernel: small, quick to unpack, and to be had without being root.

apt downloads the package (and checks its signature) and only the kernel is taken out of it; nothing is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lab import CHECKOUT
from lab.process import LabError, run

_META_PACKAGE = "linux-image-cloud-amd64"
_PACKAGE = re.compile(r"^\s*Depends: (linux-image-(\d\S*))$", re.MULTILINE)


def cache_folder() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/pixelboot-lab``, else ``.cache`` in the checkout."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "pixelboot-lab" if base else CHECKOUT / ".cache"


def kernel() -> Path:
    """The kernel's file, downloaded if this version of it is not there yet.

    Without package lists or network the newest kernel downloaded earlier is good enough.

    :raises LabError: if there is none and it cannot be downloaded.
    """
    folder = cache_folder()
    found = _PACKAGE.search(run("apt-cache", "depends", _META_PACKAGE)) if _listed() else None
    earlier = sorted(folder.glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    if found is None:
        if earlier:
            return earlier[-1]
        raise LabError(f"apt knows no package {_META_PACKAGE}: run `apt-get update` as root (Debian for amd64)")
    path = folder / f"vmlinuz-{found[2]}"
    if not path.exists():
        try:
            _download(found[1], path)
        except LabError:
            if not earlier:
                raise
            return earlier[-1]
    return path


def _listed() -> bool:
    return _META_PACKAGE in run("apt-cache", "pkgnames", _META_PACKAGE).split()


def _download(package: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = ["apt-get", "-qq", "download", package]
        if os.geteuid() == 0:
            command[1:1] = ["-o", "APT::Sandbox::User=root"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
        archives = list(Path(folder).glob("*.deb"))
        if done.returncode != 0 or len(archives) != 1:
            raise LabError(f"{package} cannot be downloaded: {(done.stderr or done.stdout).strip()}")
        extracted = Path(folder) / "vmlinuz"
        extracted.write_bytes(_extract(archives[0]))
        extracted.rename(path)


def _extract(archive: Path) -> bytes:
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacker,
        tarfile.open(fileobj=unpacker.stdout, mode="r|") as files,
    ):
        for member in files:
            if member.isfile() and re.fullmatch(r"(?:\./)?boot/vmlinuz-\S+", member.name):
                content = files.extractfile(member)
                assert content is not None
                octets = content.read()
                unpacker.kill()
                return octets
    raise LabError(f"there is no kernel in {archive.name}")
