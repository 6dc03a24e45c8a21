"""Tests of `pixelboot.http.ranges`: what a field chooses, and what somebody else's parser makes of the body."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.ranges import (
    MOST_PARTS,
    MOST_RANGES,
    PART_OVERHEAD,
    Span,
    boundary,
    byteranges,
    chosen,
    content_range,
)
from pixelboot.malformed import Malformed

SIZE = 10_000
ETAG = '"abc"'

ranges = st.lists(
    st.builds(lambda first, more: f"{first}-{first + more}", st.integers(0, 4500), st.integers(0, 300))
    | st.integers(0, 4500).map("-{}".format)
    | st.integers(3500, 4500).map("{}-".format),
    min_size=1,
    max_size=20,
)


def spans(*pairs: tuple[int, int]) -> tuple[Span, ...]:
    """The spans with these first and last positions."""
    return tuple(Span(first, last - first + 1) for first, last in pairs)


def field(*pairs: tuple[int, int]) -> str:
    """The field that asks for these first and last positions."""
    return "bytes=" + ",".join(f"{first}-{last}" for first, last in pairs)


def apart(count: int) -> list[tuple[int, int]]:
    """So many ranges of an octet, just so far from each other that none are merged."""
    return [(number * (PART_OVERHEAD + 1), number * (PART_OVERHEAD + 1)) for number in range(count)]


def positions(spec: str, size: int) -> range:
    """The octets that one range names, by the rules of slices."""
    first, _, last = spec.partition("-")
    if not first:
        return range(size)[max(size - int(last), 0) :]
    return range(size)[int(first) : int(last) + 1 if last else size]


def parts(media_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Content-Range and octets of each part, as the standard library reads the body."""
    message = message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body)
    assert message.get_content_type() == "multipart/byteranges"
    assert (message.defects, message.preamble, message.epilogue) == ([], None, "")
    found = []
    for part in message.get_payload():
        assert isinstance(part, Message)
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes)
        assert part.items()[0] == ("Content-Type", "application/efi"), part.items()
        found.append((part["Content-Range"], octets))
    return found


class ChosenTest(SynchronousTestCase):
    """`chosen`."""

    def test_table(self) -> None:
        cases: tuple[tuple[str, str, tuple[Span, ...] | None], ...] = (
            ("one", "bytes=5-9", spans((5, 9))),
            ("one, clipped", "bytes=9990-20000", spans((9990, 9999))),
            ("one, behind the end", "bytes=10000-10000", ()),
            ("one, beyond 64 bits", f"bytes=5-{2**64}", spans((5, 9999))),
            ("one, far beyond", f"bytes={'9' * 16000}-", ()),
            ("one, many zeros", f"bytes={'0' * 16000}7-7", spans((7, 7))),
            ("in order", "bytes=0-0,500-500", spans((0, 0), (500, 500))),
            ("as asked for", "bytes=500-500,0-0,-1", spans((500, 500), (0, 0), (9999, 9999))),
            ("none exists", "bytes=10000-,-0,99999-99999", ()),
            ("one exists", "bytes=10000-,3-4", spans((3, 4))),
            ("two exist", "bytes=3-4,10000-,-1", spans((3, 4), (9999, 9999))),
            ("overlapping", "bytes=0-99,50-149,1000-1000", spans((0, 149), (1000, 1000))),
            ("one within another", "bytes=0-999,5-9", spans((0, 999))),
            ("the same twice", "bytes=5-9,5-9", spans((5, 9))),
            ("adjacent", "bytes=10-19,0-9", spans((0, 19))),
            ("79 octets between", "bytes=0-0,80-80", spans((0, 80))),
            ("80 octets between", "bytes=0-0,81-81", spans((0, 0), (81, 81))),
            ("merged where the first was", "bytes=5000-5099,0-0,4990-4999", spans((4990, 5099), (0, 0))),
            ("merged by a later one", "bytes=0-9,200-209,9000-9000,5-204", spans((0, 209), (9000, 9000))),
            ("as much as there is", "bytes=5000-,0-4999", spans((0, 9999))),
            ("more than there is", "bytes=5000-,0-5000", None),
            ("everything twice", "bytes=0-,0-", None),
            ("the last of all", "bytes=-20000,10000-", spans((0, 9999))),
        )
        for name, value, expected in cases:
            self.assertEqual(chosen(value, SIZE), expected, name)

    def test_nothing_to_choose_from(self) -> None:
        """Of no octets the last ones can be had by the letter, and there is no way to say so."""
        for value, expected in (("bytes=-5", None), ("bytes=0-,-5", None), ("bytes=0-", ()), ("bytes=0-0,-0", ())):
            self.assertEqual(chosen(value, 0), expected, value)

    def test_unreadable(self) -> None:
        """One that is wrong spoils them all (§14.2)."""
        for value in ("bytes=0-0,u-u", "bytes=9-8", "bytes=1-0,0-0", "lines=0-0", "bytes=,", "", "bytes=0-0 1-1"):
            with self.assertRaises(Malformed, msg=value):
                chosen(value, SIZE)

    def test_h09_bounds(self) -> None:
        """So many, and not one more; what is beyond is not even read."""
        self.assertEqual(chosen(field(*apart(MOST_PARTS)), SIZE), spans(*apart(MOST_PARTS)))
        self.assertIsNone(chosen(field(*apart(MOST_PARTS + 1)), SIZE))
        self.assertEqual(chosen(field(*[(0, 9)] * MOST_RANGES), SIZE), spans((0, 9)))
        self.assertIsNone(chosen(field(*[(0, 9)] * (MOST_RANGES + 1)), SIZE))
        self.assertIsNone(chosen(field((0, 0)) + "," * MOST_RANGES, SIZE))
        self.assertIsNone(chosen("bytes=" + "u," * 8000, SIZE))
        self.assertIsNone(chosen("bytes=" + ",".join(["0-"] * 1000), SIZE))

    def test_h09_large(self) -> None:
        """A thousand overlapping ranges, and numbers that fill the whole head, cost what they are long."""
        digits = 16_000 // MOST_RANGES - 10
        value = "bytes=" + ",".join(f"{'0' * digits}{n * 50}-{n * 50}" for n in range(MOST_RANGES))
        self.assertEqual(chosen(value, SIZE), spans((0, 50 * (MOST_RANGES - 1))))

    @given(st.integers(0, 12_000), st.integers(0, 12_000), st.integers(1, SIZE))
    def test_one_range_is_one_however_written(self, first: int, last: int, size: int) -> None:
        """The form that is read faster means the same."""
        if first <= last:
            self.assertEqual(chosen(f"bytes={first}-{last}", size), chosen(f"bytes=,{first}-{last}", size))

    @given(ranges, st.integers(0, 4500))
    def test_any_ranges(self, asked: list[str], size: int) -> None:
        """All that was asked for, nothing twice, little else, and in the order of asking."""
        named = [positions(spec, size) for spec in asked]
        got = chosen("bytes=" + ",".join(asked), size)
        if got is None:
            self.assertTrue(size == 0 or sum(map(len, named)) > size or len(asked) > MOST_PARTS)
            return
        self.assertEqual(got == (), not any(named))
        sent = [range(span.offset, span.offset + span.size) for span in got]
        first_asked = []
        for octets in sent:
            inside = [set(one) for one in named if one and octets.start <= one.start < octets.stop]
            self.assertEqual(set(octets[:1]) | set(octets[-1:]), {min(set.union(*inside)), max(set.union(*inside))})
            between = "".join("x" if at in set.union(*inside) else "." for at in octets).split("x")
            self.assertLess(max(map(len, between)), PART_OVERHEAD)
            first_asked.append(min(n for n, one in enumerate(named) if one and octets.start <= one.start < octets.stop))
        self.assertEqual(first_asked, sorted(first_asked))
        for before, after in zip(sorted(sent, key=min), sorted(sent, key=min)[1:], strict=False):
            self.assertGreaterEqual(after.start - before.stop, PART_OVERHEAD)
        for one in named:
            self.assertTrue(not one or any(one.start in octets and one[-1] in octets for octets in sent), one)


class ByterangesTest(SynchronousTestCase):
    """`byteranges` and `boundary`."""

    def test_octets(self) -> None:
        """The body of RFC 9110 §14.6, but for its boundary."""
        limit = boundary(ETAG).encode()
        media_type, pieces = byteranges(spans((500, 999), (7000, 7999)), 8000, ETAG, "application/pdf")
        self.assertEqual(media_type, f"multipart/byteranges; boundary={limit.decode()}")
        self.assertEqual(
            pieces,
            (
                b"--%b\r\nContent-Type: application/pdf\r\nContent-Range: bytes 500-999/8000\r\n\r\n" % limit,
                Span(500, 500),
                b"\r\n--%b\r\nContent-Type: application/pdf\r\nContent-Range: bytes 7000-7999/8000\r\n\r\n" % limit,
                Span(7000, 1000),
                b"\r\n--%b--\r\n" % limit,
            ),
        )

    def test_boundary(self) -> None:
        """Always the same of the same, another of another; it needs no quotes (RFC 2046 §5.1.1)."""
        self.assertEqual(boundary(ETAG), boundary(ETAG))
        tags = (ETAG, '"abd"', '""', '"a b:=?"', '"\xff"', f'"{"ab" * 32}"')
        self.assertEqual(len({boundary(tag) for tag in tags}), len(tags))
        for tag in tags:
            self.assertRegex(boundary(tag), r"^[0-9a-f]{32}$")
            self.assertNotIn(boundary(tag), tag)

    @given(ranges, st.binary(max_size=50), st.integers(1, 4500))
    def test_h07_any_ranges(self, asked: list[str], pattern: bytes, size: int) -> None:
        """Somebody else's parser finds in the body what was chosen, each part where it says that it belongs."""
        content = ((pattern or b"\r\n") * size)[:size]
        wanted = chosen("bytes=" + ",".join(asked), size) or spans((0, 0), (size - 1, size - 1))
        media_type, pieces = byteranges(wanted, size, ETAG, "application/efi")
        body = b"".join(
            piece if isinstance(piece, bytes) else content[piece.offset : piece.offset + piece.size] for piece in pieces
        )
        self.assertLessEqual(len(pieces), 2 * MOST_PARTS + 1)
        found = parts(media_type, body)
        self.assertEqual([shown for shown, _ in found], [content_range(span, size) for span in wanted])
        for shown, octets in found:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", shown)
            assert match, shown
            first, last, whole = map(int, match.groups())
            self.assertEqual((octets, whole), (content[first : last + 1], size))
