"""Tests of `pixelboot.leases.foreign.dnsmasq`."""

from __future__ import annotations

import math
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.foreign.dnsmasq import parse
from pixelboot.leases.lease import Lease, State, check
from pixelboot.malformed import Malformed

NOW = 1_750_000_000.0
MAC = "02:aa:00:00:00:01"
WORDS = st.sampled_from(
    [
        "1750003600",
        "0",
        "99999999999999999999",
        "*",
        MAC,
        "06-02:aa",
        "00-",
        "10.77.0.5",
        "fd00::5",
        "ff:1:2",
        "duid",
        "x",
    ]
)


class DnsmasqTests(SynchronousTestCase):
    """Lines that dnsmasq 2.90 wrote, and others."""

    def lease(self, line: str) -> Lease:
        """The one lease of a line."""
        (lease,) = parse(line.encode(), NOW).leases
        return lease

    def test_lines(self) -> None:
        """Every form of each word."""
        for line, lease in (
            (
                f"1750003600 {MAC} 10.77.0.5 node1 01:{MAC}",
                Lease(
                    IPv4Address("10.77.0.5"),
                    f"hw:01:{MAC}",
                    MAC,
                    State.BOUND,
                    NOW,
                    1750003600.0,
                    "node1",
                    NOW,
                    bytes.fromhex("0102aa00000001"),
                ),
            ),
            (
                f"0 {MAC} 10.77.0.6 * *",
                Lease(IPv4Address("10.77.0.6"), f"hw:01:{MAC}", MAC, State.BOUND, NOW, math.inf, "", NOW),
            ),
            (
                f"1749990000 {MAC} 10.77.0.6 * *",
                Lease(
                    IPv4Address("10.77.0.6"),
                    f"hw:01:{MAC}",
                    MAC,
                    State.EXPIRED,
                    1749990000.0,
                    1749990000.0,
                    "",
                    1749990000.0,
                ),
            ),
            (
                "1750003600 20-80:00:02 10.77.0.7 * *",
                Lease(IPv4Address("10.77.0.7"), "hw:20:80:00:02", "80:00:02", State.BOUND, NOW, 1750003600.0, "", NOW),
            ),
            (
                "1750003600 00- 10.77.0.8 * 00:6e:31",
                Lease(IPv4Address("10.77.0.8"), "id:006e31", "", State.BOUND, NOW, 1750003600.0, "", NOW, b"\0n1"),
            ),
        ):
            self.assertEqual(self.lease(line), lease, line)

    def test_whole_file(self) -> None:
        """DHCPv6 is passed over and said, as is who could not be known again; of one address the last line counts."""
        text = f"""1750003600 {MAC} 10.77.0.5 old *
1750003600 00- 10.77.0.9 * *

1750003600 02:aa:00:00:00:02 10.77.0.5 new *
duid 00:01:00:01:2d:58:6a:ba:02:aa:00:00:00:01
1750003600 T15 fd00::5 * 00:01:00:01:2d
1750003600 15 fd00::6 node *
"""
        found = parse(text.encode(), NOW)
        self.assertEqual([lease.hostname for lease in found.leases], ["new"])
        self.assertEqual(
            found.notes,
            (
                "passed over: 2 leases of DHCPv6",
                "passed over: 1 leases without hardware address and client identifier",
            ),
        )
        self.assertEqual(parse(b"", NOW), ((), ()))

    def test_durations(self) -> None:
        """A dnsmasq without a clock writes how long leases last: they are held for as long from now."""
        found = parse(f"3600 {MAC} 10.77.0.5 * *".encode(), NOW)
        self.assertEqual((found.leases[0].state, found.leases[0].expires_at), (State.BOUND, NOW + 3600))
        self.assertIn("1 leases say how long they last", found.notes[0])

    def test_wrong(self) -> None:
        """The line is named, and what was expected in it."""
        good = f"1750003600 {MAC} 10.77.0.5 node1 *"
        for line, why in (
            ("x", "line 2: expected five words, found 1: x"),
            (f"{good} more", "line 2: expected five words, found 6"),
            (good.replace("1750003600", "soon"), "line 2: expected when the lease ends, in seconds, found soon"),
            (good.replace("1750003600", "9" * 19), "line 2: expected when the lease ends"),
            (good.replace(MAC, "02:aa:zz"), "line 2: expected a hardware address, found 02:aa:zz"),
            (good.replace("10.77.0.5", "10.77.0.555"), "line 2: expected an address, found 10.77.0.555"),
            (good.replace("*", "xyz"), "line 2: expected a client identifier or *, found xyz"),
            (good.replace("*", "01:\x1b"), "line 2: expected a client identifier or *, found 01:\\x1b"),
        ):
            error = self.assertRaises(Malformed, parse, f"{good}\n{line}".encode(), NOW)
            self.assertIn(why, str(error))

    @given(st.binary() | st.lists(st.lists(WORDS, min_size=4, max_size=6).map(" ".join)).map("\n".join).map(str.encode))
    def test_anything(self, octets: bytes) -> None:
        """Leases that a store can have, or `Malformed`."""
        try:
            found = parse(octets, NOW)
        except Malformed:
            return
        for lease in found.leases:
            check(lease.identity, lease.hwaddr)
