"""Tests of `pixelboot.tftp.exchanges`: what runs, and what becomes of it; reading besides in ``test_protocol``."""

from __future__ import annotations

import os
import socket
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from pixelboot.library.tree import Absent, Asker
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from pixelboot.tftp import wire
from pixelboot.tftp.client.client import Refused, download, upload
from pixelboot.tftp.exchanges import FIRST_LOOK, OPENING_TIME
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.outcomes import Refused as WasRefused
from pixelboot.tftp.outcomes import Uploaded
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.service import TftpService
from pixelboot.tftp.settings import TftpSettings, WriteSettings
from pixelboot.tftp.write.transfer import WriteTransfer
from tests.tftp.network import NetworkCase, host, rrq

reactor = cast("Any", _reactor)

HERE = "127.0.0.1"


class WheelTests(NetworkCase):
    """What is looked at, and when."""

    def test_a_lost_block_soon_after_the_beginning(self) -> None:
        """The first round trip shortens the wait: 0.1 s after it the block comes again, not after a second."""
        self.lan.request(rrq("large"), host(5))
        self.lan.clock.advance(0.002)
        self.lan.say(wire.ack(1), host(5))
        self.lan.clock.advance(FIRST_LOOK)
        self.lan.clock.advance(0.01)
        blocks = [packet.block for packet in self.lan.said_to(host(5)) if isinstance(packet, wire.Data)]
        self.assertEqual(blocks, [1, 2, 2])

    def test_a_file_that_never_opens(self) -> None:
        """Its client is told, and nothing is left."""
        self.lan.request(rrq("slow"), host(5))
        self.lan.clock.advance(OPENING_TIME + 1)
        self.assert_error(0, host(5))
        self.assert_over("Broken")


class UploadTests(TestCase):
    """Files that clients leave at a running service."""

    timeout = 20

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []
        self.root = self.mktemp()
        os.makedirs(f"{self.root}/dumps")
        write = WriteSettings(folder="dumps", largest=1 << 20, free=0)
        settings = TftpSettings(port=0, address6="", write=(write,))
        self.service = TftpService(reactor, settings, self, self.outcomes.append, lambda _: None, self.root)
        self.service.startService()
        self.addCleanup(self.stop)

    def stop(self) -> Deferred[None]:
        """End the service."""
        return self.service.stopService()

    def at_hand(self, name: str, asker: Asker, asked_at: float) -> Payload | None:
        """Nothing can be read."""
        raise Absent(name)

    async def open(self, name: str, asker: Asker) -> Payload:
        """Nothing can be read."""
        raise Absent(name)

    async def test_t37_kept(self) -> None:
        """In lock-step and in windows, whole and under its name; the outcome comes at once, and only once."""
        for name, blksize, windowsize in (("a", None, None), ("b", 1468, 16), ("c", 65464, None)):
            octets = os.urandom(300_000)
            port = self.service.port
            await upload(reactor, HERE, f"dumps/{name}", octets, port=port, blksize=blksize, windowsize=windowsize)
            with open(f"{self.root}/dumps/{name}", "rb") as kept:
                self.assertEqual(kept.read(), octets)
            outcome = self.outcomes[-1]
            assert isinstance(outcome, Uploaded), outcome
            self.assertIn(f"dumps/{name} ", outcome.summary())
        await self.stop()
        self.assertEqual([type(outcome) for outcome in self.outcomes], [Uploaded] * 3)
        self.assertEqual(sorted(os.listdir(f"{self.root}/dumps")), ["a", "b", "c"])

    async def test_t37_lingering(self) -> None:
        """A file that is kept takes nobody's place, though its last ACK may still have to be repeated."""
        await self.stop()
        write = WriteSettings(folder="dumps", free=0)
        settings = TftpSettings(port=0, address6="", write=(write,), transfers=2, transfers_per_client=1)
        self.service = TftpService(reactor, settings, self, self.outcomes.append, lambda _: None, self.root)
        self.service.startService()
        for name in ("a", "b", "c", "d"):
            await upload(reactor, HERE, f"dumps/{name}", b"octets", port=self.service.port)
            self.assertEqual((type(self.outcomes[-1]), self.service.transfers), (Uploaded, 0))
        await self.stop()
        self.assertEqual((len(self.outcomes), self.service.transfers), (4, 0))

    async def test_t37_refused(self) -> None:
        """Names that are taken or lie elsewhere, and files that are too large; nothing is left of them."""
        await upload(reactor, HERE, "dumps/a", b"first", port=self.service.port)
        for name, size, code in (("dumps/a", 5, 6), ("elsewhere", 5, 2), ("dumps/../a", 5, 2), ("dumps/b", 2 << 20, 3)):
            with self.assertRaises(Refused) as caught:
                await upload(reactor, HERE, name, bytes(size), port=self.service.port)
            self.assertEqual(caught.exception.ending.code, code, name)
            self.assertIsInstance(self.outcomes[-1], WasRefused)
        await self.stop()
        self.assertEqual(os.listdir(f"{self.root}/dumps"), ["a"])
        with open(f"{self.root}/dumps/a", "rb") as kept:
            self.assertEqual(kept.read(), b"first")

    async def test_t37_silent(self) -> None:
        """A client that asks and then says nothing costs a few packets."""
        transfer = WriteTransfer("dumps/a", Terms(), Patience(retries=8, unheard=3), most=100, size=None)
        packets = transfer.start(0.0)
        while transfer.deadline is not None:
            packets += transfer.expired(transfer.deadline)
        self.assertEqual([wire.opcode(packet) for packet in packets], [wire.Opcode.ACK] * 4 + [wire.Opcode.ERROR])

    async def test_t37_remap(self) -> None:
        """The rules for names hold for writing, too: those that are for writing, and those for all."""
        await self.stop()
        write = WriteSettings(folder="dumps", free=0)
        settings = TftpSettings(
            port=0, address6="", write=(write,), remap=("r ^core/ dumps/", "aP ^dumps/secret", "rG ^dumps/ elsewhere/")
        )
        self.service = TftpService(reactor, settings, self, self.outcomes.append, lambda _: None, self.root)
        self.service.startService()
        await upload(reactor, HERE, "core/a", b"octets", port=self.service.port)
        self.assertEqual(os.listdir(f"{self.root}/dumps"), ["a"])
        with self.assertRaises(Refused) as caught:
            await upload(reactor, HERE, "dumps/secret", b"octets", port=self.service.port)
        self.assertEqual(caught.exception.ending.code, 2)

    async def test_t37_stop(self) -> None:
        """A client in the middle of a file is told that the server stops, and nothing of the file is left."""
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.bind((HERE, 0))
        client.setblocking(False)
        arrived: Deferred[bytes] = Deferred()

        def read() -> None:
            try:
                octets, sender = client.recvfrom(600)
            except BlockingIOError:
                reactor.callLater(0.001, read)
                return
            client.sendto(wire.data(1, bytes(512)), sender)
            arrived.callback(octets)

        client.sendto(b"\0\2dumps/a\0octet\0", (HERE, self.service.port))
        read()
        self.assertEqual(await arrived, wire.ack(0))
        await self.stop()
        said: list[bytes] = []
        while not said or wire.opcode(said[-1]) != wire.Opcode.ERROR:
            said.append(client.recv(600))
        self.assertIn(b"the server is stopping", said[-1])
        self.assertEqual(os.listdir(f"{self.root}/dumps"), [])

    async def test_t08_read(self) -> None:
        """What cannot be read is told as ever."""
        with self.assertRaises(Refused) as caught:
            await download(reactor, HERE, "dumps/a", port=self.service.port)
        self.assertEqual(caught.exception.ending.code, 1)
