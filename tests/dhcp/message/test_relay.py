"""Option 82 as it is read: what a relay said, and what it cannot have said."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.relay import RelayInformation, read
from pixelboot.malformed import Malformed

CASES = (
    ("", RelayInformation()),
    ("0104000a0102", RelayInformation(circuit_id=b"\0\x0a\1\2")),
    ("0206525400770001", RelayInformation(remote_id=b"RT\0w\0\1")),
    ("01000200", RelayInformation()),
    ("0504cb007100", RelayInformation(link_selection=IPv4Address("203.0.113.0"))),
    ("0b04c6336401", RelayInformation(server_override=IPv4Address("198.51.100.1"))),
    ("0a0180", RelayInformation(flags=0x80)),
    ("0a0100", RelayInformation(flags=0)),
    ("1300", RelayInformation(source_port=True)),
    ("0600ff00000003aabb", None),
    (
        "13000a01000b04010203040504050607080201620101610901ee",
        RelayInformation(b"a", b"b", IPv4Address("5.6.7.8"), IPv4Address("1.2.3.4"), 0, True),
    ),
    ("ff0161000162010163", RelayInformation(circuit_id=b"c")),
    ("090101090102", RelayInformation()),
)
"""The value, and what it says; None for what is malformed."""


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_r01_r06_to_r10_what_relays_say(self) -> None:
        """R01, R07 to R10: each sub-option alone and together; 0 and 255 are sub-options like any other."""
        for text, expected in CASES:
            value = bytes.fromhex(text)
            if expected is None:
                self.assertRaises(Malformed, read, value)
            else:
                self.assertEqual(read(value), expected, text)

    def test_r09_the_unicast_bit(self) -> None:
        """R09: the highest bit of the flags, if there are flags."""
        for flags, expected in ((None, None), (0, False), (0x7F, False), (0x80, True), (0xFF, True)):
            self.assertEqual(RelayInformation(flags=flags).unicast, expected, str(flags))

    def test_every_size_of_every_sub_option(self) -> None:
        """A value where its size is right and everything is there, Malformed everywhere else."""
        right = {5: 4, 10: 1, 11: 4, 19: 0}
        for code in (*range(21), 82, 255):
            for size in range(256):
                value = bytes((code, size)) + bytes(size)
                if right.get(code, size) == size:
                    read(value)
                else:
                    self.assertRaises(Malformed, read, value)
                if size:
                    self.assertRaises(Malformed, read, value[:-1])

    def test_what_stands_there_twice(self) -> None:
        """Nobody knows which one counts: a client may have put the first there itself."""
        for text in ("010161010162", "0504cb0071000504cb007200", "13001300", "0b04010203040b0401020304"):
            self.assertRaises(Malformed, read, bytes.fromhex(text))


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(st.binary(max_size=255))
    def test_anything_is_a_value_or_malformed(self, value: bytes) -> None:
        """And then circuit and remote are octets of it."""
        try:
            found = read(value)
        except Malformed:
            return
        self.assertIn(found.circuit_id, value)
        self.assertIn(found.remote_id, value)

    @given(
        st.permutations([1, 2, 5, 11]),
        st.binary(max_size=60),
        st.binary(max_size=60),
        st.binary(min_size=4, max_size=4),
    )
    def test_there_and_back(self, order: list[int], circuit: bytes, remote: bytes, address: bytes) -> None:
        """Whatever the order."""
        values = {1: circuit, 2: remote, 5: address, 11: address[::-1]}
        found = read(b"".join(bytes((code, len(values[code]))) + values[code] for code in order))
        self.assertEqual(found[:4], (circuit, remote, IPv4Address(address), IPv4Address(address[::-1])))
