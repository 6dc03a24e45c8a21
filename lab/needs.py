"""What the lab needs of the machine it runs on, and how to get it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

_PACKAGES = {
    "ip": "iproute2",
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "dnsmasq": "dnsmasq-base",
    "nginx": "nginx-light",
    "tcpdump": "tcpdump",
    "udhcpc": "udhcpc",
    "dhclient": "isc-dhcp-client",
}
"""Debian's package of every program that the lab runs."""

PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
"""Where programs are looked for: an ordinary user's PATH lacks the sbin folders."""

BOOT_ROM = Path("/usr/lib/ipxe/qemu/pxe-virtio.rom")
"""The iPXE that QEMU puts on its virtio network card."""

PACKING = ("busybox", "apt-get", "dpkg-deb")
"""The programs that make the demo container."""

NETWORK = ("ip",)
"""The programs that make a network."""

BOOTING = (*NETWORK, "qemu-system-x86_64")
"""The programs that boot a machine in a network of its own."""


def program(name: str) -> str:
    """The path of a program, or its bare name where it is not installed."""
    return shutil.which(name, path=PATH) or name


def missing(programs: Iterable[str], root: bool = False) -> list[str]:
    """What is not there, each as a sentence that says how to get it; empty when all is well.

    With `root`, being root and ``/dev/net/tun`` are needed as well.
    """
    programs = tuple(programs)
    absent = [name for name in programs if shutil.which(name, path=PATH) is None]
    sentences = [f"the program {name}: apt-get install {_PACKAGES[name]}" for name in absent]
    if "qemu-system-x86_64" in programs and not BOOT_ROM.exists():
        sentences.append(f"QEMU's network boot ROM {BOOT_ROM}: apt-get install ipxe-qemu")
    if root and os.geteuid() != 0:
        sentences.append("root, to make network namespaces: run it by sudo, or in a virtual machine or container")
    elif root and not Path("/dev/net/tun").exists():
        sentences.append("/dev/net/tun, the kernel's tap devices: modprobe tun (a container: --device /dev/net/tun)")
    return sentences
