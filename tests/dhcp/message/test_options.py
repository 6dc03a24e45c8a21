"""Options: one table run both ways, cut short, and with garbage behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.options import decode, encode, encoded_size
from pixelboot.malformed import Malformed
from tests.dhcp import captures

END = b"\xff"

CASES: tuple[tuple[str, bytes, dict[int, bytes]], ...] = (
    ("nothing", b"", {}),
    ("one", b"\x35\x01\x01", {53: b"\x01"}),
    ("an empty value", b"\x50\x00", {80: b""}),
    (
        "an order of its own",
        b"\x37\x02\x01\x03\x35\x01\x03\x01\x04\xff\xff\xff\x00",
        {55: b"\1\3", 53: b"\3", 1: b"\xff\xff\xff\0"},
    ),
    ("PAD and END inside a value", b"\x0c\x03\x00\xff\x00\x35\x01\x01", {12: b"\0\xff\0", 53: b"\1"}),
    ("the largest code", b"\xfe\x01\x2a", {254: b"*"}),
    ("255 octets in one piece (O03)", b"\x2b\xff" + bytes(255), {43: bytes(255)}),
    ("256 octets in two", b"\x2b\xff" + b"a" * 255 + b"\x2b\x01b", {43: b"a" * 255 + b"b"}),
    (
        "300 octets are 255 + 45 (O01)",
        b"\x79\xff" + b"a" * 255 + b"\x79\x2d" + b"b" * 45 + b"\x36\x00",
        {121: b"a" * 255 + b"b" * 45, 54: b""},
    ),
    (
        "510 octets are two full pieces",
        b"\x79\xff" + b"a" * 255 + b"\x79\xff" + b"b" * 255,
        {121: b"a" * 255 + b"b" * 255},
    ),
)
"""What it is, its octets without END, the options."""

TOLERATED: tuple[tuple[str, bytes, dict[int, bytes]], ...] = (
    ("PAD between", b"\0\0\x35\x01\x01\0\x0c\x01a\0", {53: b"\1", 12: b"a"}),
    ("END hides the rest", b"\x35\x01\x01\xff\x0c\xff", {53: b"\1"}),
    (
        "two instances far apart are one, where the first stood (O02)",
        b"\x3d\x02\x01a\x35\x01\x01\x3d\x02bc",
        {61: b"\1abc", 53: b"\1"},
    ),
    ("an empty second instance", b"\x0c\x01a\x0c\x00", {12: b"a"}),
)

BROKEN = (
    ("a code and nothing more", b"\x35"),
    ("a length and no value", b"\x35\x01"),
    ("one octet missing", b"\x36\x04\x0a\x4d\x00"),
    ("the longest length, nothing behind", b"\x2b\xff"),
    ("a good option in front", b"\x35\x01\x01\x0c\x05abcd"),
    ("255 octets, 254 there", b"\x2b\xff" + bytes(254)),
)

some_options = st.dictionaries(st.integers(1, 254), st.binary(max_size=600), max_size=8)


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_both_ways(self) -> None:
        """O01, O03: octets become options and options the same octets; what stands behind END does not matter."""
        for name, octets, options in CASES:
            self.assertEqual(list(decode(octets).items()), list(options.items()), name)
            self.assertEqual(encode(options), octets, name)
            for behind in (b"", b"\0" * 9, b"\xff\xff", b"\x35\xffgarbage"):
                self.assertEqual(decode(octets + END + behind), options, name)

    def test_tolerated(self) -> None:
        """What clients send that a server would not; O02: an option in pieces."""
        for name, octets, options in TOLERATED:
            self.assertEqual(list(decode(octets).items()), list(options.items()), name)

    def test_d02_a_length_past_the_end_is_malformed(self) -> None:
        """D02: no octet outside the field is taken for a value."""
        for name, octets in BROKEN:
            with self.assertRaises(Malformed, msg=name):
                decode(octets)

    def test_every_prefix(self) -> None:
        """A field cut anywhere is a value, of the options that are whole, or Malformed."""
        for name, octets, options in CASES:
            for cut in range(len(octets)):
                try:
                    found = decode(octets[:cut])
                except Malformed:
                    continue
                for code, value in found.items():
                    self.assertTrue(options[code].startswith(value), f"{name} cut at {cut}")

    def test_captured_order(self) -> None:
        """The options of real clients, in their order."""
        for name, octets, codes in (
            ("iPXE", captures.IPXE_REQUEST, [53, 57, 93, 94, 60, 77, 55, 175, 61, 97, 54, 50]),
            ("EDK2", captures.EDK2_REQUEST, [53, 54, 50, 57, 55, 97, 94, 93, 60]),
            ("udhcpc", captures.UDHCPC_DISCOVER, [53, 57, 55, 12, 60, 61]),
            ("dhclient", captures.DHCLIENT_RELEASE, [53, 54, 12]),
        ):
            self.assertEqual(list(decode(octets[240:])), codes, name)

    def test_175_is_a_list_of_its_own(self) -> None:
        """Sub-options have the same form (iPXE's option 175)."""
        inner = decode(decode(captures.IPXE_DISCOVER[240:])[175])
        self.assertEqual(inner[0xB1], bytes.fromhex("011af41000"))
        self.assertEqual(inner[0x13], b"\1")


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(some_options)
    def test_there_and_back(self, options: dict[int, bytes]) -> None:
        """decode(encode(x)) is x, in the same order, and the size is as foretold."""
        octets = encode(options)
        self.assertEqual(list(decode(octets + END).items()), list(options.items()))
        self.assertEqual(len(octets), sum(encoded_size(value) for value in options.values()))

    @given(st.binary(max_size=400))
    def test_anything_is_a_value_or_malformed(self, octets: bytes) -> None:
        """No octets raise anything else, nor give more than they are."""
        try:
            options = decode(octets)
        except Malformed:
            return
        self.assertLessEqual(sum(encoded_size(value) for value in options.values()), len(octets))
        self.assertFalse({0, 255} & set(options))
