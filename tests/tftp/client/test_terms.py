"""Tests of `pixelboot.tftp.client.terms`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.client.terms import Violation, Wishes, granted, request
from pixelboot.tftp.wire import ErrorCode, Opcode

ASKED = (("blksize", "1468"), ("windowsize", "16"), ("timeout", "3"), ("tsize", "0"))


class Asking(SynchronousTestCase):
    """The request."""

    def test_options(self) -> None:
        """What is wished for is asked for, and nothing else."""
        for wishes, size, options in (
            (Wishes(), 0, (("tsize", "0"),)),
            (Wishes(), None, ()),
            (Wishes(tsize=False), 7, ()),
            (Wishes(1468, 16, 3), 0, ASKED),
            (Wishes(8, 65535, 255), 1 << 40, (*Wishes(8, 65535, 255, tsize=False).options(0), ("tsize", str(1 << 40)))),
        ):
            self.assertEqual(wishes.options(size), options)

    def test_what_cannot_be_asked(self) -> None:
        """The text names the option, its value and its range."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"blksize": 7}, "blksize is 7: 8 to 65464 are allowed"),
            ({"blksize": 65465}, "blksize is 65465: 8 to 65464 are allowed"),
            ({"windowsize": 0}, "windowsize is 0: 1 to 65535 are allowed"),
            ({"windowsize": 65536}, "windowsize is 65536: 1 to 65535 are allowed"),
            ({"timeout": 256}, "timeout is 256: 1 to 255 are allowed"),
        ]
        for values, text in wrong:
            self.assertEqual(str(self.assertRaises(ValueError, Wishes, **values)), text)

    def test_requests(self) -> None:
        """They are what a server reads."""
        for opcode, kind in ((Opcode.RRQ, wire.ReadRequest), (Opcode.WRQ, wire.WriteRequest)):
            for netascii, mode in ((False, "octet"), (True, "netascii")):
                octets = request(opcode, "pxe/grub ö", Wishes(netascii=netascii), ASKED)
                self.assertEqual(wire.decode(octets), kind("pxe/grub ö", mode, ASKED))

    def test_names(self) -> None:
        """A name that a request cannot hold is refused here; one that just fits is not."""
        self.assertEqual(len(request(Opcode.RRQ, "a" * 503, Wishes(), ())), 512)
        for name in ("", "a\0b", "a" * 504, "ö" * 252):
            self.assertRaises(ValueError, request, Opcode.RRQ, name, Wishes(), ())


class Granting(SynchronousTestCase):
    """The OACK."""

    def test_good(self) -> None:
        """All, less, or none of what was asked for."""
        terms = granted(ASKED, ASKED)
        self.assertEqual((terms.blksize, terms.windowsize, terms.timeout, terms.agreed), (1468, 16, 3, ASKED))
        less = (("windowsize", "1"), ("blksize", "8"))
        terms = granted(ASKED, less, netascii=True)
        self.assertEqual((terms.blksize, terms.windowsize, terms.timeout, terms.agreed), (8, 1, None, less))
        self.assertTrue(terms.netascii)
        self.assertEqual(granted(ASKED, (("tsize", "99999999999"),)).blksize, 512)

    def test_bad(self) -> None:
        """What was not asked for, is above it or beside it, comes twice, or is no number as RFC 2347 has it."""
        for options, text in (
            ([("multicast", "")], "'multicast', which was not asked for"),
            ([("blksize", "1469")], "blksize 1469: 8 to 1468"),
            ([("blksize", "7")], "blksize 7: 8 to 1468"),
            ([("windowsize", "17")], "windowsize 17: 1 to 16"),
            ([("windowsize", "0")], "windowsize 0: 1 to 16"),
            ([("timeout", "2")], "timeout 2: 3 was asked for"),
            ([("blksize", "512"), ("blksize", "512")], "blksize twice"),
            ([("blksize", "0512")], "'0512', which is no number"),
            ([("blksize", "+512")], "'+512', which is no number"),
            ([("blksize", "٥١٢")], "which is no number"),
            ([("tsize", "-1")], "'-1', which is no number"),
            ([("tsize", "")], "'', which is no number"),
            ([("tsize", "1" * 20)], "which is no number"),
        ):
            problem = self.assertRaises(Violation, granted, ASKED, tuple(options))
            self.assertIn(text, str(problem))
            self.assertEqual(problem.code, ErrorCode.OPTION_REFUSED)
