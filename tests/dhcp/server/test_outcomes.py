"""What the log says of strangers and of who asks for leases; the lines themselves, beside those that dialogues make."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.dhcp.server.outcomes import Disbelieved, InUse, Passed, Queried, QueryRefused, StillUsed
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import Lease, State

MACHINE = Machine("hw:1", HardwareAddress.parse("02:aa:00:00:00:01"), Firmware.OTHER)
OTHER = HardwareAddress.parse("52:54:00:00:00:99")
ADDRESS = IPv4Address("10.77.0.100")
RELAY = IPv4Address("10.77.0.3")


class Lines(SynchronousTestCase):
    """One line each, harmless whatever was sent."""

    def test_lines(self) -> None:
        for outcome, severity, line in (
            (
                InUse(MACHINE, ADDRESS, 60.0, OTHER),
                "warn",
                "10.77.0.100 not offered to 02:aa:00:00:00:01: 52:54:00:00:00:99 answers at it, so it rests for 60 s",
            ),
            (
                Disbelieved(MACHINE, ADDRESS, OTHER, 3),
                "warn",
                (
                    "52:54:00:00:00:99 answers at more than 3 addresses, now at 10.77.0.100, which "
                    "02:aa:00:00:00:01 is to have: its answers do not count"
                ),
            ),
            (
                StillUsed(MACHINE, ADDRESS, OTHER, "circuit:0007"),
                "warn",
                (
                    "10.77.0.100 is still used by 52:54:00:00:00:99; 02:aa:00:00:00:01 has the same circuit and is not "
                    "answered"
                ),
            ),
            (
                Passed(MACHINE, Lease(ADDRESS, "id:01", str(OTHER), State.BOUND, 0.0, 60.0)),
                "warn",
                "10.77.0.100 passes from 52:54:00:00:00:99 to 02:aa:00:00:00:01, which has the same client id",
            ),
            (Queried(RELAY, "a\nb", "LEASEUNKNOWN"), "debug", r"10.77.0.3 asked for the lease of a\nb: LEASEUNKNOWN"),
            (QueryRefused(RELAY, "it is off"), "warn", "LEASEQUERY from 10.77.0.3 not answered: it is off"),
        ):
            self.assertEqual((outcome.summary(), outcome.severity), (line, severity))
            self.assertTrue(outcome.counter().startswith("dhcp."))
