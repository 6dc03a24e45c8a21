"""Tests of `pixelboot.http.connection.outlet.copying`: the right octets, no faster than they are taken, and an end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.http.connection.outlet.copying import BLOCK
from pixelboot.http.connection.settings import LimitSettings
from pixelboot.http.outcomes import Aborted, Exchange, Served
from pixelboot.library.file import FilePayload
from pixelboot.outcome import Outcome
from tests.http.shelf import INITRD, HttpCase, Octets, Shelf, connected, get, site

STALL_TIME = LimitSettings().stall_time
INITRD_PATH = "/containers/demo/initrd"


class InMemoryTests(SynchronousTestCase):
    """A transport that is full after every write, and a clock moved by hand."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.outcomes: list[Outcome] = []
        self.shelf = Shelf()
        self.site = site(self.shelf, self.outcomes, self.clock)
        self.channel, self.transport = connected(self.site)

    def tearDown(self) -> None:
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def outcome(self) -> Exchange:
        """The only one."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, Exchange)
        return outcome

    def body(self) -> bytes:
        """What was written behind the head."""
        body: bytes = self.transport.value().partition(b"\r\n\r\n")[2]
        return body

    def test_one_block_at_a_time(self) -> None:
        """Nothing is written while the transport is full, and everything in the end."""
        self.channel.dataReceived(get(INITRD_PATH))
        for blocks in range(1, -(-len(INITRD) // BLOCK) + 1):
            self.assertEqual(self.body(), INITRD[: blocks * BLOCK], blocks)
            self.assertEqual((self.outcomes, self.shelf.initrd.closed), ([], 0))
            self.clock.advance(1)
            self.transport.drain()
        outcome = self.outcome()
        self.assertIsInstance(outcome, Served)
        self.assertEqual((outcome.octets, outcome.seconds), (len(INITRD), 5.0))
        self.assertEqual(self.shelf.initrd.closed, 1)
        self.channel.dataReceived(get("/healthz"))
        self.assertTrue(self.transport.value().endswith(b"\r\n\r\nok\n"))

    def test_h31_exact_octets(self) -> None:
        """A range that crosses blocks and begins in the middle of one."""
        self.channel.dataReceived(get(INITRD_PATH, f"Range: bytes=5-{BLOCK + 5}"))
        self.transport.drain()
        self.transport.drain()
        self.assertEqual(self.body(), INITRD[5 : BLOCK + 6])
        self.assertIsInstance(self.outcome(), Served)

    def test_the_payload_gets_shorter(self) -> None:
        """The length is promised: the connection is broken off rather than filled up or ended well."""
        self.channel.dataReceived(get(INITRD_PATH))
        self.shelf.initrd.octets = INITRD[: BLOCK + 10]
        self.transport.drain()
        self.assertEqual(self.body(), INITRD[:BLOCK], "no part of a block that cannot be whole")
        self.assertTrue(self.transport.aborted)
        outcome = self.outcome()
        self.assertIsInstance(outcome, Aborted)
        self.assertEqual((outcome.octets, self.shelf.initrd.closed), (BLOCK, 1))

    def test_the_payload_breaks(self) -> None:
        self.channel.dataReceived(get(INITRD_PATH))
        self.shelf.initrd.error = OSError(5, "Input/output error")
        self.transport.drain()
        self.assertTrue(self.transport.aborted)
        self.assertIsInstance(self.outcome(), Aborted)
        self.assertIn("Input/output error", self.outcome().summary())
        self.assertEqual(self.shelf.initrd.closed, 1)

    def test_the_file_is_written_into(self) -> None:
        """As long as before, and no longer what the entity tag says: broken off, and nothing of it is sent."""
        path = Path(self.mktemp())
        path.write_bytes(INITRD)
        os.utime(path, (1, 1))
        payload = FilePayload(os.open(path, os.O_RDONLY), "image/png", 1.0, "ab" * 32)
        self.shelf.initrd = payload  # type: ignore[assignment]
        self.channel.dataReceived(get(INITRD_PATH))
        with path.open("r+b") as file:
            file.write(INITRD[::-1])
        self.transport.drain()
        self.assertEqual(self.body(), INITRD[:BLOCK])
        self.assertTrue(self.transport.aborted)
        self.assertIsInstance(self.outcome(), Aborted)
        self.assertIn("the file was changed while it was read", self.outcome().summary())
        self.assertIsNone(payload.fileno(), "closed")

    def test_a_client_that_takes_nothing(self) -> None:
        """It may be slow, but not stand still for `STALL_TIME`."""
        self.channel.dataReceived(get(INITRD_PATH))
        for _ in range(2):
            self.clock.advance(STALL_TIME - 1)
            self.transport.drain()
            self.assertFalse(self.transport.aborted)
        self.clock.advance(STALL_TIME)
        self.assertTrue(self.transport.aborted)
        outcome = self.outcome()
        self.assertIsInstance(outcome, Aborted)
        self.assertEqual((outcome.octets, self.shelf.initrd.closed), (2 * BLOCK, 1))

    def test_the_client_goes(self) -> None:
        """In the middle of the body, and while it waits for one."""
        self.channel.dataReceived(get(INITRD_PATH))
        self.transport.drain()
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.assertIsInstance(self.outcome(), Aborted)
        self.assertEqual((self.outcome().octets, self.shelf.initrd.closed), (BLOCK, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

        del self.outcomes[:]
        self.shelf.decoding = Deferred()
        self.channel, self.transport = connected(self.site)
        self.channel.dataReceived(get(INITRD_PATH))
        self.channel.connectionLost(Failure(ConnectionLost()))
        self.assertIsInstance(self.outcome(), Aborted)
        self.assertEqual((self.outcome().status, self.transport.value()), (0, b""))

    def test_the_client_goes_while_nobody_can_be_cancelled(self) -> None:
        """Then the payload comes too late, and is closed all the same."""
        waiting: list[Callable[[], None]] = []

        async def part(id: str, name: str) -> Octets:  # noqa: A002
            shielded: Deferred[None] = Deferred(lambda _: None)
            shielded.addErrback(lambda _: released)
            released: Deferred[None] = Deferred()
            waiting.append(lambda: released.callback(None))
            await shielded
            return self.shelf.initrd

        self.shelf.part = part  # type: ignore[method-assign]
        self.channel.dataReceived(get(INITRD_PATH))
        self.channel.connectionLost(Failure(ConnectionLost()))
        waiting[0]()
        self.assertIsInstance(self.outcome(), Aborted)
        self.assertEqual((self.shelf.initrd.closed, self.transport.value()), (1, b""))


class LoopbackTests(HttpCase):
    """Real sockets."""

    async def test_a_large_body(self) -> None:
        large = Octets(INITRD * 20)
        client = await self.connect(await self.serve(Shelf(initrd=large)))
        response = await client.ask(get(INITRD_PATH))
        self.assertTrue(response.body == large.octets)
        self.assertEqual(large.closed, 1)

    async def test_the_client_resets_in_the_middle(self) -> None:
        """The payload is closed, and the log says how much went out."""
        large = Octets(INITRD * 20)
        client = await self.connect(await self.serve(Shelf(initrd=large)))
        client.write(get(INITRD_PATH))
        await client.until(lambda: len(client.received) > BLOCK)
        client.transport.abortConnection()  # type: ignore[union-attr]
        ended: Deferred[None] = Deferred()
        large.close = lambda: ended.callback(None)  # type: ignore[method-assign]
        await ended
        (outcome,) = self.outcomes
        assert isinstance(outcome, Aborted)
        self.assertTrue(0 < outcome.octets < large.size, outcome.octets)

    async def test_a_truncated_payload(self) -> None:
        """The client sees a connection that broke, never a whole body of wrong octets."""
        large = Octets(INITRD * 20)
        large.octets = large.octets[:-1]
        client = await self.connect(await self.serve(Shelf(initrd=large)))
        client.write(get(INITRD_PATH))
        await client.end()
        self.assertLess(len(client.received.partition(b"\r\n\r\n")[2]), large.size)
        self.assertEqual(large.closed, 1)
