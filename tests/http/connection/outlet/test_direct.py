"""Tests of `pixelboot.http.connection.outlet.direct`: files over real sockets, whatever happens to file or client."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread

from pixelboot.http.connection.outlet.direct import COPIED, SLICE, TAIL
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.outcomes import Aborted, Exchange, Served
from pixelboot.library.file import FilePayload
from tests.http.shelf import Client, HttpCase, Shelf, get

reactor = cast("Any", _reactor)

PATH = "/containers/demo/initrd"


class FileShelf(Shelf):
    """A library whose initrd is a file."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path()
        self.is_final = False
        self.payloads: list[FilePayload] = []

    async def part(self, id: str, name: str) -> FilePayload:  # noqa: A002
        """As `Library.part`."""
        payload = FilePayload(os.open(self.path, os.O_RDONLY), "x/y", 1.0, "ab" * 32, is_final=self.is_final)
        self.payloads.append(payload)
        return payload


class DirectCase(HttpCase):
    """Serves one file."""

    async def begin(self, size: int, *, is_final: bool = False, limits: LimitSettings | None = None) -> int:
        """Serve a new file of so many octets; the port."""
        self.path = Path(self.mktemp())
        self.octets = octets(size)
        self.path.write_bytes(self.octets)
        os.utime(self.path, (1, 1))
        if not hasattr(self, "shelf"):
            self.shelf = FileShelf()
            self.port = await self.serve(self.shelf, limits=limits)
        self.shelf.path, self.shelf.is_final = self.path, is_final
        del self.outcomes[:]
        return self.port

    async def slow(self, port: int, *fields: str) -> Client:
        """A client that has asked for the file, and reads nothing for now but what was there at once."""
        client = await self.connect(port)
        client.write(get(PATH, *fields))
        await client.until(lambda: b"\r\n\r\n" in client.received)
        client.pause()
        return client

    async def outcome(self) -> Exchange:
        """The only one, when there is one."""
        await self.until(lambda: bool(self.outcomes))
        (outcome,) = self.outcomes
        assert isinstance(outcome, Exchange)
        return outcome

    async def until(self, ready: Callable[[], bool]) -> None:
        """Turn the reactor until something is so."""
        while not ready():
            await deferLater(reactor, 0)

    def check_closed(self) -> None:
        """No payload is open any more."""
        self.assertEqual([payload.fileno() for payload in self.shelf.payloads], [None] * len(self.shelf.payloads))


class OctetsTests(DirectCase):
    """The right octets, in every way that they go."""

    async def test_sizes(self) -> None:
        """At all borders between the ways, of files that may change and of those that cannot."""
        for is_final in (False, True):
            for size in (0, 1, COPIED - 1, COPIED, COPIED + 1, SLICE - 1, SLICE + 1, TAIL + SLICE + 1, 3 * TAIL):
                port = await self.begin(size, is_final=is_final)
                client = await self.connect(port)
                response = await client.ask(get(PATH))
                self.assertTrue(response.body == self.octets, (is_final, size))
                response = await client.ask(get(PATH, f"Range: bytes=1-{size - 2}"))
                if size > 2:
                    self.assertTrue(response.body == self.octets[1:-1], (is_final, size))
                self.assertEqual([type(outcome) for outcome in self.outcomes[:1]], [Served])
                self.check_closed()

    async def test_h31_small_ranges(self) -> None:
        """As iPXE reads a disk: one connection, exact octets."""
        port = await self.begin(1 << 20)
        client = await self.connect(port)
        for n in range(500):
            first = n * 2039 % (1 << 20)
            last = min(first + n % 700, (1 << 20) - 1)
            response = await client.ask(get(PATH, f"Range: bytes={first}-{last}"))
            self.assertEqual((response.status, response.body), (206, self.octets[first : last + 1]))

    async def test_h07_multipart(self) -> None:
        """Parts of a large file, with what stands between them."""
        port = await self.begin(3 * TAIL, is_final=True)
        client = await self.connect(port)
        response = await client.ask(get(PATH, f"Range: bytes=0-{TAIL},{2 * TAIL}-,-0"))
        self.assertEqual(response.status, 206)
        boundary = response.headers["Content-Type"].partition("boundary=")[2].encode()
        parts = [part.partition(b"\r\n\r\n")[2][:-2] for part in response.body.split(b"--" + boundary)[1:-1]]
        self.assertTrue(parts == [self.octets[: TAIL + 1], self.octets[2 * TAIL :]])

    async def test_pipelined(self) -> None:
        """H25: Large answers in the order of their requests, and no more of these read than is bearable."""
        port = await self.begin(2 * SLICE)
        client = await self.connect(port)
        ranges = [(n * 1000, n * 1000 + SLICE) for n in range(20)]
        client.write(b"".join(get(PATH, f"Range: bytes={first}-{last}", "X: " + "y" * 8000) for first, last in ranges))
        for first, last in ranges:
            self.assertTrue((await client.response()).body == self.octets[first : last + 1])

    async def test_old_clients(self) -> None:
        """HTTP/1.0, and a client that closes its own end behind its request."""
        port = await self.begin(TAIL)
        client = await self.connect(port)
        client.write(b"GET " + PATH.encode() + b" HTTP/1.0\r\n\r\n")
        self.assertTrue((await client.end()).partition(b"\r\n\r\n")[2] == self.octets)
        client = await self.connect(port)
        client.write(get(PATH))
        client.transport.loseWriteConnection()  # type: ignore[union-attr]
        self.assertTrue((await client.end()).partition(b"\r\n\r\n")[2] == self.octets)
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Served, Served])

    async def test_not_in_memory(self) -> None:
        """What the kernel has not in memory is fetched in a thread first, once for megabytes."""
        port = await self.begin(2 * TAIL)
        fetched: list[Callable[[], None]] = []

        def in_thread(work: Callable[[], None]) -> Deferred[None]:
            fetched.append(work)
            return deferToThread(work)

        self.site.in_thread = in_thread
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        client = await self.connect(port)
        self.assertTrue((await client.ask(get(PATH))).body == self.octets)
        self.assertLess(len(fetched), 8)


class FileTests(DirectCase):
    """What happens to the file meanwhile: the right octets, or no whole body."""

    async def meanwhile(self, change: Callable[[], None], size: int) -> bytes:
        """What a slow client gets of a file of this size to which something happens when its answer has begun."""
        port = await self.begin(size)
        client = await self.slow(port)
        change()
        client.resume()
        await client.until(lambda: body_of(client) == size)
        got = bytes(client.received.partition(b"\r\n\r\n")[2])
        if len(got) == size:
            self.assertTrue(got == self.octets, f"wrong octets of the right length {size}")
        await self.outcome()
        self.check_closed()
        return got

    async def test_written_into(self) -> None:
        """Other octets of the same length, in a file of any size, sent or not."""
        for size in (COPIED, 3 * COPIED, SLICE, TAIL, TAIL + SLICE, 3 * TAIL, 8 * TAIL):

            def change() -> None:
                with self.path.open("r+b") as file:
                    file.write(self.octets[::-1])

            await self.meanwhile(change, size)
        self.assertIsInstance(self.outcomes[-1], Aborted, "the largest cannot have been sent before")
        self.assertIn("the file was changed", self.outcomes[-1].summary())

    async def test_truncated(self) -> None:
        got, size = b"", 0
        for size in (3 * COPIED, TAIL + SLICE, 8 * TAIL):
            got = await self.meanwhile(lambda size=size: os.truncate(self.path, size // 2), size)  # type: ignore[misc]
        self.assertLess(len(got), size)
        self.assertIsInstance(self.outcomes[-1], Aborted)

    async def test_deleted_and_replaced(self) -> None:
        """Then the old octets are sent to the end."""

        def replace() -> None:
            other = self.path.with_suffix(".new")
            other.write_bytes(self.octets[::-1])
            other.replace(self.path)

        def delete() -> None:
            self.path.unlink()

        for change in (delete, replace):
            self.assertEqual(len(await self.meanwhile(change, 8 * TAIL)), 8 * TAIL)
            self.assertIsInstance(self.outcomes[-1], Served)


class ClientTests(DirectCase):
    """What clients do."""

    async def test_resets(self) -> None:
        """The file is closed, and the line says how much it took."""
        port = await self.begin(8 * TAIL)
        client = await self.slow(port)
        client.abort()
        outcome = await self.outcome()
        self.assertIsInstance(outcome, Aborted)
        self.assertLess(outcome.octets, 8 * TAIL)
        self.check_closed()

    async def test_takes_nothing(self) -> None:
        """It is cut off, and what stays in the socket's queue does not count as sent."""
        clock = Clock()
        port = await self.begin(8 * TAIL, limits=LimitSettings(stall_time=10.0))
        self.site.clock, self.site.now = clock, clock.seconds
        client = await self.slow(port)
        await self.until(lambda: self.site.connections == 1)
        taken = len(client.received)
        for _ in range(12):
            clock.advance(1)
        outcome = await self.outcome()
        self.assertIsInstance(outcome, Aborted)
        self.assertIn("it took nothing for 10 s", outcome.summary())
        self.assertLess(outcome.octets, taken + (4 << 20))
        self.check_closed()
        client.resume()
        await client.end()

    async def test_turns(self) -> None:
        """A small file is answered while a large one is on its way."""
        port = await self.begin(64 << 20, is_final=True)
        large = await self.connect(port)
        large.write(get(PATH))
        await large.until(lambda: bool(large.received))
        small = await self.connect(port)
        self.assertEqual((await small.ask(get("/healthz"))).body, b"ok\n")
        self.assertLess(len(large.received), 64 << 20)
        self.assertTrue((await large.response()).body == self.octets)

    async def test_bandwidth(self) -> None:
        """No more goes than is allowed, and the rest when it is time."""
        clock = Clock()
        port = await self.begin(TAIL, limits=LimitSettings(bandwidth=1 << 20))
        self.site.clock, self.site.now = clock, clock.seconds
        client = await self.connect(port)
        client.write(get(PATH))
        for _ in range(200):
            for _ in range(10):
                await deferLater(reactor, 0)
            self.assertLess(len(client.received), (1 + clock.seconds()) * (1 << 20) + 1000)
            if body_of(client) == TAIL:
                break
            clock.advance(0.05)
        self.assertTrue(3 < clock.seconds() < 5, clock.seconds())
        self.assertTrue((await client.response()).body == self.octets)


def octets(size: int) -> bytes:
    """So many, no two blocks alike."""
    block = b"".join(hashlib.sha512(struct.pack("Q", n)).digest() for n in range(1024))
    return b"".join(struct.pack("Q", n) + block[8:] for n in range(-(-size // len(block))))[:size]


def body_of(client: Client) -> int:
    """How much of a body a client has."""
    return len(client.received) - client.received.find(b"\r\n\r\n") - 4
