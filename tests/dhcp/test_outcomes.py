"""What the log says of an exchange."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.policy import Assignment
from pixelboot.dhcp.outcomes import Bound, Offered, Overheard, Proxied
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import Claim, Lease
from pixelboot.leases.table import LeaseTable
from tests.dhcp.lan import pool

MACHINE = Machine("hw:1", HardwareAddress.parse("02:aa:00:00:00:01"), Firmware.PXE, None, Architecture.UEFI_X64, 7)


class Lines(SynchronousTestCase):
    """One line each."""

    def test_what_it_boots(self) -> None:
        """Or why it does not; of who did not ask, nothing."""
        lease = LeaseTable().offer(Claim(MACHINE.identity, "", pool()), None, 0.0, 9.0)
        assert isinstance(lease, Lease)
        for assignment, words in (
            (Assignment("snponly.efi"), ", boots snponly.efi"),
            (Assignment(obstacle="TFTP is off"), ", boots nothing from here: TFTP is off"),
            (Assignment(), ""),
        ):
            offered, bound = Offered(MACHINE, lease, assignment), Bound(MACHINE, lease, 600.0, False, assignment)
            self.assertEqual(offered.summary(), f"02:aa:00:00:00:01 (PXE, uefi-x64) offered 10.77.0.100{words}")
            self.assertEqual(bound.summary(), f"02:aa:00:00:00:01 has 10.77.0.100 for 600 s{words}")

    def test_the_proxy(self) -> None:
        """What it told is news, what it heard is not."""
        told = Proxied(MACHINE, "snponly.efi")
        self.assertEqual(told.summary(), "02:aa:00:00:00:01 (PXE, uefi-x64) told to boot snponly.efi")
        self.assertEqual((told.counter(), told.severity), ("dhcp.Proxied", "info"))
        heard = Overheard(MACHINE, "REQUEST", "it takes another's offer")
        self.assertEqual(heard.summary(), "02:aa:00:00:00:01 REQUEST left to other servers: it takes another's offer")
        self.assertEqual((heard.counter(), heard.severity), ("dhcp.Overheard", "debug"))
