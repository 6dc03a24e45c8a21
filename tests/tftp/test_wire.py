"""Tests of `pixelboot.tftp.wire`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.malformed import Malformed
from pixelboot.outcome import printable
from pixelboot.tftp import wire
from pixelboot.tftp.wire import Ack, Data, Error, ErrorCode, OptionAck, Packet, ReadRequest, WriteRequest

EDK2 = b"\0\1snponly.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0"
GRUB = b"\0\1/grub/grub.cfg-01-52-54-00-77-00-01\0octet\0blksize\x001024\0tsize\x000\0"

BOTH_WAYS: tuple[tuple[bytes, Packet], ...] = (
    (b"\0\1pxelinux.0\0netascii\0", ReadRequest("pxelinux.0", "netascii")),
    (EDK2, ReadRequest("snponly.efi", "octet", (("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")))),
    (GRUB, ReadRequest("/grub/grub.cfg-01-52-54-00-77-00-01", "octet", (("blksize", "1024"), ("tsize", "0")))),
    ("\0\1büro/ä.efi\0octet\0".encode(), ReadRequest("büro/ä.efi", "octet")),
    (b"\0\1b\xfcro\0octet\0", ReadRequest("b\udcfcro", "octet")),
    (b"\0\1a\0octet\0blksize\0\0tsize\x000\0", ReadRequest("a", "octet", (("blksize", ""), ("tsize", "0")))),
    (b"\0\3\0\1", Data(1, b"")),
    (b"\0\3\xff\xff\0\1\2", Data(65535, b"\0\1\2")),
    (b"\0\4\0\0", Ack(0)),
    (b"\0\4\xff\xfe", Ack(65534)),
    (b"\0\5\0\1File not found\0", Error(1, "File not found")),
    (b"\0\5\xff\xff\0", Error(65535, "")),
    (b"\0\6tsize\x00173792\0blksize\x001468\0", OptionAck((("tsize", "173792"), ("blksize", "1468")))),
)
"""Octets and what they are; encoding gives the same octets."""

ONE_WAY: tuple[tuple[str, bytes, Packet], ...] = (
    ("a write", b"\0\2up\0octet\0tsize\x009\0", WriteRequest("up", "octet", (("tsize", "9"),))),
    ("T04 any case of the mode", b"\0\1a\0OcTeT\0", ReadRequest("a", "octet")),
    ("T04 mail", b"\0\1a\0MAIL\0", ReadRequest("a", "mail")),
    ("T16 any case of an option", b"\0\1a\0octet\0BLKsize\x008\0", ReadRequest("a", "octet", (("blksize", "8"),))),
    ("T16 case is one of ASCII", "\0\1a\0octet\0bl\u212asize\x008\0".encode(),
     ReadRequest("a", "octet", (("bl\u212asize", "8"),))),
    ("T21 the first counts", b"\0\1a\0octet\0tsize\x000\0blksize\x009\0TSIZE\x007\0",
     ReadRequest("a", "octet", (("tsize", "0"), ("blksize", "9")))),
    ("T35 a NUL in the name ends it", b"\0\1a\0b\0octet\0", ReadRequest("a", "b", ())),
    ("an option without a value", b"\0\1a\0octet\0tsize\x000\0blksize\0",
     ReadRequest("a", "octet", (("tsize", "0"),))),
    ("NULs behind", b"\0\1a\0octet\0\0\0\0", ReadRequest("a", "octet")),
    ("an ACK of an odd length", b"\0\4\0\7junk", Ack(7)),
    ("an ERROR of four octets", b"\0\5\0\0", Error(0, "")),
    ("an ERROR without NUL", b"\0\5\0\0stop", Error(0, "stop")),
    ("an ERROR with octets behind", b"\0\5\0\x08no\0more", Error(8, "no")),
    ("a long ERROR", b"\0\5\0\0" + b"x" * 60000, Error(0, "x" * 512)),
    ("an OACK in capitals", b"\0\6TSIZE\x001\0", OptionAck((("tsize", "1"),))),
)  # fmt: skip
"""What it is, the octets, and what is read from them."""

MALFORMED: tuple[tuple[str, bytes, str], ...] = (
    ("nothing", b"", "0 octets"),
    ("an opcode", b"\0\4", "2 octets"),
    ("half an ACK", b"\0\4\0", "3 octets"),
    ("T08 opcode 7", b"\0\7ab", "opcode 7"),
    ("opcode 0", b"\0\0\0\1", "opcode 0"),
    ("an opcode of two octets", b"\1\4\0\1", "opcode 260"),
    ("T09 no end", b"\0\1a\0octet", "not end"),
    ("T09 a value without end", b"\0\1a\0octet\0blksize\x0051", "not end"),
    ("T09 no name", b"\0\1\0octet\0", "without a name"),
    ("T09 nothing at all", b"\0\1\0\0", "without a name"),
    ("T09 no mode", b"\0\1file\0", "without a mode"),
    ("T09 an empty mode", b"\0\1file\0\0blksize\x008\0", "without a mode"),
    ("T21 too long", b"\0\1" + b"a" * 2040 + b"\0octet\0", "2048 is the most"),
    ("T17 an empty OACK", b"\0\6", "2 octets"),
    ("an OACK cut", b"\0\6tsize\x001", "pairs"),
    ("an OACK without a value", b"\0\6tsize\0", "pairs"),
    ("NULs behind an OACK", b"\0\6tsize\x001\0\0", "pairs"),
    ("an empty option in an OACK", b"\0\6\x001\0", "pairs"),
)
"""What it is, the octets, a word of the error."""


def encode(packet: Packet) -> bytes:
    """Any packet but a write request, which nothing here sends."""
    match packet:
        case ReadRequest(name, mode, options):
            return wire.read_request(name, mode, options)
        case Data(block, octets):
            return wire.data(block, octets)
        case Ack(block):
            return wire.ack(block)
        case Error(code, message):
            return wire.error(code, message)
        case OptionAck(options):
            return wire.option_ack(options)
    raise AssertionError(packet)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NAMES = WORDS.map(lambda word: word.encode().lower().decode())
OPTIONS = st.dictionaries(NAMES, WORDS, max_size=6).map(lambda some: tuple(some.items()))
NUMBERS = st.integers(0, 65535)
PACKETS: st.SearchStrategy[Packet] = st.one_of(
    st.builds(ReadRequest, WORDS, NAMES, OPTIONS),
    st.builds(Data, NUMBERS, st.binary(max_size=40)),
    st.builds(Ack, NUMBERS),
    st.builds(Error, NUMBERS, WORDS),
    st.builds(OptionAck, OPTIONS.filter(bool)),
)


class Codec(SynchronousTestCase):
    """Octets and values."""

    def test_t01_t08_both_ways(self) -> None:
        """The table, read and written."""
        for octets, packet in BOTH_WAYS:
            self.assertEqual(wire.decode(octets), packet, octets)
            self.assertEqual(encode(packet), octets, octets)

    def test_t04_t16_t21_forgiving(self) -> None:
        """What is read although nobody should write it; T35: a NUL ends the name."""
        for name, octets, packet in ONE_WAY:
            self.assertEqual(wire.decode(octets), packet, name)

    def test_t08_t09_t21_malformed(self) -> None:
        """What is no packet, and why."""
        for name, octets, why in MALFORMED:
            with self.assertRaises(Malformed, msg=name) as caught:
                wire.decode(octets)
            self.assertIn(why, str(caught.exception), name)

    def test_t21_more_than_512_octets(self) -> None:
        """A request as long as the bound is read, with all of its options."""
        options = tuple((f"option{number}", "1") for number in range(150))
        octets = wire.read_request("a" * 255, "octet", options)
        self.assertGreater(len(octets), 1900)
        self.assertEqual(wire.decode(octets), ReadRequest("a" * 255, "octet", options))
        longest = b"\0\1" + b"a" * (wire.LONGEST_REQUEST - 9) + b"\0octet\0"
        self.assertEqual(len(longest), wire.LONGEST_REQUEST)
        self.assertIsInstance(wire.decode(longest), ReadRequest)

    def test_names_that_are_no_utf8(self) -> None:
        """The system gets back the octets that came, a log shows them safely."""
        request = wire.decode(b"\0\1\xff\xfe\n\x1b[31m\0octet\0")
        assert isinstance(request, ReadRequest)
        self.assertEqual(request.name.encode("utf-8", "surrogateescape"), b"\xff\xfe\n\x1b[31m")
        self.assertEqual(printable(request.name), "\\udcff\\udcfe\\n\\x1b[31m")

    def test_errors_are_one_text(self) -> None:
        """A message of ours is cut at a NUL and to a length that fits any datagram."""
        self.assertEqual(wire.error(ErrorCode.UNDEFINED, "a\0b"), b"\0\5\0\0a\0")
        self.assertEqual(len(wire.error(0, "x" * 9999)), 4 + 512 + 1)

    def test_every_prefix_and_garbage_behind(self) -> None:
        """T09: a value or `Malformed`, of whatever is cut off or hung on."""
        for octets in [case[0] for case in BOTH_WAYS] + [case[1] for case in ONE_WAY + MALFORMED]:
            cut = [octets[:size] for size in range(min(len(octets), 200))]
            for other in [*cut, octets + b"\0", octets + b"\xff", octets + b"x\0", octets + octets]:
                self.check(other)

    @given(st.binary(max_size=80))
    def test_any_octets(self, octets: bytes) -> None:
        """T09: as they come, and behind every opcode."""
        self.check(octets)
        for opcode in range(1, 7):
            self.check(bytes((0, opcode)) + octets)

    @given(PACKETS)
    def test_whatever_is_written_is_read(self, packet: Packet) -> None:
        self.assertEqual(wire.decode(encode(packet)), packet)

    def check(self, octets: bytes) -> None:
        """One datagram: a packet or `Malformed`, and the short way to an ACK agrees with the long one."""
        try:
            packet = wire.decode(octets)
        except Malformed:
            self.assertIsNone(wire.ack_block(octets), octets)
            return
        self.assertEqual(wire.ack_block(octets), packet.block if isinstance(packet, Ack) else None, octets)
