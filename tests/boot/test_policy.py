"""Tests of `pixelboot.boot.policy`."""

from __future__ import annotations

from ipaddress import IPv4Address
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.policy import Assignment, Policy, ScriptPolicy, script_url
from pixelboot.hwaddr import HardwareAddress

SERVER = IPv4Address("10.77.0.1")
CARD = HardwareAddress.parse("02:aa:00:00:00:01")


class ScriptPolicyTests(SynchronousTestCase):
    """Who is sent to the script."""

    def assigned(self, policy: Policy, machine: Machine) -> Assignment:
        """What the policy says at once."""
        return self.successResultOf(Deferred.fromCoroutine(policy.assign(machine, SERVER)))

    def test_table(self) -> None:
        """iPXE gets the URL where there is an HTTP service; everybody else gets nothing to boot."""
        url = "http://10.77.0.1:8080/boot.ipxe?mac=02-aa-00-00-00-01"
        for firmware in Firmware:
            for port in (8080, None):
                expected = Assignment(url if firmware is Firmware.IPXE and port else None)
                machine = Machine("mac:1", CARD, firmware)
                self.assertEqual(self.assigned(ScriptPolicy(port), machine), expected, f"{firmware} {port}")


class ScriptUrlTests(SynchronousTestCase):
    """The URL of the first script."""

    def test_table(self) -> None:
        """HTTP's own port is left out; a machine without a network card has no query."""
        for port, hwaddr, url in [
            (80, CARD, "http://10.77.0.1/boot.ipxe?mac=02-aa-00-00-00-01"),
            (80, None, "http://10.77.0.1/boot.ipxe"),
            (8080, None, "http://10.77.0.1:8080/boot.ipxe"),
        ]:
            self.assertEqual(script_url(SERVER, port, Machine("id:1", hwaddr, Firmware.IPXE)), url)

    @given(st.integers(0, 2**32 - 1), st.integers(1, 65535), st.binary(min_size=1, max_size=16))
    def test_identity_travels(self, server: int, port: int, octets: bytes) -> None:
        """Whoever takes the URL apart finds server, port and machine again, and it fits the DHCP ``file`` field."""
        hwaddr = HardwareAddress(octets)
        url = script_url(IPv4Address(server), port, Machine("id:1", hwaddr, Firmware.IPXE))
        parts = urlsplit(url)
        self.assertEqual((parts.scheme, parts.path), ("http", "/boot.ipxe"))
        self.assertEqual((parts.hostname, parts.port or 80), (str(IPv4Address(server)), port))
        (told,) = parse_qs(parts.query, strict_parsing=True)["mac"]
        self.assertEqual(HardwareAddress.parse(told), hwaddr)
        self.assertNotIn(":", parts.query)
        self.assertLess(len(url), 128)
