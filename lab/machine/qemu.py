"""A machine with nothing on its disk: QEMU, a firmware, and a network card."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import needs
from lab.machine.firmware import Firmware
from lab.machine.initramfs import MARKER
from lab.needs import program
from lab.network import disguise
from lab.network.namespace import Segment
from lab.process import Process, Sink

NAME = "machine"
"""The source of the lines from a machine's serial line."""

KERNEL_STARTED = r"Linux version (\S+)"
"""The first line of the kernel."""

MARKER_LINE = rf"{MARKER} ([0-9a-f]{{64}}) (.*)"
"""The line of the booted system: the SHA-256 of its random file, and the kernel's command line."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a machine is known by."""

    hwaddr: str
    """The MAC address of its network card."""

    uuid: str
    """The UUID of the system, which firmware sends as option 97."""


def identity(number: int) -> Identity:
    """The identity of the lab's machine `number` (0 to 255)."""
    return Identity(f"02:aa:00:00:00:{number:02x}", f"00112233-4455-6677-8899-aabbccddee{number:02x}")


def power_on(
    segment: Segment,
    machine: Identity,
    firmware: Firmware = Firmware.IPXE,
    sink: Sink | None = None,
    tap: str | None = None,
    memory: int = 512,
    authorities: Path | None = None,
) -> Process:
    """Switch a machine on, on a segment: the process's lines are those of its serial line.

    The process ends when the machine is switched off.  The machine is emulated wholly (``-accel tcg``), which works
    wherever QEMU does.  Its screen is the serial line (``graphics=off``): firmware and iPXE write there.  A plain CPU
    is emulated quickest.  It is as new as from the factory each time.  `tap` is one that `plug` made, where the same
    shall serve again; `memory` is in MiB.  `authorities` is a file of those that OVMF trusts with HTTPS.

    :raises lab.process.LabError: if it cannot be switched on.
    """
    return segment.home.start(
        NAME,
        program("qemu-system-x86_64"),
        *("-machine", "pc,graphics=off", "-accel", "tcg", "-cpu", "qemu64", "-m", str(memory)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"),
        *("-netdev", f"tap,id=lan,ifname={tap or plug(segment, firmware)},script=no,downscript=no"),
        *(_uefi(segment, machine, firmware) if firmware.is_uefi else _bios(machine)),
        *("-uuid", machine.uuid),
        *(("-fw_cfg", f"name=etc/edk2/https/cacerts,file={authorities}") if authorities else ()),
        sink=sink,
    )


def plug(segment: Segment, firmware: Firmware) -> str:
    """A new tap for a machine with such a firmware."""
    return disguise.tap(segment) if firmware is Firmware.BIOS else segment.tap()


def _bios(machine: Identity) -> list[str]:
    return ["-device", f"virtio-net-pci,netdev=lan,mac={machine.hwaddr},bootindex=0"]


def _uefi(segment: Segment, machine: Identity, firmware: Firmware) -> list[str]:
    """OVMF, on a card without iPXE; the newer ones have no network without a source of chance."""
    memory = segment.folder / f"nvram-{machine.hwaddr}"
    shutil.copyfile(needs.OVMF_VARS, memory)
    left_out = ["IPv6PXE", "IPv4PXE"] if firmware is Firmware.UEFI_HTTP else ["IPv6PXE"]
    return [
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={needs.OVMF_CODE}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={memory}"),
        *(word for part in left_out for word in ("-fw_cfg", f"name=opt/org.tianocore/{part}Support,string=n")),
        *("-device", f"virtio-net-pci,netdev=lan,mac={machine.hwaddr},bootindex=0,romfile="),
        *("-device", "virtio-rng-pci"),
    ]
