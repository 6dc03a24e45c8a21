"""The answer to every kind of request: the clauses of RFC 9110 by name, then anything at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.plan import (
    Aborted,
    Refused,
    Representation,
    RequestHead,
    ResponsePlan,
    Served,
    Span,
    Unreadable,
    plan,
)
from pixelboot.http.wire import format_date
from pixelboot.hwaddr import HardwareAddress

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
        """A service without ranges says so, and sends the whole."""
        for method in ("GET", "HEAD"):
            for value in ("bytes=0-0", "bytes=9999-", "nonsense"):
                got = plan(RequestHead(method, range=value, if_range=ETAG), about(), NOW, ranges=False)
                self.assertEqual((got.status, header(got, "Accept-Ranges")), (200, "none"), (method, value))
                self.assertEqual(header(got, "Content-Length"), "1000", (method, value))
                self.assertEqual(got.spans, (Span(0, 1000),) if method == "GET" else (), (method, value))

    def test_single(self) -> None:
        cases = (
            ("H01", "bytes=0-0", 0, 1),
            ("H02 open", "bytes=995-", 995, 5),
            ("H02 suffix", "bytes=-5", 995, 5),
            ("H02 long suffix", "bytes=-1010", 0, 1000),
            ("H03", "bytes=990-5000", 990, 10),
            ("H03 the whole", "bytes=0-999", 0, 1000),
            ("H03 beyond 64 bits", f"bytes=1-{'9' * 40}", 1, 999),
            ("H08", "bytes=,7-8,", 7, 2),
        )
        for name, field, offset, size in cases:
            got = answer(range=field)
            self.assertEqual(got.status, 206, name)
            self.assertEqual(got.spans, (Span(offset, size),), name)
            self.assertEqual(header(got, "Content-Range"), f"bytes {offset}-{offset + size - 1}/1000", name)
            self.assertEqual(header(got, "Content-Length"), str(size), name)
            self.assertEqual(header(got, "Content-Type"), "application/octet-stream", name)

    def test_h04_unsatisfiable(self) -> None:
        for field in ("bytes=1000-", "bytes=1000-2000", "bytes=-0", f"bytes={'9' * 40}-"):
            got = answer(range=field)
            self.assertEqual((got.status, got.spans), (416, ()), field)
            self.assertEqual(header(got, "Content-Range"), "bytes */1000", field)
            self.assertEqual(header(got, "Content-Length"), str(len(got.text)), field)

    def test_empty_representation(self) -> None:
        self.assertEqual(answer(about(0), range="bytes=0-").status, 416)
        got = answer(about(0), range="bytes=-5")
        self.assertEqual((got.status, got.spans, header(got, "Content-Length")), (200, (), "0"))

    def test_ignored(self) -> None:
        cases = (
            ("H05 first > last", "bytes=5-4"),
            ("H05 letters", "bytes=u-u"),
            ("H05 unknown unit", "octets=0-1"),
            ("H05 nothing", "bytes="),
            ("several: §14.2 lets us", "bytes=0-1,5-6"),
            ("H09", "bytes=" + ",".join(["0-"] * 1000)),
        )
        for name, field in cases:
            got = answer(range=field)
            self.assertEqual((got.status, got.spans), (200, (Span(0, 1000),)), name)
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


class ConditionTest(SynchronousTestCase):
    """H13 to H17."""

    def test_table(self) -> None:
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
                    self.assertEqual((got.spans, header(got, "ETag")), ((), ETAG), name)

    def test_unknown_age(self) -> None:
        """Without a date there is nothing to compare dates with."""
        for field in ("if_modified_since", "if_unmodified_since"):
            got = planned({field: BEFORE}, about(modified_at=None))
            self.assertEqual((got.status, header(got, "Last-Modified")), (200, None), field)

    def test_never_modified_in_the_future(self) -> None:
        """§8.8.2.1: Last-Modified is never later than Date."""
        self.assertEqual(header(answer(about(modified_at=NOW + 100)), "Last-Modified"), format_date(NOW))


class MethodTest(SynchronousTestCase):
    """H19, H26."""

    def test_h19_head(self) -> None:
        for fields in ({}, {"if_none_match": ETAG}, {"if_match": '"old"'}):
            get, head = planned(fields), planned(fields, method="HEAD")
            self.assertEqual((head.status, head.headers), (get.status, get.headers), fields)
            self.assertEqual((head.spans, head.text), ((), ""), fields)

    def test_h26_others(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "get", "FOO", ""):
            got = answer(method=method, if_match='"old"', range="bytes=0-0")
            self.assertEqual((got.status, header(got, "Allow")), (405, "GET, HEAD"), method)


class HeadTest(SynchronousTestCase):
    """`RequestHead.read`."""

    def test_repeated_fields(self) -> None:
        lines = {"If-None-Match": ['"x"', ETAG], "Range": ["bytes=0-0", "bytes=0-0"], "If-Range": [ETAG, ETAG]}
        head = RequestHead.read("GET", lambda name: lines.get(name, []))
        self.assertEqual((head.if_none_match, head.range, head.if_range), (f'"x", {ETAG}', "", ""))
        self.assertIsNone(head.if_match)
        self.assertEqual(plan(head, about(), NOW).status, 304)
        del lines["If-None-Match"]
        self.assertEqual(plan(RequestHead.read("GET", lambda name: lines.get(name, [])), about(), NOW).status, 200)


VALUES = (
    st.none() | st.text(max_size=30) | st.sampled_from((ETAG, "*", THEN, BEFORE, "bytes=0-", "bytes=-3", "bytes=2-1"))
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
        got = plan(head, about(size, modified_at), NOW)
        self.assertIn(got.status, (200, 206, 304, 405, 412, 416))
        for name, value in got.headers:
            self.assertTrue(name and value and value.strip() == value and value.isprintable(), (name, value))
        self.assertNotIn("Content-Encoding", dict(got.headers))
        length = header(got, "Content-Length")
        self.assertEqual(length is None, got.status == 304)
        for span in got.spans:
            self.assertTrue(span.size > 0 and span.offset in range(size) and span.offset + span.size <= size, span)
        if head.method != "HEAD" and length is not None:
            self.assertEqual(int(length), sum(span.size for span in got.spans) + len(got.text.encode()))

    @given(st.integers(1, 10**6), st.integers(0, 2 * 10**6), st.none() | st.integers(0, 2 * 10**6))
    def test_any_range(self, size: int, first: int, last: int | None) -> None:
        """A single range names what a slice names."""
        wanted = range(size)[first : size if last is None else last + 1]
        got = answer(about(size), range=f"bytes={first}-{'' if last is None else last}")
        if last is not None and last < first:
            self.assertEqual(got.status, 200)
        elif not wanted:
            self.assertEqual(got.status, 416)
        else:
            self.assertEqual(got.spans, (Span(wanted[0], len(wanted)),))


class OutcomeTest(SynchronousTestCase):
    """The lines of the log."""

    def test_summaries(self) -> None:
        mac = HardwareAddress.parse("02:aa:00:00:00:01")
        target = "/containers/demo/kernel"
        cases = (
            (
                Served(mac, "10.77.0.100", "GET", target, 200, 14_200_000, 0.355),
                "02:aa:00:00:00:01 10.77.0.100 GET /containers/demo/kernel 200 14.2 MB in 0.35 s (40.0 MB/s)",
            ),
            (
                Served(None, "10.77.0.100", "HEAD", target, 304, 0, 0.0),
                "10.77.0.100 HEAD /containers/demo/kernel 304 0 octets in 0.00 s",
            ),
            (
                Refused(None, "::1", "GET", "/\n\x1b[2Jx", 404, 19, 0.0, "there is nothing here"),
                "::1 GET /\\n\\x1b[2Jx 404 there is nothing here",
            ),
            (
                Aborted(None, "::1", "GET", "/x", 206, 500, 2.0, "the client went away"),
                "::1 GET /x 206 broken off after 500 octets in 2.00 s (250 octets/s): the client went away",
            ),
            (Unreadable("::1", "no Host"), "::1 sent no request that can be answered: no Host"),
        )
        for outcome, line in cases:
            self.assertEqual(outcome.summary(), line)
        self.assertEqual(Served.counter(), "http.Served")
