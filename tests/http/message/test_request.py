"""Tests of `pixelboot.http.message.request`: RFC 9112 by octets, in pieces of any size."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.message.request import Limits, Rejected, Request, RequestParser

LIMITS = Limits(head=400, fields=10, body=50, line=100)
HOST = b"Host: x\r\n"

Told = tuple[str, str, int, dict[str, list[str]], bytes, bool]


def told(request: Request) -> Told:
    """All of a request."""
    fields = {name: list(values) for name, values in request.fields.items()}
    return request.method, request.target, request.version, fields, request.body, request.stays


def requests(*pieces: bytes, limits: Limits = LIMITS) -> tuple[list[Told], int]:
    """What comes out of a connection: requests, and the status of the end, or 0."""
    parser, found = RequestParser(limits), list[Told]()
    try:
        for piece in pieces:
            parser.feed(piece)
            while (request := parser.next()) is not None:
                found.append(told(request))
    except Rejected as problem:
        return found, problem.status
    return found, 0


def post(*fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """A POST."""
    return b"POST /a HTTP/%s\r\n" % version + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


class GoodTest(SynchronousTestCase):
    """What is a request."""

    def test_table(self) -> None:
        chunked = b"Transfer-Encoding: Chunked"
        cases: tuple[tuple[bytes, Told], ...] = (
            (
                b"GET /a?b HTTP/1.1\r\nHost: x\r\nrange:bytes=0-1\r\nX:\t a b \r\nx: \xe9\r\n\r\n",
                (
                    "GET",
                    "/a?b",
                    1,
                    {"host": ["x"], "range": ["bytes=0-1"], "x": ["a b", "\xe9"]},
                    b"",
                    True,
                ),
            ),
            (b"GET / HTTP/1.0\r\n\r\n", ("GET", "/", 0, {}, b"", False)),
            (b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", ("GET", "/", 0, {}, b"", False)),
            (b"GET / HTTP/1.9\r\nHost: x\r\n\r\n", ("GET", "/", 1, {"host": ["x"]}, b"", True)),
            (
                b"GET / HTTP/1.1\r\nHost:\r\nConnection: a\r\nConnection: b , Close\r\n\r\n",
                ("GET", "/", 1, {"host": [""], "connection": ["a", "b , Close"]}, b"", False),
            ),
            (
                post(b"Content-Length: 5", body=b"01\r\n\r"),
                ("POST", "/a", 1, {"host": ["x"], "content-length": ["5"]}, b"01\r\n\r", True),
            ),
            (
                post(chunked, body=b"3;a=b\r\n\r\nc\r\n0A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"),
                ("POST", "/a", 1, {"host": ["x"], "transfer-encoding": ["Chunked"]}, b"\r\nc0123456789", True),
            ),
        )
        for octets, request in cases:
            whole = octets * 2 if request[1] == "/a" else octets
            wanted = [request] * (len(whole) // len(octets))
            self.assertEqual(requests(whole), (wanted, 0), octets)
            self.assertEqual(requests(*(whole[at : at + 1] for at in range(len(whole)))), (wanted, 0), octets)
            for end in range(len(octets)):
                self.assertEqual(requests(octets[:end]), ([], 0), "a part is waited for")

    def test_limits(self) -> None:
        """At every limit it is still good, and one more is not; also when it comes octet by octet."""
        head = LIMITS.head - len(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        cases = (
            ("line", 414, lambda n: b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * (n - 14)), LIMITS.line),
            ("head", 431, lambda n: b"GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * n), head),
            ("fields", 431, lambda n: b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * (n - 1) + b"\r\n", LIMITS.fields),
            ("body", 413, lambda n: post(b"Content-Length: %d" % n, body=b"a" * n), LIMITS.body),
            (
                "chunk",
                413,
                lambda n: post(b"Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (n, b"a" * n)),
                LIMITS.body,
            ),
            (
                "chunks",
                413,
                lambda n: post(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n" * n + b"0\r\n\r\n"),
                LIMITS.body,
            ),
        )
        for name, status, make, limit in cases:
            good, bad = make(limit), make(limit + 1)
            self.assertEqual((len(requests(good)[0]), requests(good)[1]), (1, 0), name)
            self.assertEqual(requests(bad), ([], status), name)
            self.assertEqual(requests(*(bad[at : at + 1] for at in range(len(bad)))), ([], status), name)

    def test_no_more_is_held_than_allowed(self) -> None:
        """What never ends is refused."""
        for octets in (b"A", b"GET / HTTP/1.1\r\n" + b"X: y\r\n", post(b"Transfer-Encoding: chunked") + b"0", b"\r\n"):
            parser = RequestParser(LIMITS)
            with self.assertRaises(Rejected, msg=octets):
                for _ in range(1000):
                    parser.feed(octets)
                    parser.next()
            self.assertLess(parser.waiting, 1000)

    def test_expect(self) -> None:
        """A client that waits for word is told once, and only while nothing of its body is there."""
        asks = post(b"Content-Length: 2", b"Expect: 100-Continue")
        parser = RequestParser(LIMITS)
        parser.feed(asks)
        self.assertIsNone(parser.next())
        self.assertEqual([parser.expecting, parser.expecting], [True, False])
        parser.feed(b"ab")
        request = parser.next()
        assert request is not None
        self.assertEqual(request.body, b"ab")
        parser.feed(asks + b"a")
        self.assertIsNone(parser.next())
        self.assertFalse(parser.expecting)
        self.assertEqual(requests(post(b"Expect: 200-maybe")), ([], 417))
        old = RequestParser(LIMITS)
        old.feed(post(b"Content-Length: 2", b"Expect: 100-continue", version=b"1.0"))
        self.assertIsNone(old.next())
        self.assertFalse(old.expecting)


class SmugglingTest(SynchronousTestCase):
    """Shapes of which two parsers may make two different things: nothing behind one is ever taken for a request."""

    def test_h24_table(self) -> None:
        """H22."""
        chunked, inner = b"Transfer-Encoding: chunked", b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
        zero = b"0\r\n\r\n"
        cases = {
            "both lengths": post(b"Content-Length: 5", chunked, body=zero),
            "both lengths, the other way": post(chunked, b"Content-Length: 5", body=zero),
            "two lengths": post(b"Content-Length: 5", b"Content-Length: 6", body=b"01234"),
            "the same length twice": post(b"Content-Length: 5", b"Content-Length: 5", body=b"01234"),
            "a list of lengths": post(b"Content-Length: 5, 5", body=b"01234"),
            "a sign": post(b"Content-Length: +5", body=b"01234"),
            "a negative length": post(b"Content-Length: -5"),
            "a length in hexadecimal": post(b"Content-Length: 0x5", body=b"01234"),
            "a length with a space in it": post(b"Content-Length: 1 0", body=b"0"),
            "a length of other digits": post("Content-Length: \u0665".encode(), body=b"01234"),
            "no length": post(b"Content-Length:"),
            "a length of 5000 digits": post(b"Content-Length: " + b"0" * 300 + b"5", body=b"01234"),
            "chunked twice": post(chunked, chunked, body=zero),
            "chunked, chunked": post(b"Transfer-Encoding: chunked, chunked", body=zero),
            "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=zero),
            "identity": post(b"Transfer-Encoding: identity"),
            "a coding that only looks like it": post(b"Transfer-Encoding: xchunked", body=zero),
            "a quoted coding": post(b'Transfer-Encoding: "chunked"', body=zero),
            "chunked in HTTP/1.0": post(chunked, body=zero, version=b"1.0"),
            "a space before the colon": post(b"Transfer-Encoding : chunked", body=zero),
            "a tab before the colon": post(b"Transfer-Encoding\t: chunked", body=zero),
            "a control character in the name": post(b"Transfer-Encoding\x0b: chunked", body=zero),
            "a control character in the value": post(b"Transfer-Encoding: \x0bchunked", body=zero),
            "a folded field": post(b"Transfer-Encoding:", b" chunked", body=zero),
            "a folded first field": b"GET / HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n",
            "a folded length": post(b"Content-Length:", b"\t5", body=b"01234"),
            "no name": post(b": x"),
            "no colon": post(b"X"),
            "NUL in a value": post(b"X: a\x00b"),
            "NUL in a name": post(b"X\x00: b"),
            "a bare CR in a value": post(b"X: a\rContent-Length: 5"),
            "a bare LF in a value": post(b"X: a\nContent-Length: 5"),
            "bare LFs": b"GET / HTTP/1.1\nHost: x\n\n",
            "a bare LF behind the line": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
            "a bare LF at the end": b"GET / HTTP/1.1\r\nHost: x\r\n\n",
            "a bare CR first": b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "a bare LF first": b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "many empty lines first": b"\r\n" * 3 + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "white space first": b" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "two spaces": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            "a space in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
            "a tab for a space": b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "a space behind the version": b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
            "a version in small letters": b"GET / http/1.1\r\nHost: x\r\n\r\n",
            "a long version": b"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
            "no version": b"GET /\r\nHost: x\r\n\r\n",
            "H22 no Host": b"GET / HTTP/1.1\r\n\r\n",
            "H22 two Hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "H22 a list of Hosts": b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
            "no size": post(chunked, body=b"\r\n"),
            "a size that is none": post(chunked, body=b"zz\r\n\r\n"),
            "a size with 0x": post(chunked, body=b"0x1\r\na\r\n" + zero),
            "a size with a sign": post(chunked, body=b"-1\r\na\r\n" + zero),
            "a size with a space before it": post(chunked, body=b" 1\r\na\r\n" + zero),
            "a size that would wrap around": post(chunked, body=b"1" + b"0" * 16 + b"\r\n\r\n"),
            "a chunk longer than it says": post(chunked, body=b"1\r\nab\r\n" + zero),
            "a chunk shorter than it says": post(chunked, body=b"3\r\nab\r\n" + zero),
            "a bare LF behind the size": post(chunked, body=b"1\na\r\n" + zero),
            "a bare CR in an extension": post(chunked, body=b"1;a\rb\r\na\r\n" + zero),
            "a bare LF in an extension": post(chunked, body=b"1;a\nb\r\na\r\n" + zero),
            "a long extension": post(chunked, body=b"1;" + b"a" * 300 + b"\r\na\r\n" + zero),
            "a bare LF behind a chunk": post(chunked, body=b"1\r\na\n" + zero),
            "a bad trailer": post(chunked, body=b"0\r\nX\r\n\r\n"),
        }
        limits = LIMITS._replace(head=2000, line=400)
        for name, octets in cases.items():
            found, status = requests(octets + inner, limits=limits)
            self.assertEqual((found, status in (400, 413, 505)), ([], True), f"{name}: {found} {status}")
            split = [octets[at : at + 1] for at in range(len(octets))]
            self.assertEqual(requests(*split, inner, limits=limits), ([], status), name)

    def test_a_body_is_never_a_request(self) -> None:
        inner = b"GET /inner HTTP/1.1\r\n\r\n"
        found, status = requests(post(b"Content-Length: %d" % len(inner), body=inner) + post())
        self.assertEqual(([each[1] for each in found], status), (["/a", "/a"], 0))


PIECES = st.sampled_from(
    (
        b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.0\r\n", HOST, b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"X: y\r\n", b" ",
        b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
        b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b":", b"\0",
    )
)  # fmt: skip


class AnythingTest(SynchronousTestCase):
    """Whatever comes, in whatever pieces."""

    @given(st.lists(PIECES | st.binary(max_size=8), max_size=25), st.lists(st.integers(0, 400), max_size=12))
    def test_pieces_do_not_matter(self, parts: list[bytes], cuts: list[int]) -> None:
        """It gives requests or `Rejected`, and the same ones however it is cut."""
        octets = b"".join(parts)
        borders = [0, *sorted(cut for cut in cuts if cut < len(octets)), len(octets)]
        pieces = [octets[a:b] for a, b in pairwise(borders)]
        self.assertEqual(requests(*pieces), requests(octets))

    @given(st.binary(max_size=600))
    def test_any_octets(self, octets: bytes) -> None:
        found, status = requests(octets)
        self.assertTrue(not found or octets)
        self.assertIn(status, (0, 400, 413, 414, 417, 431, 505))
