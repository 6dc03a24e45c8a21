"""The system that the demo boots: one static program and one script that says what it sees and switches the power off.

It is written as a cpio archive in the ``newc`` format (the kernel's manual, driver-api/early-userspace/buffer-format),
octet by octet, so device nodes need no rights.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from lab.needs import program
from lab.process import LabError

MARKER = "pixelboot-demo:"
"""How the booted system's line with the SHA-256 of its random file begins."""

CMDLINE = "console=ttyS0 earlyprintk=ttyS0 loglevel=6 panic=-1"
"""The kernel's command line: it speaks on the serial line from its first moment, but not of everything."""

_INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
set -- $(/bin/busybox sha256sum /random.bin)
echo "{MARKER} $1 $(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
"""

_FOLDER, _FILE, _CHARACTER_DEVICE = 0o040755, 0o100755, 0o020600


@dataclass(frozen=True, slots=True)
class Initramfs:
    """A system to boot."""

    octets: bytes
    """The archive."""

    sha256: str
    """Of the random file in it, in lower-case hex: what the booted system must say."""


def build(size: int = 1 << 20) -> Initramfs:
    """A system with `size` fresh random octets, so that what it says proves that these very octets were booted.

    :raises LabError: if there is no busybox.
    """
    try:
        busybox = Path(program("busybox")).read_bytes()
    except OSError as error:
        raise LabError(f"busybox cannot be read: {error}") from error
    if b"/lib64/ld-linux" in busybox:
        raise LabError("busybox is not the static one: apt-get install busybox-static")
    random = os.urandom(size)
    entries = [
        _entry("dev", _FOLDER),
        _entry("dev/console", _CHARACTER_DEVICE, device=(5, 1)),
        _entry("proc", _FOLDER),
        _entry("bin", _FOLDER),
        _entry("bin/busybox", _FILE, busybox),
        _entry("random.bin", _FILE, random),
        _entry("init", _FILE, _INIT.encode()),
        _entry("TRAILER!!!", 0),
    ]
    return Initramfs(b"".join(entries), hashlib.sha256(random).hexdigest())


def _entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One file: a header of 13 fields of 8 hex digits, the name, the content; both padded to four octets.

    Inode 0 with one link is right for all: nothing is linked.
    """
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
