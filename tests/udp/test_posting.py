"""Tests of `pixelboot.udp.port.UdpPort.post`."""

from __future__ import annotations

import contextlib  # not the name itself: trial would take it for warnings to suppress
import errno
import os
import socket

from pixelboot.datagram import Arrival, Destination
from pixelboot.udp.port import MOST_TOGETHER, UdpPort
from tests.udp.ports import HERE, NOT_OURS, PortCase

UDP_GRO = 104  # Datagrams that came as one are read as one (udp(7)).


class PostingTests(PortCase):
    """Replies that leave together."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[str] = []

    def post(self, octets: bytes, destination: Destination | None = None) -> None:
        """Post a datagram to the client, and note what is told of it."""
        self.port.post(octets, destination or self.to(HERE, HERE), lambda problem: self.told.append(str(problem)))

    def heard(self) -> list[bytes]:
        """What has reached the client."""
        self.client.setblocking(False)
        heard: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(heard) < 1000:
                heard.append(self.client.recv(100))
        return heard

    async def test_in_the_next_turn(self) -> None:
        """Nothing leaves before the turn is over, and then everything, in order."""
        for octets in (b"1", b"2", b"3"):
            self.post(octets)
        self.assertEqual((self.heard(), self.told), ([], []))
        await self.turns(1)
        self.assertEqual((self.heard(), self.told), ([b"1", b"2", b"3"], ["None"] * 3))

    def test_many(self) -> None:
        """So many do not wait for more."""
        for _ in range(MOST_TOGETHER):
            self.assertEqual(self.heard(), [])
            self.post(b"x")
        self.assertEqual(len(self.heard()), MOST_TOGETHER)

    async def test_while_reading(self) -> None:
        """What is answered at once leaves when everything was read that had arrived."""
        arrived = self.start(3)
        heard: list[list[bytes]] = []

        def received(octets: bytes, arrival: Arrival, port: UdpPort) -> None:
            heard.append(self.heard())
            self.post(octets)
            if len(heard) == 3:
                arrived.callback(None)

        self.port.start(received)
        for octets in (b"1", b"2", b"3"):
            self.client.sendto(octets, (str(HERE), self.number))
        await arrived
        await self.turns(1)
        self.assertEqual((heard, self.heard()), ([[], [], []], [b"1", b"2", b"3"]))

    async def test_told(self) -> None:
        """Each hears of its own datagram, and a failure is nobody else's."""
        self.post(b"1")
        self.post(b"2", self.to(HERE, NOT_OURS))
        self.post(b"3")
        await self.turns(1)
        self.assertEqual(self.heard(), [b"1", b"3"])
        self.assertEqual([self.told[0], self.told[2]], ["None", "None"])
        self.assertIn(os.strerror(errno.ENETUNREACH), self.told[1])

    async def test_a_mistake(self) -> None:
        """What cannot be sent at all is told in full, and the others leave."""
        self.post(b"1")
        for octets in (b"2", b"3"):
            self.post(octets, self.to(HERE, HERE)._replace(port=70_000))
        self.post(b"4")
        await self.turns(1)
        self.assertEqual((self.heard(), len(self.told)), ([b"1", b"4"], 4))
        self.assertTrue(all("OverflowError" in told for told in self.told[1:3]), self.told)
        self.assertEqual(len(self.flushLoggedErrors(OverflowError)), 2)

    async def test_who_is_told_fails(self) -> None:
        """That is logged, and what was posted behind it is sent and told."""

        def told(problem: OSError | None) -> None:
            raise ZeroDivisionError

        self.port.post(b"1", self.to(HERE, HERE), told)
        self.post(b"2")
        await self.turns(1)
        self.assertEqual((self.heard(), self.told), ([b"1", b"2"], ["None"]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_alike(self) -> None:
        """Each is a datagram all the way: relays that read frames do not see what the kernel cuts later on."""
        self.client.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        for octets in (b"1a", b"1b", b"1c"):
            self.post(octets)
        await self.turns(1)
        self.assertEqual((self.heard(), self.told), ([b"1a", b"1b", b"1c"], ["None"] * 3))

    def test_stop(self) -> None:
        """What was posted is sent before the port is closed; later nothing is, and that is told."""
        self.post(b"1")
        self.port.stop()
        self.assertEqual((self.heard(), self.told), ([b"1"], ["None"]))
        self.post(b"2")
        self.port.stop()
        self.assertIn("is closed", self.told[1])

    async def test_posted_by_who_is_told(self) -> None:
        """Who is told of a datagram may post the next one."""
        self.port.post(b"1", self.to(HERE, HERE), lambda problem: self.post(b"2"))
        await self.turns(2)
        self.assertEqual((self.heard(), self.told), ([b"1", b"2"], ["None"]))
