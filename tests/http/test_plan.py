"""The answer to every kind of request: the clauses of RFC 9110 by name, then anything at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.message.fields import format_date
from pixelboot.http.plan import Representation, RequestHead, ResponsePlan, common_headers, plan
from pixelboot.http.ranges import Span, boundary

MODIFIED = 1_750_000_000
NOW = MODIFIED + 3600.0
THEN, BEFORE, AFTER = (format_date(at) for at in (MODIFIED, MODIFIED - 1, MODIFIED + 1))
ETAG = '"abc"'


def about(size: int = 1000, modified_at: float | None = MODIFIED + 0.5, etag: str = ETAG) -> Representation:
    """What is asked for."""
    return Representation(size, etag, modified_at, "application/octet-stream")


def answer(what: Representation | None = None, method: str = "GET", now: float = NOW, **fields: str) -> ResponsePlan:
    """The plan for a request with these fields (``if_range`` …)."""
    return planned(fields, what, method, now)


def planned(
    fields: dict[str, str], what: Representation | None = None, method: str = "GET", now: float = NOW
) -> ResponsePlan:
    """The same, of fields in a table."""
    return plan(RequestHead(method, **fields), what or about(), now)


def header(got: ResponsePlan, name: str) -> str | None:
    """The value of a field of the answer."""
    values = [value for field, value in got.headers if field == name]
    assert len(values) <= 1, name
    return values[0] if values else None


class RangeTest(SynchronousTestCase):
    """H01 to H12, H20."""

    def test_none_at_all(self) -> None:
        """H20: A service without ranges says so, and sends the whole."""
        for method in ("GET", "HEAD"):
            for value in ("bytes=0-0", "bytes=9999-", "nonsense"):
                got = plan(RequestHead(method, range=value, if_range=ETAG), about(), NOW, ranges=False)
                self.assertEqual((got.status, header(got, "Accept-Ranges")), (200, "none"), (method, value))
                self.assertEqual(header(got, "Content-Length"), "1000", (method, value))
                self.assertEqual(got.pieces, (Span(0, 1000),) if method == "GET" else (), (method, value))

    def test_single(self) -> None:
        """H01, H02, H03, H08."""
        cases = (
            ("H01", "bytes=0-0", 0, 1),
            ("H02 open", "bytes=995-", 995, 5),
            ("H02 suffix", "bytes=-5", 995, 5),
            ("H02 long suffix", "bytes=-1010", 0, 1000),
            ("H03", "bytes=990-5000", 990, 10),
            ("H03 the whole", "bytes=0-999", 0, 1000),
            ("H03 beyond 64 bits", f"bytes=1-{'9' * 40}", 1, 999),
            ("H08", "bytes=,7-8,", 7, 2),
            ("H08 overlapping", "bytes=500-599,550-649", 500, 150),
            ("H08 one behind the other", "bytes=10-19,0-9", 0, 20),
            ("H08 close together", "bytes=0-9,89-89", 0, 90),
            ("H08 one that exists", "bytes=1000-,-0,0-0", 0, 1),
        )
        for name, field, offset, size in cases:
            got = answer(range=field)
            self.assertEqual(got.status, 206, name)
            self.assertEqual(got.pieces, (Span(offset, size),), name)
            self.assertEqual(header(got, "Content-Range"), f"bytes {offset}-{offset + size - 1}/1000", name)
            self.assertEqual(header(got, "Content-Length"), str(size), name)
            self.assertEqual(header(got, "Content-Type"), "application/octet-stream", name)

    def test_h04_unsatisfiable(self) -> None:
        for field in ("bytes=1000-", "bytes=1000-2000", "bytes=-0", f"bytes={'9' * 40}-", "bytes=1000-,-0,5000-5001"):
            got = answer(range=field)
            self.assertEqual((got.status, got.pieces), (416, ()), field)
            self.assertEqual(header(got, "Content-Range"), "bytes */1000", field)
            self.assertEqual(header(got, "Content-Length"), str(len(got.text)), field)

    def test_empty_representation(self) -> None:
        self.assertEqual(answer(about(0), range="bytes=0-").status, 416)
        for field in ("bytes=-5", "bytes=-5,-6", "bytes=0-,-5"):
            got = answer(about(0), range=field)
            self.assertEqual((got.status, got.pieces, header(got, "Content-Length")), (200, (), "0"), field)

    def test_ignored(self) -> None:
        """H09."""
        cases = (
            ("H05 first > last", "bytes=5-4"),
            ("H05 letters", "bytes=u-u"),
            ("H05 unknown unit", "octets=0-1"),
            ("H05 nothing", "bytes="),
            ("H07 more than there is", "bytes=0-,0-0"),
            ("H09", "bytes=" + ",".join(["0-"] * 1000)),
        )
        for name, field in cases:
            got = answer(range=field)
            self.assertEqual((got.status, got.pieces), (200, (Span(0, 1000),)), name)
            self.assertIsNone(header(got, "Content-Range"), name)

    def test_h06_not_get(self) -> None:
        got = answer(method="HEAD", range="bytes=0-0")
        self.assertEqual((got.status, header(got, "Content-Length")), (200, "1000"))

    def test_h10_h20_metadata(self) -> None:
        whole, part = answer(), answer(range="bytes=0-0")
        for got in (whole, part, answer(method="HEAD")):
            self.assertEqual(header(got, "ETag"), ETAG)
            self.assertEqual(header(got, "Last-Modified"), THEN)
            self.assertEqual(header(got, "Accept-Ranges"), "bytes")

    def test_h11_h12_if_range(self) -> None:
        cases = (
            ("H11 current", ETAG, 206),
            ("H11 old", '"old"', 200),
            ("H11 weak", f"W/{ETAG}", 200),
            ("H12 equal date", THEN, 206),
            ("H12 earlier date", BEFORE, 200),
            ("H12 later date", AFTER, 200),
            ("neither", "abc", 200),
            ("empty", "", 200),
        )
        for name, field, status in cases:
            self.assertEqual(answer(range="bytes=0-0", if_range=field).status, status, name)
            self.assertEqual(answer(if_range=field).status, 200, f"{name}, without Range")
            self.assertEqual(answer(range="bytes=1000-", if_range=field).status, 416 if status == 206 else 200, name)

    def test_h12_strong_date(self) -> None:
        """A date is no strong validator in the second in which it was made (§8.8.2.2)."""
        self.assertEqual(answer(now=MODIFIED + 0.9, range="bytes=0-0", if_range=THEN).status, 200)
        self.assertEqual(answer(now=MODIFIED + 1.0, range="bytes=0-0", if_range=THEN).status, 206)
        self.assertEqual(answer(about(modified_at=None), range="bytes=0-0", if_range=THEN).status, 200)


def body(got: ResponsePlan, content: bytes) -> bytes:
    """The octets of the answer, when `content` is served."""
    return b"".join(
        piece if isinstance(piece, bytes) else content[piece.offset : piece.offset + piece.size] for piece in got.pieces
    )


class SeveralRangesTest(SynchronousTestCase):
    """H07."""

    def test_h07_body(self) -> None:
        """Octet for octet, also where one of them exists no more; in the order in which they were asked for."""
        limit = boundary(ETAG)
        content = bytes(range(250)) * 4
        cases = (
            ("bytes=0-1,500-502", (("0-1", content[:2]), ("500-502", content[500:503]))),
            ("bytes=-2,0-0", (("998-999", content[998:]), ("0-0", content[:1]))),
            ("bytes=2000-, 300-300 ,,-0,100-100", (("300-300", content[300:301]), ("100-100", content[100:101]))),
            ("bytes=900-,0-0,895-5000", (("895-999", content[895:]), ("0-0", content[:1]))),
        )
        for field, expected in cases:
            got = answer(range=field)
            self.assertEqual(got.status, 206, field)
            self.assertEqual(header(got, "Content-Type"), f"multipart/byteranges; boundary={limit}", field)
            self.assertIsNone(header(got, "Content-Range"), field)
            octets = b"\r\n".join(
                b"--%b\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %b/1000\r\n\r\n%b"
                % (limit.encode(), shown.encode(), part)
                for shown, part in expected
            )
            octets += b"\r\n--%b--\r\n" % limit.encode()
            self.assertEqual(body(got, content), octets, field)
            self.assertEqual(header(got, "Content-Length"), str(len(octets)), field)

    def test_h07_conditions(self) -> None:
        """They hold as for a single range, and the fields are those of it (H10)."""
        several = "bytes=0-0,500-500"
        for fields, status in (
            ({"if_range": ETAG}, 206),
            ({"if_range": '"old"'}, 200),
            ({"if_match": '"old"'}, 412),
            ({"if_none_match": ETAG}, 304),
        ):
            self.assertEqual(planned({"range": several} | fields).status, status, fields)
        self.assertEqual(answer(method="HEAD", range=several), answer(method="HEAD"))
        for name in ("ETag", "Last-Modified", "Accept-Ranges", "Cache-Control"):
            self.assertEqual(header(answer(range=several), name), header(answer(), name), name)


class UnreadableRangeTest(SynchronousTestCase):
    """What iPXE of 32 bits asks for, and the like."""

    CASES = (
        ("bytes=u-u", True, True),
        ("bytes=lu-lu", True, True),
        ("bytes=%llu-%llu", True, True),
        ("bytes=u-", True, True),
        ("bytes=5-4", True, False),
        ("bytes=", True, False),
        ("Bytes=0-0,x", True, False),
        ("bytes", False, False),
        ("octets=u-u", False, False),
        ("", False, False),
    )

    def test_ignored(self) -> None:
        """By default the whole is sent (H05), and the log told why it was, where that is known."""
        for value, _, hinted in self.CASES:
            got = answer(range=value)
            self.assertEqual((got.status, got.pieces), (200, (Span(0, 1000),)), value)
            self.assertEqual("64-bit build of iPXE" in got.hint, hinted, value)

    def test_strict(self) -> None:
        """A range in bytes that cannot be read is refused; one in another unit, and what is no range, is not."""
        for value, refused, hinted in self.CASES:
            got = plan(RequestHead("GET", range=value), about(), NOW, strict_ranges=True)
            self.assertEqual(got.status, 416 if refused else 200, value)
            self.assertEqual(header(got, "Content-Range"), "bytes */1000" if refused else None, value)
            self.assertEqual("64-bit build of iPXE" in got.hint, hinted, value)

    def test_strict_only_where_a_range_counts(self) -> None:
        """Not with HEAD, nor where there are no ranges, nor under an If-Range that fails; readable ones are served."""
        for head, ranges, status in (
            (RequestHead("HEAD", range="bytes=u-u"), True, 200),
            (RequestHead("GET", range="bytes=u-u"), False, 200),
            (RequestHead("GET", range="bytes=u-u", if_range='"old"'), True, 200),
            (RequestHead("GET", range="bytes=0-0"), True, 206),
            (RequestHead("GET", range="bytes=0-0,500-500"), True, 206),
            (RequestHead("GET", range="bytes=" + "0-," * 1000), True, 200),
        ):
            self.assertEqual(plan(head, about(), NOW, ranges, strict_ranges=True).status, status, head)


class CommonTest(SynchronousTestCase):
    """What is made once."""

    def test_plain(self) -> None:
        """A request that asks for the whole, of whatever form, has the same answer."""
        for method in ("GET", "HEAD"):
            self.assertTrue(RequestHead(method).plain)
            for fields in ({"range": "lines=1"}, {"if_match": "*"}, {"if_none_match": ""}, {"if_range": ETAG}):
                self.assertFalse(RequestHead(method, **fields).plain)
                self.assertIs(planned(fields, method=method), answer(method=method))
            for name in ("if_modified_since", "if_unmodified_since"):
                self.assertIs(planned({name: "never"}, method=method), answer(method=method))

    def test_remembered(self) -> None:
        """By what a representation is, not by which object describes it."""
        self.assertIs(common_headers(about()), common_headers(about()))
        self.assertIsNot(common_headers(about()), common_headers(about(size=1001)))
        self.assertIsNot(common_headers(about()), common_headers(about(), ranges=False))


class ConditionTest(SynchronousTestCase):
    """H13 to H17."""

    def test_table(self) -> None:
        """H13, H14, H15, H16, H17."""
        cases: tuple[tuple[str, int, dict[str, str]], ...] = (
            ("H13 other", 412, {"if_match": '"old"'}),
            ("H13 current", 200, {"if_match": f'"x", {ETAG}'}),
            ("H13 any", 200, {"if_match": "*"}),
            ("H13 weak", 412, {"if_match": f"W/{ETAG}"}),
            ("H13 garbage", 412, {"if_match": "abc"}),
            ("H14 older", 412, {"if_unmodified_since": BEFORE}),
            ("H14 equal", 200, {"if_unmodified_since": THEN}),
            ("H14 no date", 200, {"if_unmodified_since": "yesterday"}),
            ("H15 match", 304, {"if_none_match": ETAG}),
            ("H15 weak match", 304, {"if_none_match": f"W/{ETAG}"}),
            ("H15 any", 304, {"if_none_match": "*"}),
            ("H15 other", 200, {"if_none_match": '"old"'}),
            ("H15 garbage", 200, {"if_none_match": "abc"}),
            ("H16 equal", 304, {"if_modified_since": THEN}),
            ("H16 later", 304, {"if_modified_since": AFTER}),
            ("H16 earlier", 200, {"if_modified_since": BEFORE}),
            ("H16 no date", 200, {"if_modified_since": "0"}),
            ("H16 If-None-Match wins", 200, {"if_modified_since": THEN, "if_none_match": '"old"'}),
            ("H17 If-Match wins", 200, {"if_match": ETAG, "if_unmodified_since": BEFORE}),
            ("H17 If-Match before If-None-Match", 412, {"if_match": '"old"', "if_none_match": ETAG}),
            ("H17 date before If-None-Match", 412, {"if_unmodified_since": BEFORE, "if_none_match": ETAG}),
            ("H17 If-None-Match before Range", 304, {"if_none_match": ETAG, "range": "bytes=0-0"}),
            ("H17 If-Match before Range", 412, {"if_match": '"old"', "range": "bytes=5000-"}),
        )
        for name, status, fields in cases:
            for method in ("GET", "HEAD"):
                got = planned(fields, method=method)
                self.assertEqual(got.status, status, f"{name}, {method}")
                if status in (304, 412):
                    self.assertEqual((got.pieces, header(got, "ETag")), ((), ETAG), name)

    def test_unknown_age(self) -> None:
        """Without a date there is nothing to compare dates with."""
        for field in ("if_modified_since", "if_unmodified_since"):
            got = planned({field: BEFORE}, about(modified_at=None))
            self.assertEqual((got.status, header(got, "Last-Modified")), (200, None), field)

    def test_never_modified_in_the_future(self) -> None:
        """§8.8.2.1: Last-Modified is never later than Date."""
        soon = about(modified_at=NOW + 100.5)
        for now, shown in ((NOW, NOW), (NOW + 7.25, NOW + 7), (NOW + 500, NOW + 100), (NOW, NOW)):
            for fields in ({}, {"range": "bytes=0-0"}, {"if_none_match": ETAG}):
                self.assertEqual(header(planned(fields, soon, now=now), "Last-Modified"), format_date(shown), now)


class MethodTest(SynchronousTestCase):
    """H19, H26."""

    def test_h19_head(self) -> None:
        for fields in ({}, {"if_none_match": ETAG}, {"if_match": '"old"'}):
            get, head = planned(fields), planned(fields, method="HEAD")
            self.assertEqual((head.status, head.headers), (get.status, get.headers), fields)
            self.assertEqual((head.pieces, head.text), ((), ""), fields)

    def test_h26_others(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "get", "FOO", ""):
            got = answer(method=method, if_match='"old"', range="bytes=0-0")
            self.assertEqual((got.status, header(got, "Allow")), (405, "GET, HEAD"), method)


class HeadTest(SynchronousTestCase):
    """`RequestHead.read`."""

    def test_repeated_fields(self) -> None:
        lines = {"if-none-match": ['"x"', ETAG], "range": ["bytes=0-0", "bytes=0-0"], "if-range": [ETAG, ETAG]}
        head = RequestHead.read("GET", lines)
        self.assertEqual((head.if_none_match, head.range, head.if_range), (f'"x", {ETAG}', "", ""))
        self.assertIsNone(head.if_match)
        self.assertEqual(plan(head, about(), NOW).status, 304)
        del lines["if-none-match"]
        self.assertEqual(plan(RequestHead.read("GET", lines), about(), NOW).status, 200)


VALUES = (
    st.none()
    | st.text(max_size=30)
    | st.sampled_from((ETAG, "*", THEN, BEFORE, "bytes=0-", "bytes=-3", "bytes=2-1", "bytes=u-u"))
    | st.lists(st.integers(0, 2000), min_size=2, max_size=5).map(
        lambda at: "bytes=" + ",".join(f"{first}-{first + 9}" for first in at)
    )
)


class AnythingTest(SynchronousTestCase):
    """Whatever is asked, there is an answer, and it is within what exists."""

    @given(
        st.builds(
            RequestHead, st.sampled_from(("GET", "HEAD", "POST")), VALUES, VALUES, VALUES, VALUES, VALUES, VALUES
        ),
        st.integers(0, 2**40),
        st.none() | st.floats(0, 4e9),
    )
    def test_any_request(self, head: RequestHead, size: int, modified_at: float | None) -> None:
        """H30."""
        got = plan(head, about(size, modified_at), NOW)
        self.assertIn(got.status, (200, 206, 304, 405, 412, 416))
        for name, value in got.headers:
            self.assertTrue(name and value and value.strip() == value and value.isprintable(), (name, value))
        self.assertNotIn("Content-Encoding", dict(got.headers))
        length = header(got, "Content-Length")
        self.assertEqual(length is None, got.status == 304)
        for piece in got.pieces:
            if isinstance(piece, Span):
                self.assertTrue(piece.size > 0 and piece.offset >= 0 and piece.offset + piece.size <= size, piece)
        if head.method != "HEAD" and length is not None:
            octets = sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in got.pieces)
            self.assertEqual(int(length), octets + len(got.text.encode()))

    @given(st.integers(1, 10**6), st.integers(0, 2 * 10**6), st.none() | st.integers(0, 2 * 10**6))
    def test_any_range(self, size: int, first: int, last: int | None) -> None:
        """H31: A single range names what a slice names."""
        wanted = range(size)[first : size if last is None else last + 1]
        got = answer(about(size), range=f"bytes={first}-{'' if last is None else last}")
        if last is not None and last < first:
            self.assertEqual(got.status, 200)
        elif not wanted:
            self.assertEqual(got.status, 416)
        else:
            self.assertEqual(got.pieces, (Span(wanted[0], len(wanted)),))
