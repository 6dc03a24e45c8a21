"""The table of clauses in the manual is what the tests say; and what a client sees of them, by two clients."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import treq
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from pixelboot.http.message.fields import format_date
from tests import clauses
from tests.http.shelf import KERNEL, MODIFIED_AT, HttpCase, Response, get

PATH = "/containers/demo/kernel"
ETAG = f'"{hashlib.sha256(KERNEL).hexdigest()}"'
CHANGED, BEFORE, LATER = (format_date(MODIFIED_AT + seconds) for seconds in (0, -1, 3600))
SIZE = len(KERNEL)


class Coverage(clauses.Coverage):
    """``docs/reference/http.rst``."""

    page = "http.rst"
    folder = Path(__file__).parent
    others = ()
    last = {"H": 35}


@dataclass(frozen=True)
class Case:
    """One request, and what has to come back."""

    clause: str
    status: int
    asked: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    fields: dict[str, str | None] = field(default_factory=dict)
    """Those that must be there; None of those that must not."""
    method: str = "GET"
    path: str = PATH


def ranged(value: str, first: int, last: int, **conditions: str) -> Case:
    """A request for one range, which is answered with these octets."""
    where = f"bytes {first}-{last}/{SIZE}"
    asked = {"Range": value, **{name.replace("_", "-"): value for name, value in conditions.items()}}
    told: dict[str, str | None] = {"Content-Range": where, "ETag": ETAG, "Last-Modified": CHANGED}
    return Case("H10", 206, asked, KERNEL[first : last + 1], {**told, "Content-Length": str(last - first + 1)})


def whole(clause: str, asked: dict[str, str]) -> Case:
    """A request that is answered with all there is."""
    told: dict[str, str | None] = {"Content-Range": None, "Content-Length": str(SIZE), "Accept-Ranges": "bytes"}
    return Case(clause, 200, asked, KERNEL, told)


CASES = (
    ranged("bytes=0-0", 0, 0),
    ranged("bytes=1019-", 1019, 1023),
    ranged("bytes=-5", 1019, 1023),
    ranged("bytes=-1034", 0, 1023),
    ranged("bytes=1000-5000", 1000, 1023),
    ranged(f"bytes=0-{2**63}", 0, 1023),
    ranged("bytes=3-4", 3, 4, If_Range=ETAG),
    ranged("bytes=3-4", 3, 4, If_Range=CHANGED),
    ranged("bytes=3-4", 3, 4, If_Match=ETAG),
    ranged("bytes=0-9,5-14", 0, 14),
    Case("H04", 416, {"Range": "bytes=1024-"}, None, {"Content-Range": "bytes */1024"}),
    Case("H04", 416, {"Range": f"bytes={2**64}-"}, None, {"Content-Range": "bytes */1024"}),
    Case("H04", 416, {"Range": "bytes=-0"}, None, {"Content-Range": "bytes */1024"}),
    whole("H05", {"Range": "bytes=5-4"}),
    whole("H05", {"Range": "bytes=a-b"}),
    whole("H05", {"Range": "bytes=u-u"}),
    whole("H05", {"Range": "octets=0-1"}),
    Case("H06", 200, {"Range": "bytes=0-0"}, b"", {"Content-Length": str(SIZE), "Content-Range": None}, "HEAD"),
    Case("H07", 206, {"Range": "bytes=0-0,500-501"}, None, {"Content-Range": None}),
    whole("H09", {"Range": "bytes=" + ",".join(["0-"] * 1000)}),
    whole("H11", {"Range": "bytes=3-4", "If-Range": '"another"'}),
    whole("H11", {"Range": "bytes=3-4", "If-Range": f"W/{ETAG}"}),
    whole("H12", {"Range": "bytes=3-4", "If-Range": LATER}),
    whole("H12", {"If-Range": '"another"'}),
    Case("H13", 412, {"If-Match": '"another"'}),
    Case("H13", 412, {"If-Match": f"W/{ETAG}"}),
    whole("H13", {"If-Match": "*"}),
    Case("H14", 412, {"If-Unmodified-Since": BEFORE}),
    whole("H14", {"If-Unmodified-Since": "yesterday"}),
    Case("H15", 304, {"If-None-Match": f'"x", W/{ETAG}'}, b"", {"ETag": ETAG, "Content-Type": None}),
    Case("H15", 304, {"If-None-Match": "*"}, b"", {"ETag": ETAG}, "HEAD"),
    Case("H16", 304, {"If-Modified-Since": CHANGED}, b"", {"ETag": ETAG}),
    whole("H16", {"If-Modified-Since": CHANGED, "If-None-Match": '"x"'}),
    whole("H16", {"If-Modified-Since": BEFORE}),
    Case("H17", 412, {"If-Match": '"x"', "If-None-Match": ETAG, "Range": "bytes=0-0"}),
    Case("H17", 304, {"If-Match": ETAG, "If-None-Match": ETAG, "Range": "bytes=0-0"}, b""),
    Case("H18", 200, {}, KERNEL, {"ETag": ETAG}),
    Case("H19", 200, {}, b"", {"Content-Length": str(SIZE), "ETag": ETAG, "Accept-Ranges": "bytes"}, "HEAD"),
    Case("H26", 405, {}, None, {"Allow": "GET, HEAD"}, "POST"),
    Case("H26", 405, {}, None, {"Allow": "GET, HEAD"}, "DELETE"),
    Case("H28", 404, {"User-Agent": "GRUB 2.06"}, None, {"Location": None}, path="/containers/demo/"),
    Case("H32", 200, {"Accept-Encoding": "gzip, br, zstd"}, KERNEL, {"Content-Encoding": None}),
    Case("H33", 400, path="/files/%2e%2e/%2e%2e/etc/passwd"),
    Case("H33", 400, path="/files/..%5c..%5cetc%5cpasswd"),
    Case("H33", 400, path="/files/demo.rts.png%00"),
    Case("H33", 404, path="//containers/demo/kernel"),
)


class ClientsTests(HttpCase):
    """Every case, once by octets and once by treq: the same status, fields and body."""

    def check(self, case: Case, got: Response, by: str) -> None:
        """What came is what has to come."""
        about = f"{by}: {case.clause} {case.method} {case.path} {case.asked}"
        self.assertEqual(got.status, case.status, about)
        if case.body is not None:
            self.assertTrue(got.body == case.body, about)
        for name, value in case.fields.items():
            self.assertEqual(got.headers.get(name), value, f"{about}: {name}")

    async def test_by_octets(self) -> None:
        """On one connection as long as it stays open.

        H01, H02, H03, H04, H05, H06, H07, H08, H09, H10, H11, H12, H13, H14, H15, H16, H17, H18, H19, H26,
        H28, H32, H33.
        """
        port = await self.serve()
        client = await self.connect(port)
        for case in CASES:
            lines = (f"{name}: {value}" for name, value in case.asked.items())
            client.write(get(case.path, *lines, method=case.method))
            got = await client.response(bodiless=case.method == "HEAD")
            self.check(case, got, "octets")
            if got.headers.get("Connection") == "close":
                await client.end()
                client = await self.connect(port)

    async def test_by_treq(self) -> None:
        """The same.

        H01, H02, H03, H04, H05, H06, H07, H08, H09, H10, H11, H12, H13, H14, H15, H16, H17, H18, H19, H26,
        H28, H32, H33.
        """
        from twisted.internet import reactor

        port = await self.serve()
        pool = HTTPConnectionPool(reactor, persistent=True)
        self.addCleanup(pool.closeCachedConnections)
        client = treq.client.HTTPClient(Agent(reactor, pool=pool))
        for case in CASES:
            asked = Headers({name: [value] for name, value in {"Accept-Encoding": "", **case.asked}.items()})
            url = f"http://127.0.0.1:{port}{case.path}"
            response = await client.request(case.method, url, headers=asked, unbuffered=True)
            fields = {name.decode(): values[0].decode() for name, values in response.headers.getAllRawHeaders()}
            # What is about the body itself treq keeps to itself.
            if "Content-Length" in case.fields and "Content-Length" not in fields:
                fields["Content-Length"] = str(response.length)
            # And it makes an empty Content-Encoding out of none.
            lower = {name.lower(): value for name, value in fields.items() if value}
            spelled = {name: lower[name.lower()] for name in case.fields if name.lower() in lower}
            self.check(case, Response(response.code, "", spelled, await response.content()), "treq")
