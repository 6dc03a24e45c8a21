"""Tests of `pixelboot.tftp.negotiate`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import MOST_IN_FLIGHT, WIDEST_WINDOW, Limits, Refusal, Terms, negotiate
from pixelboot.tftp.wire import ErrorCode, ReadRequest

LIMITS = Limits(blksize=1468, windowsize=64)
WIDE = Limits(blksize=65464, windowsize=65535)
SIZE = 173792

FIRMWARE: tuple[tuple[str, str, str], ...] = (
    ("T20 EDK2's probe", "tsize=0 blksize=1468 windowsize=4", "tsize=173792 blksize=1468 windowsize=4"),
    ("EDK2", "blksize=1468 windowsize=4", "blksize=1468 windowsize=4"),
    ("EDK2 over IPv6", "blksize=1228 windowsize=4", "blksize=1228 windowsize=4"),
    ("T36 GRUB", "blksize=1024 tsize=0", "blksize=1024 tsize=173792"),
    ("PXELINUX", "tsize=0 blksize=1408", "tsize=173792 blksize=1408"),
    ("iPXE", "blksize=1432 tsize=0", "blksize=1432 tsize=173792"),
    ("a Linux boot client", "windowsize=128 blksize=65464", "windowsize=64 blksize=1468"),
    ("a client that asks nothing", "", ""),
)
"""Who, what it asks, what it is granted of a file of 173792 octets: an option a word, in the order on the wire."""

OPTIONS: tuple[tuple[str, str, str], ...] = (
    ("T17 only unknown ones", "multicast= utimeout=1000000 rollover=0 x=1", ""),
    ("T16 T34 unknown ones among others", "multicast= blksize=512 rollover=1", "blksize=512"),
    ("T22 least", "blksize=8", "blksize=8"),
    ("T22 most", "blksize=65464", "blksize=1468"),
    ("T22 too little", "blksize=7", ""),
    ("T22 too much", "blksize=65465", ""),
    ("T22 nothing", "blksize=0", ""),
    ("T22 no number", "blksize=abc", ""),
    ("T24 less than the limit", "blksize=1467", "blksize=1467"),
    ("T24 more than the limit", "blksize=1469", "blksize=1468"),
    ("T25 as asked", "timeout=3", "timeout=3"),
    ("T25 least", "timeout=1", "timeout=1"),
    ("T25 most", "timeout=255", "timeout=255"),
    ("T25 nothing", "timeout=0", ""),
    ("T25 too much", "timeout=256", ""),
    ("T26", "tsize=0", "tsize=173792"),
    ("T27 any number", "tsize=4096", "tsize=173792"),
    ("T27 beyond 32 bits", "tsize=99999999999", "tsize=173792"),
    ("T27 no number", "tsize=-1", ""),
    ("T28 as asked", "windowsize=4", "windowsize=4"),
    ("T28 at most", "windowsize=65535", "windowsize=64"),
    ("T31 nothing", "windowsize=0", ""),
    ("T31 too much", "windowsize=65536", ""),
    ("windowsize of one block", "windowsize=1", "windowsize=1"),
)

NO_NUMBERS = (
    "", " ", "+8", "-8", "08", "0008", " 8", "8 ", "8\n", "8.0", "8e2", "0x8", "1_0", "٨", "８", "8\udcff", "9" * 20,
)  # fmt: skip
"""Values that are no decimal number as RFC 2347 spells one, or one that no option can have."""

ANY_OPTION = st.tuples(
    st.sampled_from(["blksize", "windowsize", "timeout", "tsize", "multicast", "utimeout", "rollover", "x"]),
    st.one_of(st.integers(-1, 70000).map(str), st.sampled_from(NO_NUMBERS), st.text(max_size=4)),
)


def pairs(words: str) -> wire.Options:
    """Options written ``name=value name=value``."""
    return tuple((name, value) for name, _, value in (word.partition("=") for word in words.split()))


def terms(options: str, limits: Limits = LIMITS, size: int = SIZE, mode: str = "octet") -> Terms:
    """What is granted to a request on the wire."""
    request = wire.decode(wire.read_request("snponly.efi", mode, pairs(options)))
    assert isinstance(request, ReadRequest)
    return negotiate(request, size, limits)


class Options(SynchronousTestCase):
    """Clause by clause."""

    def test_t16_t18_t26_t28_t36_firmware(self) -> None:
        """What known clients ask, and the options of the OACK in the same order."""
        for who, asked, granted in FIRMWARE:
            self.assertEqual(terms(asked).agreed, pairs(granted), who)

    def test_t16_to_t34_options(self) -> None:
        """T16, T17, T22, T24, T25, T26, T27, T28, T31, T34: every option at its edges."""
        for name, asked, granted in OPTIONS:
            self.assertEqual(terms(asked).agreed, pairs(granted), name)

    def test_t16_t22_t25_t27_t31_no_numbers(self) -> None:
        """T23: what is no number is left out, of every option; the others stay."""
        for name in ("blksize", "windowsize", "timeout", "tsize"):
            for value in NO_NUMBERS:
                request = ReadRequest("a", "octet", ((name, value), ("blksize" if name != "blksize" else "tsize", "9")))
                self.assertEqual([one for one, _ in negotiate(request, 1, LIMITS).agreed],
                                 [request.options[1][0]], (name, value))  # fmt: skip

    def test_t22_what_is_granted_is_used(self) -> None:
        """The terms are those of the OACK, and without one the defaults of RFC 1350."""
        self.assertEqual(terms("x=1"), Terms(blksize=512, windowsize=1, timeout=None, netascii=False, agreed=()))
        got = terms("windowsize=4 timeout=3 blksize=2000")
        self.assertEqual((got.blksize, got.windowsize, got.timeout, got.netascii), (1468, 4, 3.0, False))
        self.assertEqual(terms("blksize=abc timeout=256 windowsize=0"), Terms())

    def test_t24_options_that_a_site_refuses(self) -> None:
        """They are left out as if they were not known."""
        limits = Limits(1468, 64, frozenset({"blksize", "tsize"}))
        got = terms("tsize=0 blksize=1468 windowsize=4", limits)
        self.assertEqual((got.agreed, got.blksize), (pairs("windowsize=4"), 512))

    def test_t26_sizes(self) -> None:
        """Beyond 32 bits, and of an empty file."""
        for size in (0, 1, 2**32, 2**40 + 1):
            self.assertEqual(terms("tsize=0", size=size).agreed, (("tsize", str(size)),))

    def test_t26_netascii_has_no_size(self) -> None:
        """It is another one on the wire, which nobody knows before the end."""
        got = terms("tsize=0 blksize=1024", mode="NetASCII")
        self.assertEqual((got.agreed, got.netascii), (pairs("blksize=1024"), True))

    def test_t04_modes(self) -> None:
        """Two in any case; anything else is refused with ERROR 4."""
        for mode in ("octet", "OCTET", "Octet"):
            self.assertFalse(terms("", mode=mode).netascii, mode)
        for mode in ("mail", "MAIL", "binary", "octets", "octet ", "\u212a"):
            with self.assertRaises(Refusal, msg=mode) as caught:
                terms("", mode=mode)
            self.assertEqual(caught.exception.code, ErrorCode.ILLEGAL_OPERATION)
            self.assertIn("octet and netascii", caught.exception.message)

    def test_t28_a_window_fits_into_memory(self) -> None:
        """Whatever the order and the limits, no transfer keeps more than its share."""
        for asked in ("windowsize=65535 blksize=65464", "blksize=65464 windowsize=65535"):
            got = terms(asked, WIDE)
            self.assertEqual((got.blksize, got.windowsize), (65464, 64), asked)
        self.assertEqual(terms("blksize=1468 windowsize=65535", WIDE).windowsize, MOST_IN_FLIGHT // 1468)
        self.assertEqual(terms("windowsize=65535", WIDE).windowsize, MOST_IN_FLIGHT // 512)
        self.assertEqual(terms("windowsize=65535 blksize=8", WIDE).windowsize, WIDEST_WINDOW)

    def test_t28_where_little_memory_is_left(self) -> None:
        """A window is as short as it must be, and one block at the least."""
        for left, windowsize in ((1 << 20, 64), (10 * 1468, 10), (1468, 1), (1, 1), (0, 1)):
            got = terms("blksize=1468 windowsize=64", Limits(1468, 64, in_flight=left))
            self.assertEqual((got.windowsize, got.in_flight), (windowsize, windowsize * 1468), left)
            self.assertEqual(got.agreed, pairs(f"blksize=1468 windowsize={windowsize}"), left)

    @given(st.lists(ANY_OPTION, max_size=8), st.integers(512, 65464), st.integers(1, 65535), st.booleans())
    def test_t16_t18_t23_whatever_is_asked(
        self, asked: list[tuple[str, str]], blksize: int, windowsize: int, netascii: bool
    ) -> None:
        """Only what was asked, once, in order, never more, in plain digits."""
        request = ReadRequest("a", "netascii" if netascii else "octet", tuple(dict(asked).items()))
        got = negotiate(request, SIZE, Limits(blksize, windowsize))
        values = dict(request.options)
        self.assertEqual([name for name in values if name in dict(got.agreed)], [name for name, _ in got.agreed])
        for name, value in got.agreed:
            self.assertEqual(value, str(int(value)))
            self.assertTrue(value.isascii() and value.isdigit(), value)
            if name != "tsize":
                self.assertLessEqual(int(value), int(values[name]))
        self.assertEqual(got.blksize, int(dict(got.agreed).get("blksize", 512)))
        self.assertEqual(got.windowsize, int(dict(got.agreed).get("windowsize", 1)))
        self.assertLessEqual(got.blksize * got.windowsize, MOST_IN_FLIGHT)
        self.assertLessEqual(got.blksize, max(blksize, 512))
        self.assertLessEqual(got.windowsize, windowsize)
