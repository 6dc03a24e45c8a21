"""Tests of `pixelboot.leases.foreign.own`."""

from __future__ import annotations

import json
import math
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.leases.foreign.imported import LATEST
from pixelboot.leases.foreign.own import COLUMNS, csv_lines, lease_of, parse_csv, parse_json, value_of
from pixelboot.leases.lease import Lease, State
from pixelboot.malformed import Malformed

LEASE = Lease(
    IPv4Address("10.77.0.5"),
    "hw:01:02:aa:00:00:00:01",
    "02:aa:00:00:00:01",
    State.BOUND,
    1_750_000_000.25,
    1_750_003_600.5,
    "node1",
    1_750_000_100.0,
    b"\1x",
    b"port 5",
)
ROW = (
    "10.77.0.5,bound,02:aa:00:00:00:01,node1,hw:01:02:aa:00:00:00:01,"
    "2025-06-15T15:06:40.250Z,2025-06-15T15:08:20.000Z,2025-06-15T16:06:40.500Z,0178,706f72742035\r\n"
)

# As CSV has them, which is in milliseconds.
INSTANTS = st.integers(0, int(LATEST) - 1).map(lambda number: number + 0.25)
LEASES = st.builds(
    Lease,
    st.integers(0, 2**32 - 1).map(IPv4Address),
    st.text("abc:01=-,\"' ", min_size=1, max_size=20),
    st.text("abc:01-", max_size=20),
    st.sampled_from(State),
    INSTANTS,
    INSTANTS | st.just(math.inf),
    st.text(st.characters(whitelist_categories=("L", "N", "P", "S")), max_size=30),
    INSTANTS,
    st.binary(max_size=20),
    st.binary(max_size=20),
)


def table(*rows: str) -> bytes:
    """A CSV file."""
    return "".join([",".join(COLUMNS) + "\r\n", *rows]).encode()


class OwnTests(SynchronousTestCase):
    """Out, and in again."""

    def test_csv(self) -> None:
        """A line a lease; instants are such that a spreadsheet takes them, and names are no formulas."""
        endless = LEASE._replace(expires_at=math.inf, hostname="=cmd()", hwaddr="")
        text = "".join(csv_lines(map(value_of, (LEASE, endless))))
        self.assertEqual(text.splitlines(keepends=True)[:2], [",".join(COLUMNS) + "\r\n", ROW])
        self.assertIn(",'=cmd(),", text)
        self.assertIn(",never,", text)
        self.assertEqual(parse_csv(text.encode()).leases, (endless,), "the later of two of one address")
        self.assertEqual("".join(csv_lines([])), ",".join(COLUMNS) + "\r\n")

    def test_what_spreadsheets_make_of_it(self) -> None:
        """Other line ends, another order, a mark at the beginning, columns of somebody else, other instants."""
        text = "\ufeffidentity,address,state,started_at,note\nid:01,10.77.0.5,bound,2025-06-15 15:06:40,hello\n\n"
        (lease,) = parse_csv(text.encode()).leases
        expected = Lease(IPv4Address("10.77.0.5"), "id:01", "", State.BOUND, 1.75e9, math.inf, "", 1.75e9)
        self.assertEqual(lease, expected)
        (lease,) = parse_csv(text.replace("2025-06-15 15:06:40", "1750000000").encode()).leases
        self.assertEqual(lease, expected)

    @given(st.lists(LEASES, unique_by=lambda lease: lease.address))
    def test_round(self, leases: list[Lease]) -> None:
        """What is exported is imported as it was."""
        values = [value_of(lease) for lease in leases]
        self.assertEqual(parse_json(json.dumps({"leases": values}).encode()).leases, tuple(leases))
        self.assertEqual(parse_csv("".join(csv_lines(values)).encode()).leases, tuple(leases))

    def test_wrong_values(self) -> None:
        good = value_of(LEASE)
        for change, why in (
            ({"address": "10.77.0.555"}, "10.77.0.555"),
            ({"address": 5}, "address must be a text"),
            ({"identity": ""}, "an identity is 1 to 1024"),
            ({"identity": "\n"}, "an identity is 1 to 1024"),
            ({"hwaddr": "x" * 65}, "a hardware address is at most 64"),
            ({"state": "lent"}, "state must be one of offered, bound, released, expired, declined, not lent"),
            ({"started_at": None}, "started_at must be seconds since 1970"),
            ({"started_at": "now"}, "started_at must be seconds since 1970"),
            ({"expires_at": True}, "expires_at must be seconds since 1970"),
            ({"expires_at": math.nan}, "expires_at must be seconds since 1970"),
            ({"expires_at": 10**400}, "expires_at must be seconds since 1970"),
            ({"expires_at": -1}, "expires_at must be seconds since 1970"),
            ({"client_id": "x"}, "hexadecimal"),
            ({"circuit": 5}, "circuit must be a text"),
        ):
            error = self.assertRaises(Malformed, lease_of, {**good, **change})
            self.assertIn(why, str(error))
            document = json.dumps({"leases": [good, {**good, **change}]}).encode()
            self.assertIn(f"lease 2: {error}", str(self.assertRaises(Malformed, parse_json, document)))
        self.assertRaises(Malformed, lease_of, [])

    def test_wrong_files(self) -> None:
        for octets, why in (
            (b"{", "not JSON"),
            (b"\xff", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", 'expected {"leases"'),
            (b'{"leases": 5}', 'expected {"leases"'),
            (b'{"leases": [5]}', "lease 1: a lease must be a JSON object"),
        ):
            self.assertIn(why, str(self.assertRaises(Malformed, parse_json, octets)))
        for octets, why in (
            (b"", "line 1: expected the names of columns, among them address, state, identity, started_at"),
            (b"address,identity\n", "among them state, started_at"),
            (table(ROW, "10.77.0.6,bound\r\n"), "line 3: expected 10 columns, found 2"),
            (table(ROW, ROW.replace("bound", "x")), "line 3: state must be one of"),
            (table(ROW.replace("2025-06-15T15:06:40.250Z", "soon")), "line 2: expected started_at as"),
            (table(ROW.replace("2025-06-15T15:06:40.250Z", "never")), "line 2: started_at must be seconds"),
            (table(ROW.replace("2025-06-15T15:06:40.250Z", "inf")), "line 2: started_at must be seconds"),
            (table('"10.77.0.5"x'), "not CSV"),
            (b"\xff", "not UTF-8"),
        ):
            self.assertIn(why, str(self.assertRaises(Malformed, parse_csv, octets)))

    @given(st.binary() | st.text(",\n\"'0:x=", max_size=60).map(table))
    def test_anything(self, octets: bytes) -> None:
        """Leases, or `Malformed`."""
        for parse in (parse_json, parse_csv):
            try:
                parse(octets)
            except Malformed:
                continue
