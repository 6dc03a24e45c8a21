"""Tests of `pixelboot.boot.machine`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.hwaddr import HardwareAddress


class MachineTests(SynchronousTestCase):
    """A machine in a log line."""

    def test_name(self) -> None:
        """It is called by its network card, and without one by the identity of its lease."""
        hwaddr = HardwareAddress.parse("02:aa:00:00:00:01")
        self.assertEqual(str(Machine("id:0102", hwaddr, Firmware.IPXE)), "02:aa:00:00:00:01")
        self.assertEqual(str(Machine("id:0102", None, Firmware.OTHER)), "id:0102")

    def test_is_a_key(self) -> None:
        """The same claims are one value."""
        one, other = (Machine("id:0102", None, Firmware.PXE, bytes([1] * 16)) for _ in range(2))
        self.assertEqual(len({one, other}), 1)

    def test_kind(self) -> None:
        """What asks, and on what, as far as it is known."""
        one = Machine("id:0102", None, Firmware.HTTP, None, Architecture.UEFI_ARM64, 0x13)
        self.assertEqual(one.kind, "UEFI HTTP boot, uefi-arm64")
        self.assertEqual(Machine("id:0102", None, Firmware.OTHER).kind, "other")
