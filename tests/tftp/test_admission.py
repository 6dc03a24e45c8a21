"""Tests of `pixelboot.tftp.admission`, through a server in memory: what the limits are, `tests.tftp.limits` tests."""

from __future__ import annotations

from ipaddress import ip_network

from pixelboot.tftp import wire
from pixelboot.tftp.settings import NetworkSettings, TftpSettings
from tests.tftp.network import Network, NetworkCase, host, rrq


class BlockSizeTests(NetworkCase):
    """A first block that never arrives makes the next ones smaller."""

    def granted(self, address: str, port: int) -> list[str]:
        """The block sizes that this peer was granted."""
        said = self.lan.said_to(address, port)
        return [dict(packet.options)["blksize"] for packet in said if isinstance(packet, wire.OptionAck)]

    def begin(self, port: int, address: str = host(5), blksize: int = 1468) -> None:
        """A client asks for the large file and takes the options."""
        self.lan.request(rrq("large", blksize=blksize), address, port)
        self.lan.say(wire.ack(0), address, port)

    def test_t24_given_up(self) -> None:
        """A first block that nobody acknowledged: the next transfer has smaller ones, for a minute."""
        self.begin(2000)
        self.lan.settle(60.0)
        self.assertEqual(self.lan.kinds(), ["TimedOut"])
        self.begin(2001)
        self.assertEqual(self.granted(host(5), 2001), ["1428"])
        self.begin(2000, host(6))
        self.assertEqual(self.granted(host(6), 2000), ["1468"])

    def test_t24_asked_anew(self) -> None:
        """So does one that the client did not wait for, from another port or the same."""
        for former, port, blksize in ((2000, 2001, "1428"), (2001, 2002, "1024"), (2002, 2002, "512")):
            if former == 2000:
                self.begin(former)
            self.lan.settle(self.lan.clock.seconds() + 2.0)
            self.lan.sent.clear()
            self.begin(port)
            self.assertEqual(self.granted(host(5), port)[-1:], [blksize])

    def test_t24_said_why(self) -> None:
        """The outcome says why the blocks are small."""
        self.begin(2000)
        self.lan.settle(2.0)
        client = self.lan.download("large", host(5), 2001, blksize=1468)
        self.lan.settle()
        self.assertTrue(client.done)
        self.assertIn("blksize 1428 because 1468 was not acknowledged", self.lan.outcomes[-1].summary())

    def test_t24_an_acknowledged_one_is_no_reason(self) -> None:
        """A client that falls silent later has no trouble with the size."""
        self.begin(2000)
        self.lan.say(wire.ack(1), host(5), 2000)
        self.lan.settle(300.0)
        self.begin(2001)
        self.assertEqual(self.granted(host(5), 2001), ["1468"])

    def test_t24_network(self) -> None:
        """A network may have a ceiling of its own."""
        narrow = NetworkSettings(network=ip_network("10.77.0.0/30"), blksize=1024)
        self.lan = Network(TftpSettings(network=(narrow,)))
        for address, blksize in ((host(1), "1024"), (host(5), "1468")):
            self.begin(2000, address)
            self.assertEqual(self.granted(address, 2000), [blksize])


class RateTests(NetworkCase):
    """Requests that one client may make."""

    def test_throttled(self) -> None:
        """Beyond its rate a client is not heard, others are, and a little later it is again."""
        self.lan = Network(TftpSettings(requests_per_client=2))
        for number in range(20):
            self.lan.request(rrq("absent"), host(5), 3000 + number)
        self.assertEqual(self.lan.kinds(), ["NotFound"] * 8 + ["Throttled"] * 12)
        self.lan.request(rrq("absent"), host(6))
        self.assert_error(1, host(6))
        self.lan.clock.advance(0.5)
        self.lan.request(rrq("absent"), host(5), 4000)
        self.assertEqual(self.lan.kinds()[-2:], ["NotFound", "NotFound"])


class PlaceTests(NetworkCase):
    """Places of transfers whose client was not heard."""

    def test_gives_way(self) -> None:
        """Of silent clients the oldest goes, quietly; one that was heard stays."""
        self.lan = Network(TftpSettings(transfers=64, transfers_per_client=64))
        self.lan.request(rrq("large"), host(9))
        self.lan.say(wire.ack(1), host(9))
        for number in range(63):
            self.lan.request(rrq("large"), host(20 + number))
        self.lan.clock.advance(0.06)
        self.assertEqual(self.lan.kinds(), [])
        self.lan.request(rrq("small"), host(10))
        self.assertEqual(self.lan.kinds(), ["GaveWay"])
        self.assertEqual([type(packet) for packet in self.lan.said_to(host(20))], [wire.Data])
        self.assertEqual([type(packet) for packet in self.lan.said_to(host(10))], [wire.Data])
        self.assertEqual(self.lan.protocol.transfers(), 64)
