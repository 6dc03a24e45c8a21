"""Tests of `pixelboot.leases.foreign.isc`."""

from __future__ import annotations

import math
import time
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.foreign.isc import NOBODY, parse
from pixelboot.leases.lease import Lease, State, check
from pixelboot.malformed import Malformed

NOW = 1_750_000_000.0
"""2025-06-15 15:06:40 UTC."""
MAC = "02:aa:00:00:00:01"
QUARANTINE = 600.0

FILE = rb"""# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

# authoring-byte-order entry is generated, DO NOT DELETE
authoring-byte-order little-endian;

server-duid "\000\001\000\001-Xj\272\002\252\000\000\000\001";

failover peer "lan" state {
  my state normal at 0 2025/06/15 12:00:00;
  partner state normal at 0 2025/06/15 12:00:00;
}
host node9 {
  dynamic;
  hardware ethernet 02:aa:00:00:00:99;
  fixed-address 10.77.0.99;
}
ia-na "\003\000\000\000\000\001" {
  cltt 0 2025/06/15 12:00:00;
  iaaddr fd00::5 { binding state active; }
}
lease 10.77.0.5 {
  starts 0 2025/06/15 14:06:40;
  ends 0 2025/06/15 16:06:40;
  cltt 0 2025/06/15 14:06:40;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:aa:00:00:00:01;
  uid "\001\002\252\000\000\000\001";
  set vendor-class-identifier = "PXEClient:Arch:00007:UNDI:003001";
  on expiry { set x = "}"; }
  client-hostname "node\"1";
}
lease 10.77.0.6 {
  starts epoch 1749996400; # Sun Jun 15 14:06:40 2025
  ends never;
  binding state active;
  uid 0:6e:31;
}
lease 10.77.0.7 {
  starts 0 2025/06/15 14:06:40;
  ends 0 2025/06/15 14:36:40;
  abandoned;
  client-hostname "thief";
}
lease 10.77.0.8 {
  starts 0 2025/06/15 14:06:40;
  ends 0 2025/06/15 14:36:40;
  binding state free;
  hardware ethernet 2:aa:0:0:0:8;
}
lease 10.77.0.9 { binding state backup; }
lease 10.77.0.10 { ends never; }
lease 10.77.0.5 {
  starts 0 2025/06/15 15:00:00;
  ends 0 2025/06/15 17:00:00;
  binding state active;
  hardware ethernet 02:aa:00:00:00:01;
  uid "\001\002\252\000\000\000\001";
  client-hostname "node1";
}
# the end"""


def body(*statements: str) -> bytes:
    """A file with one lease."""
    return "\n".join(["lease 10.77.0.5 {", *statements, "}"]).encode()


class IscTests(SynchronousTestCase):
    """What ISC dhcpd 4.4 writes, and what else its grammar has."""

    def test_whole_file(self) -> None:
        """The last entry of an address counts; an abandoned one is in quarantine; what is of no use is said."""
        found = parse(FILE, NOW, QUARANTINE)
        client_id = bytes.fromhex("0102aa00000001")
        at = IPv4Address
        self.assertEqual(
            found.leases,
            (
                Lease(at("10.77.0.6"), "id:006e31", "", State.BOUND, 1749996400.0, math.inf, "", 1749996400.0, b"\0n1"),
                Lease(at("10.77.0.7"), NOBODY, "", State.DECLINED, NOW, NOW + QUARANTINE, "thief", NOW),
                Lease(
                    at("10.77.0.8"),
                    "hw:01:02:aa:00:00:00:08",
                    "02:aa:00:00:00:08",
                    State.EXPIRED,
                    1749996400.0,
                    1749998200.0,
                    "",
                    1749996400.0,
                ),
                Lease(
                    at("10.77.0.5"),
                    f"hw:01:{MAC}",
                    MAC,
                    State.BOUND,
                    1749999600.0,
                    1750006800.0,
                    "node1",
                    1749999600.0,
                    client_id,
                ),
            ),
        )
        self.assertEqual(
            sorted(found.notes),
            [
                "passed over: 1 leases of DHCPv6",
                "passed over: 1 leases without hardware address and client identifier",
                "passed over: 1 states of failover",
            ],
        )

    def test_states(self) -> None:
        """The state of an address, and when it ended."""
        hardware = f"hardware ethernet {MAC};"
        for statements, state, ends in (
            (("binding state active;", "ends epoch 1750000001;"), State.BOUND, 1750000001.0),
            (("binding state active;", "ends epoch 1749999999;"), State.EXPIRED, 1749999999.0),
            (("ends epoch 1750000001;",), State.BOUND, 1750000001.0),
            (("binding state active;",), State.BOUND, math.inf),
            (("binding state released;", "ends epoch 1749999999;"), State.RELEASED, 1749999999.0),
            (("binding state released;", "ends epoch 1750000001;"), State.RELEASED, NOW),
            (("binding state expired;",), State.EXPIRED, NOW),
            (("binding state reset;",), State.EXPIRED, NOW),
            (("binding state abandoned;",), State.DECLINED, NOW + QUARANTINE),
        ):
            (lease,) = parse(body(hardware, *statements), NOW, QUARANTINE).leases
            self.assertEqual((lease.state, lease.expires_at), (state, ends), statements)
            self.assertLessEqual(lease.started_at, lease.expires_at)

    def test_texts(self) -> None:
        """Escapes, comments and line ends inside and outside of quotes; octets that are no UTF-8."""
        for text, name in (
            (b'client-hostname "a\\"b\\\\c";', 'a"b\\\\c'.replace("\\\\", "\\")),
            (b'client-hostname "a # no } comment";', "a # no } comment"),
            (b'client-hostname "\\x41\\102C"; # } no end', "ABC"),
            (b'client-hostname\n\t"a"#x\n;', "a"),
            (b'client-hostname "gr\xc3\xb6\\303\\274n";', "gröün"),
            (b'client-hostname "\xff";', "\ufffd"),
            (b'client-hostname "\\033[1m";', "\\x1b[1m"),
        ):
            octets = b"lease 10.77.0.5 {\r\n" + text + f"\nhardware ethernet {MAC};\r\n}}".encode()
            (lease,) = parse(octets, NOW, QUARANTINE).leases
            self.assertEqual(lease.hostname.encode("utf-8").decode(), name, text)

    def test_hardware(self) -> None:
        """Other kinds of it; one that is unknown counts for nothing, and the client identifier does."""
        for statement, identity in (
            ("hardware token-ring 2:aa;", "hw:06:02:aa"),
            ("hardware unknown-99 02:aa;", "id:0178"),
        ):
            (lease,) = parse(body(statement, 'uid "\\001x";'), NOW, QUARANTINE).leases
            self.assertEqual(lease.identity, identity)

    def test_wrong(self) -> None:
        """The line is named, and what was expected in it."""
        for octets, why in (
            (b"lease x {", "line 1: expected an IPv4 address, found x"),
            (b"lease fd00::1 {", "line 1: expected an IPv4 address"),
            (b"lease 10.77.0.5 ;", "line 1: expected {, found ;"),
            (b"\n\nlease 10.77.0.5 {\nstarts x", "line 4: expected a weekday from 0 to 6, epoch or never, found x"),
            (body("starts 0 2025-06-15 12:00:00;"), "line 2: expected a date such as 2026/03/01, found 2025-06-15"),
            (body("starts 0 2025/06/15 noon;"), "line 2: expected a time such as 12:00:00, found noon"),
            (body("starts 0 2025/13/15 12:00:00;"), "line 2: expected a date, found 2025/13/15 12:00:00"),
            (body("ends epoch soon;"), "line 2: expected seconds since 1970, found soon"),
            (body("ends epoch 999999999999999;"), "line 2: expected seconds since 1970"),
            (body("ends never"), "line 3: expected ;, found }"),
            (body("hardware ethernet 02:xx;"), "line 2: expected a hardware address, found 02:xx"),
            (body("uid x;"), "line 2: expected a client identifier, found x"),
            (body("client-hostname node1;"), "line 2: expected a text in quotes, found node1"),
            (body("binding mode x;"), "line 2: expected state, found mode"),
            (body(";"), "line 2: expected a statement or the end of the lease, found ;"),
            (b'lease 10.77.0.5 {\nclient-hostname "x', "line 2: expected the end of the text in quotes"),
            (
                b"lease 10.77.0.5 {\nends never;\n",
                "line 3: expected a statement or the end of the lease, found the end",
            ),
            (
                b"host a {\n{ }",
                "line 2: expected the end of what begins with host in line 1, found the end of the file",
            ),
            (b"} lease", "line 1: expected a statement, such as lease, found }"),
            (b'"lease"', 'line 1: expected a statement, such as lease, found "lease"'),
        ):
            error = self.assertRaises(Malformed, parse, octets, NOW, QUARANTINE)
            self.assertIn(why, str(error))

    def test_cut_anywhere(self) -> None:
        """Leases, or `Malformed`; never less of a lease than the file has."""
        whole = {lease.address: lease for lease in parse(FILE, NOW, QUARANTINE).leases}
        for size in range(0, len(FILE), 7):
            try:
                found = parse(FILE[:size], NOW, QUARANTINE)
            except Malformed:
                continue
            for lease in found.leases:
                if lease.address != IPv4Address("10.77.0.5"):  # of which there are two entries
                    self.assertEqual(lease, whole[lease.address], size)

    def test_no_input_takes_long(self) -> None:
        """What makes a matcher try again and again is read once."""
        for octets in (b"#" * 300_000, b'"' + b"\\" * 300_001, b" " * 300_000, b"{" * 300_000, b"#\n" * 150_000 + b'"'):
            before = time.process_time()
            self.assertRaises(Malformed, parse, octets + b'\n"', NOW, QUARANTINE)
            self.assertLess(time.process_time() - before, 2.0, octets[:8])

    @given(
        st.binary()
        | st.lists(
            st.sampled_from(
                b'lease 10.77.0.5 { } ; " \\ # uid ends never epoch 1 binding state active abandoned hardware'.split()
            ),
            max_size=40,
        ).map(b" ".join)
    )
    def test_anything(self, octets: bytes) -> None:
        """Leases that a store can have, or `Malformed`."""
        try:
            found = parse(octets, NOW, QUARANTINE)
        except Malformed:
            return
        for lease in found.leases:
            check(lease.identity, lease.hwaddr)
