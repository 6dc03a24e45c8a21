"""Tests of `pixelboot.tftp.limits.sources`."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp.limits.sources import plain, source

TOGETHER: tuple[tuple[str, str, bool, bool], ...] = (
    ("10.0.0.1", "10.0.0.1", True, True),
    ("10.0.0.1", "10.0.0.2", False, True),
    ("10.0.0.1", "10.0.1.1", False, False),
    ("10.0.0.1", "::ffff:10.0.0.1", True, True),
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::", True, True),
    ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
    ("2001:db8:1:2::1", "2001:db8:2:2::1", False, False),
    ("fe80::1", "fe80::2", False, True),
    ("febf:ffff::1", "febf:ffff::2", False, True),
    ("fec0::1", "fec0::2", True, True),
    ("::1", "::ffff:0.0.0.1", False, False),
)
"""Two addresses, whether they are one client, and whether they are of one network."""


def octets(address: str) -> bytes:
    """The address as it is on the wire."""
    return ip_address(address).packed


class SourceTests(SynchronousTestCase):
    """Who is counted together."""

    def test_together(self) -> None:
        """IPv4 by address and /24, IPv6 by /64 and /48, and machines of one link apart."""
        for one, other, client, network in TOGETHER:
            first, second = source(octets(one)), source(octets(other))
            self.assertEqual(first.client == second.client, client, f"{one} {other}")
            self.assertEqual(first.network == second.network, network, f"{one} {other}")

    def test_plain(self) -> None:
        """An IPv4 address is the same, whichever socket shows it; IPv6 addresses stay what they are."""
        self.assertEqual(plain(octets("::ffff:10.0.0.1")), octets("10.0.0.1"))
        for address in ("10.0.0.1", "2001:db8::1", "::1", "::fffe:a00:1"):
            self.assertEqual(plain(octets(address)), octets(address))
