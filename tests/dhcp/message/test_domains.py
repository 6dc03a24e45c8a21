"""Domain names in options: what RFC 3397 shows, and what goes round in circles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.domains import check, decode, encode
from pixelboot.malformed import Malformed

CASES: tuple[tuple[tuple[str, ...], bytes, bytes], ...] = (
    ((), b"", b""),
    (("example.org",), b"\7example\3org\0", b"\7example\3org\0"),
    (
        ("eng.apple.com", "marketing.apple.com"),  # RFC 3397 §2
        b"\3eng\5apple\3com\0\x09marketing\xc0\4",
        b"\3eng\5apple\3com\0\x09marketing\5apple\3com\0",
    ),
    (("a.b", "b", "a.b"), b"\1a\1b\0\xc0\2\xc0\0", b"\1a\1b\0\1b\0\1a\1b\0"),
    (("a.B", "c.b"), b"\1a\1B\0\1c\1b\0", b"\1a\1B\0\1c\1b\0"),
    (("x" * 63,), b"\x3f" + b"x" * 63 + b"\0", b"\x3f" + b"x" * 63 + b"\0"),
    (("_srv.a-b.c0",), b"\4_srv\3a-b\2c0\0", b"\4_srv\3a-b\2c0\0"),
)
"""Names, compressed, and not."""

LONG = ".".join(["x" * 49] * 5) + ".abc"  # 253 characters, as long as a name can be


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_o04_both_ways(self) -> None:
        """O04: pointers count from the start of the joined option; each form reads as the same names."""
        for names, compressed, plain in CASES:
            self.assertEqual(encode(names), compressed, str(names))
            self.assertEqual(encode(names, compressed=False), plain, str(names))
            self.assertEqual((decode(compressed), decode(plain)), (names, names))

    def test_o04_compression_over_255_octets(self) -> None:
        """O04: a pointer into the first instance of an option from its second."""
        names = tuple(f"{'n' * 60}{number}.example.org" for number in range(9))
        octets = encode(names)
        self.assertGreater(len(octets), 2 * 255)
        self.assertEqual(octets.count(b"\xc0\x3e"), 8)
        self.assertEqual(decode(octets), names)

    def test_no_pointer_beyond_its_reach(self) -> None:
        """A pointer has 14 bits: names further in are written out."""
        filling = tuple(f"{'f' * 60}{number:03}.f{number:03}" for number in range(260))
        octets = encode((*filling, "late.example", "late.example"))
        self.assertEqual(octets.count(b"\4late\7example\0"), 2)
        self.assertEqual(decode(octets)[-2:], ("late.example", "late.example"))

    def test_o04_what_goes_wrong(self) -> None:
        """O04: a pointer to itself, forward, round in two steps; cut short; too long; a label of no type."""
        for name, octets in (
            ("to itself", b"\xc0\0"),
            ("to the name it ends", b"\1a\xc0\0"),
            ("forward", b"\xc0\2\1a\0"),
            ("past the end", b"\1a\0\xc0\xff"),
            ("two that point to each other", b"\1a\0\xc0\5\xc0\3"),
            ("half a pointer", b"\1a\0\xc0"),
            ("no root", b"\1a"),
            ("a label cut", b"\5abc"),
            ("nothing behind a length", b"\1a\0\5"),
            ("type 01", b"\x41a\0"),
            ("type 10", b"\x81a\0"),
            ("256 octets", (b"\x3f" + b"x" * 63) * 4 + b"\0"),
            ("too long by pointers", (b"\x3f" + b"x" * 63) * 3 + b"\0" + b"\x3f" + b"y" * 63 + b"\xc0\0"),
            ("a long way back", b"\0\0" + b"".join((0xC000 | 2 * at).to_bytes(2) for at in range(200))),
        ):
            with self.assertRaises(Malformed, msg=name):
                decode(octets)

    def test_what_is_read_and_not_written(self) -> None:
        """The root, a pointer to a pointer, octets that no host name has."""
        for octets, expected in (
            (b"\0", (".",)),
            (b"\1a\0\xc0\0\xc0\3", ("a", "a", "a")),
            (b"\4a.\xffb\0", ("a\\046\\255b",)),
            (b"\1\n\0", ("\\010",)),
        ):
            self.assertEqual(decode(octets), expected)

    def test_what_is_no_name(self) -> None:
        """Only what every resolver takes is written."""
        self.assertEqual((check("example.org."), check(LONG)), ("example.org", LONG))
        for name in (
            "",
            ".",
            "a..b",
            ".a",
            "-a",
            "a-",
            "a b",
            "a/b",
            "x" * 64,
            LONG + "d",
            "münchen.de",
            "10.0.0.300",
            "7",
        ):
            with self.assertRaises(Malformed, msg=name):
                encode([name])


labels = st.text("abC_", min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(st.lists(names, max_size=8).map(tuple), st.booleans())
    def test_o04_there_and_back(self, some: tuple[str, ...], compressed: bool) -> None:
        """O04: decode(encode(x)) is x, and no shorter without compression."""
        self.assertEqual(decode(encode(some, compressed)), some)
        self.assertLessEqual(len(encode(some)), len(encode(some, compressed=False)))

    @given(
        st.lists(st.one_of(st.binary(max_size=6), st.sampled_from((b"\xc0\0", b"\xc0\2", b"\1a", b"\0")))).map(b"".join)
    )
    def test_o04_anything_is_a_value_or_malformed(self, octets: bytes) -> None:
        """O04: it ends, and what it says can be printed."""
        try:
            found = decode(octets)
        except Malformed:
            return
        for name in found:
            self.assertTrue(name.isascii() and name.isprintable())
            self.assertLessEqual(len(name), 4 * 254)
