"""A machine with nothing on its disk: QEMU, a BIOS, and a network card with QEMU's own iPXE."""

from __future__ import annotations

from dataclasses import dataclass

from lab.machine.initramfs import MARKER
from lab.needs import program
from lab.network.namespace import Network
from lab.process import Process, Sink

NAME = "machine"
"""The source of the lines from a machine's serial line."""

FIRMWARE_STARTED = r"iPXE \S+ -- Open Source Network Boot Firmware"
"""The line that iPXE writes first."""

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


def power_on(network: Network, machine: Identity, sink: Sink | None = None, tap: str | None = None) -> Process:
    """Switch a machine on: the process's lines are those of its serial line; it ends when the machine is switched off.

    The machine is emulated wholly (``-accel tcg``), which works wherever QEMU does.  Its screen is the serial line
    (``graphics=off``): firmware and iPXE write there.  A plain CPU is emulated quickest.
    """
    return network.server.start(
        NAME,
        program("qemu-system-x86_64"),
        *("-machine", "pc,graphics=off", "-accel", "tcg", "-cpu", "qemu64", "-m", "512"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"),
        *("-netdev", f"tap,id=lan,ifname={tap or network.tap()},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=lan,mac={machine.hwaddr},bootindex=0"),
        *("-uuid", machine.uuid),
        sink=sink,
    )
