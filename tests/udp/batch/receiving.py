"""How datagrams arrive by the batch, whichever way that is done."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from pixelboot.udp.batch.path import Path, Peer, address_of, named, octets, place
from pixelboot.udp.batch.plain import SLOT
from tests.udp.batch.calls import CallsCase, made


class ReceiveTests(CallsCase):
    """In."""

    def test_receive(self) -> None:
        """It is told who spoke; what is too long is cut, and nothing of it is taken for the next."""
        self.assertIsNone(self.calls.receive())
        sizes = (0, 1, 3, 4, 5, 516, SLOT - 1, SLOT, SLOT + 1, 5000, 4, 0, 65000, 4)
        sent = [(number % 2, datagram) for number, datagram in enumerate(made(sizes))]
        for which, datagram in sent:
            (self.one, self.other)[which].sendto(datagram, self.address())
        peers = named(self.one.getsockname()), named(self.other.getsockname())
        arrived = self.arrivals(self.calls, len(sent))
        self.assertEqual(arrived, [(datagram[:SLOT], peers[which], b"") for which, datagram in sent])
        self.assertIsNone(self.calls.receive())

    def test_many(self) -> None:
        """Some at a time, in order; each is itself when all have come."""
        sent = [number.to_bytes(4) + bytes(number) for number in range(150)]
        for datagram in sent:
            self.one.sendto(datagram, self.address())
        first = list(self.calls.receive() or ())
        self.assertEqual(len(first), 64)
        self.assertEqual([datagram for datagram, *_ in first + self.arrivals(self.calls, 86)], sent)

    def places(self) -> Iterator[tuple[str, str, bool]]:
        """What can be asked, what of it is ours, and whether everybody was."""
        if self.here.version == 6:
            yield str(self.here), str(self.here), False
            return
        for address in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
            yield address, address, False
        yield "127.255.255.255", "127.0.0.1", True

    def test_told(self) -> None:
        """Where each datagram arrived, in one batch of several; what is sent back comes from there."""
        calls = self.calls = self.on(self.opened, told=True)
        asked = [*self.places()] * 3
        for address, *_ in asked:
            self.one.sendto(b"hello", self.address(address))
        arrived = self.arrivals(calls, len(asked))
        found = [place(told) for _, _, told in arrived]
        self.assertEqual({each.interface for each in found}, {"lo"})
        self.assertEqual(
            [(str(each.local), each.to_everybody) for each in found], [(local, all_) for _, local, all_ in asked]
        )
        for each, (_, local, _) in zip(found, asked, strict=True):
            calls.send([b"hi"], Path(named(self.one.getsockname()), each.control))
            calls.flush()
            self.assertEqual(self.one.recvfrom(9)[1][:2], self.address(local))

    def test_closed(self) -> None:
        """That is an error, and not nothing."""
        self.opened.close()
        error = self.assertRaises(OSError, self.calls.receive)
        assert isinstance(error, OSError)
        self.assertEqual(error.errno, errno.EBADF)

    def test_who_spoke(self) -> None:
        """Whoever it is can be answered as he is named."""
        peer: Peer
        for client in (self.one, self.other):
            client.sendto(b"hello", self.address())
            [(_, peer, _)] = self.arrivals(self.calls, 1)
            self.assertEqual(address_of(octets(peer)), self.here)
            self.calls.send([b"hi"], Path(peer))
            self.calls.flush()
            self.assertEqual(client.recv(9), b"hi")
