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
    "dhcpcd": "dhcpcd-base",
    "dhcrelay": "isc-dhcp-relay",
    "faketime": "faketime",
    "cc": "gcc",
    "taskset": "util-linux",
    "atftp": "atftp",
    "tftp": "tftp-hpa",
    "curl": "curl",
    "wget": "wget",
}
"""Debian's package of every program that the lab runs."""

PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
"""Where programs are looked for: an ordinary user's PATH lacks the sbin folders."""

BOOT_ROM = Path("/usr/lib/ipxe/qemu/pxe-virtio.rom")
"""The iPXE that QEMU puts on its virtio network card."""

OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
"""EDK2's firmware for QEMU's machines: the program."""

OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""What that firmware finds in its memory when it is new."""

LOADERS = Path("/usr/lib/ipxe")
"""The folder of the loaders that machines fetch."""

NETBOOT = Path("/usr/lib/debian-installer/images/12/amd64/text")
"""Debian's installer as it is served to machines by TFTP, with PXELINUX, shim and GRUB."""

_NETBOOT = NETBOOT / "debian-installer/amd64"

INSTALLER_KERNEL = _NETBOOT / "linux"
"""The kernel of Debian's installer, as it is booted over the network."""

INSTALLER_INITRD = _NETBOOT / "initrd.gz"
"""The installer itself: with the kernel 49 MB."""

_FILES = {
    NETBOOT: ("Debian's installer, its boot loaders", "debian-installer-12-netboot-amd64"),
    BOOT_ROM: ("QEMU's network boot ROM", "ipxe-qemu"),
    OVMF_CODE: ("the UEFI firmware", "ovmf"),
    OVMF_VARS: ("the UEFI firmware's memory", "ovmf"),
    LOADERS / "undionly.kpxe": ("the loader for a BIOS", "ipxe"),
    LOADERS / "snponly.efi": ("the loader for UEFI", "ipxe"),
    LOADERS / "ipxe.efi": ("the loader for UEFI with drivers of its own", "ipxe"),
    INSTALLER_KERNEL: ("Debian's installer, its kernel", "debian-installer-12-netboot-amd64"),
    INSTALLER_INITRD: ("Debian's installer, its initrd", "debian-installer-12-netboot-amd64"),
}
"""What every file is, and Debian's package of it."""

PACKING = ("busybox", "apt-get", "dpkg-deb")
"""What makes the demo container."""

NETWORK = ("ip",)
"""What makes a network."""

BOOTING = (*NETWORK, "qemu-system-x86_64")
"""What boots a machine in a network of its own, whatever its firmware."""

BIOS = (BOOT_ROM, LOADERS / "undionly.kpxe")
"""What a machine with a BIOS is made of and boots by."""

UEFI = (OVMF_CODE, OVMF_VARS, LOADERS / "snponly.efi", LOADERS / "ipxe.efi")
"""What a machine with UEFI is made of and boots by."""

INSTALLER = (INSTALLER_KERNEL, INSTALLER_INITRD)
"""What a container with Debian's installer is made of."""


def program(name: str) -> str:
    """The path of a program, or its bare name where it is not installed."""
    return shutil.which(name, path=PATH) or name


def missing(things: Iterable[str | Path], root: bool = False) -> list[str]:
    """What of these programs (names) and files (paths) is not there, each as a sentence that says how to get it.

    With `root`, being root and ``/dev/net/tun`` are needed as well.
    """
    sentences = []
    for thing in dict.fromkeys(things):
        if isinstance(thing, Path):
            if not thing.exists():
                what, package = _FILES[thing]
                sentences.append(f"{what}, {thing}: apt-get install {package}")
        elif shutil.which(thing, path=PATH) is None:
            sentences.append(f"the program {thing}: apt-get install {_PACKAGES[thing]}")
    if root and os.geteuid() != 0:
        sentences.append("root, to make network namespaces: run it by sudo, or in a virtual machine or container")
    elif root and not Path("/dev/net/tun").exists():
        sentences.append("/dev/net/tun, the kernel's tap devices: modprobe tun (a container: --device /dev/net/tun)")
    return sentences
