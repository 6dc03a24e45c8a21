"""A control channel for tests: subjects over a real socket, asked with real requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ServerEndpoint

from pixelboot.http.connection.resources import Resources
from pixelboot.http.connection.site import BootSite
from pixelboot.http.service import HttpService
from pixelboot.view.api import Subject, control_resource
from tests.http.shelf import HttpCase

reactor = cast("Any", _reactor)


class ChannelCase(HttpCase):
    """Asks a control channel."""

    async def open(self, *subjects: Subject | None) -> None:
        """Begin to serve these subjects."""

        async def status() -> Mapping[str, object]:
            return {}

        resource = control_resource(status, lambda: None, *subjects)
        # On a port, and not on a Unix socket, as the client of these tests knows no other; nothing here sees which.
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.service = HttpService([endpoint], BootSite(Resources(resource), self.fail, reactor))
        await self.service.listen()
        self.service.startService()
        self.addCleanup(self.service.stopService)

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of one request; `body` as JSON unless it is octets."""
        assert self.service.port is not None
        octets = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        client = await self.connect(self.service.port)
        head = (
            f"{method} /api/v1/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(octets)}\r\n\r\n"
        )
        client.write(head.encode() + octets)
        answer = await client.end()
        lines, _, rest = answer.partition(b"\r\n\r\n")
        self.assertIn(b"\r\ncontent-type: application/json", lines.lower())
        if b"transfer-encoding: chunked" in lines.lower():
            rest = self.unchunked(rest)
        return int(lines.split()[1]), json.loads(rest) if method != "HEAD" else rest

    def unchunked(self, octets: bytes) -> bytes:
        """The content of a chunked body (RFC 9112 §7.1), which is whole."""
        chunks, at = list[bytes](), 0
        while True:
            start = octets.index(b"\r\n", at) + 2
            end = start + int(octets[at : start - 2], 16)
            self.assertEqual(octets[end : end + 2], b"\r\n")
            chunks.append(octets[start:end])
            at = end + 2
            if start == end:
                self.assertEqual(at, len(octets))
                return b"".join(chunks)
