"""What is downloaded: files whose octets tell which file they are of, and where in it they belong.

So the load can compare every octet without reading the file, which would bring it into the kernel's memory again, and
without a digest, which would not say where the mistake is.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lab.container import PIXELBOOT
from lab.process import run, wait_until

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

CONTAINER = "bench"
"""The container's id."""

LOADERS = "loaders"
"""The folder that pixelboot serves under this name."""

CONTAINERS = "containers"
"""The same, of the parts of containers; pixelboot takes them out of a picture in `PICTURES`."""

PICTURES = "pictures"
"""The folder of that picture, beside the others."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""As in ``load.c``: odd, so that no two words are alike."""

_WORDS = 1 << 17
"""How many are made at a time."""

_LOOKS = 256
"""Places of a file that are looked at, to see whether the kernel has them in memory."""

_WARM = 0.05
"""The share of them that may be."""

_PATIENCE = 10.0
"""Seconds after which it is wrong about that."""


def make(path: Path, size: int) -> None:
    """Make a file of so many octets, as the load expects them (``load.c``)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for first in range(0, -(-size // 8), _WORDS):
            words = np.arange(first + size, first + size + _WORDS, dtype="<u8") * _FACTOR
            file.write(words.tobytes()[: size - first * 8])


def pack(part: Path, folder: Path) -> None:
    """Make the container's picture in a folder, with this part as its initrd.

    :raises lab.process.LabError: if pixelboot does not pack it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kernel = folder / "kernel"
    make(kernel, 64 * KIB)
    words = ("--kernel", str(kernel), "--initrd", str(part), "-o", str(folder / f"{CONTAINER}.rts.png"))
    run(*PIXELBOOT, "pack", "-q", *words, timeout=300.0)
    kernel.unlink()


def chill(path: Path) -> None:
    """Let the kernel forget what it has of a file in memory.

    :raises lab.process.LabError: if it does not.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
        # What is on its way to a client stays until it is there.
        wait_until(lambda: _warm(file.fileno()) <= _WARM, _PATIENCE, f"the kernel forgets {path.name}")
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _warm(descriptor: int) -> float:
    """The share of a file that the kernel does not forget when it is told to, as some places say.

    To look at them brings a little of it back.
    """
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    size, found = os.fstat(descriptor).st_size, 0
    for number in range(_LOOKS):
        try:
            found += os.preadv(descriptor, [bytearray(1)], size * number // _LOOKS, os.RWF_NOWAIT)
        except BlockingIOError:
            continue
    return found / _LOOKS
