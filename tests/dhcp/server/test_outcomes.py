"""What the log says of strangers and of who asks for leases; the lines themselves, beside those that dialogues make."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.dhcp.server.outcomes import InUse, Queried, QueryRefused
from pixelboot.hwaddr import HardwareAddress

MACHINE = Machine("hw:1", HardwareAddress.parse("02:aa:00:00:00:01"), Firmware.OTHER)
RELAY = IPv4Address("10.77.0.3")


class Lines(SynchronousTestCase):
    """One line each, harmless whatever was sent."""

    def test_lines(self) -> None:
        for outcome, severity, line in (
            (
                InUse(MACHINE, IPv4Address("10.77.0.100"), 60.0),
                "warn",
                "10.77.0.100 not offered to 02:aa:00:00:00:01: somebody answers at it, so it rests for 60 s",
            ),
            (Queried(RELAY, "a\nb", "LEASEUNKNOWN"), "debug", r"10.77.0.3 asked for the lease of a\nb: LEASEUNKNOWN"),
            (QueryRefused(RELAY, "it is off"), "warn", "LEASEQUERY from 10.77.0.3 not answered: it is off"),
        ):
            self.assertEqual((outcome.summary(), outcome.severity), (line, severity))
            self.assertTrue(outcome.counter().startswith("dhcp."))
