"""The demo's container: Debian's kernel and a system with fresh random octets, packed by pixelboot's own command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from lab.machine import initramfs
from lab.machine.kernel import kernel
from lab.process import run

ID = "demo"
"""The container's id: its file name without the ending."""

PIXELBOOT = (sys.executable, "-m", "pixelboot")
"""The command ``pixelboot`` of this checkout."""


@dataclass(frozen=True, slots=True)
class DemoContainer:
    """A packed container and what is known of its content."""

    path: Path
    """The picture."""

    kernel: Path
    """The kernel that went in."""

    initrd_size: int
    """Size of the initrd that went in, in octets."""

    sha256: str
    """Of the random file inside the initrd, in lower-case hex: what the booted machine must say."""


def pack(folder: Path) -> DemoContainer:
    """Make ``demo.rts.png`` in `folder`.

    :raises lab.process.LabError: if the kernel cannot be had, or packing fails.
    """
    system = initramfs.build()
    vmlinuz = kernel()
    folder.mkdir(parents=True, exist_ok=True)
    initrd = folder / "demo.initrd"
    initrd.write_bytes(system.octets)
    path = folder / f"{ID}.rts.png"
    try:
        run(
            *(*PIXELBOOT, "pack", "--kernel", str(vmlinuz), "--initrd", str(initrd)),
            *("--cmdline", initramfs.CMDLINE, "--name", "pixelboot demo", "-o", str(path)),
            timeout=300,
        )
    finally:
        initrd.unlink()
    return DemoContainer(path, vmlinuz, len(system.octets), system.sha256)
