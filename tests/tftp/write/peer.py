"""The other side of an upload: an obedient client, and a disk in memory."""

from __future__ import annotations

import heapq

from pixelboot.tftp import wire
from pixelboot.tftp.write.transfer import WriteTransfer
from tests.tftp.peer import MOST_EVENTS, Fate, perfect

WRITING = 0.002
"""Seconds that the disk takes."""


class Client:
    """Sends a file as RFC 1350, 2347 and 7440 say: datagrams and the time in, datagrams out.

    In windows the ACK of the block before the window, repeated, brings the window once more.  An `apprentice` sends its
    block again for every copy of an ACK, as clients did before RFC 1123 §4.2.3.1.
    """

    def __init__(
        self,
        octets: bytes,
        blksize: int = 512,
        windowsize: int = 1,
        *,
        rollover: int = 0,
        wait: float = 1.5,
        apprentice: bool = False,
    ) -> None:
        self.blocks = [octets[at : at + blksize] for at in range(0, len(octets) + 1, blksize)]
        """The blocks of the file; the last is shorter than the others, or empty."""
        self.windowsize = windowsize
        self.rollover = rollover
        self.wait = wait
        self.apprentice = apprentice
        self.done = False
        """Whether the last block was acknowledged."""
        self.error: wire.Error | None = None
        """The ERROR that was received."""
        self.deadline: float | None = wait
        self._base = -1  # The last block that was acknowledged; before the first answer, none was even sent.
        self._tries = 0
        self._answered = False  # Whether a repeated ACK has brought this window once more.

    def received(self, octets: bytes, now: float) -> list[bytes]:
        """A datagram of the server."""
        packet = wire.decode(octets)
        if isinstance(packet, wire.Error):
            self.error, self.deadline = packet, None
            return []
        block = packet.block if isinstance(packet, wire.Ack) else 0
        base = max(self._base, 0)
        steps = (block - base) % (65536 - self.rollover)
        if self.done or steps > self.windowsize:
            return []
        if self._base >= 0 and not steps and not self.apprentice:
            if self.windowsize == 1 or self._answered:
                return []
            self._answered = True
            return self._window(now)
        self._tries = 0
        self._answered = False
        self._base = base + steps
        self.done = self._base == len(self.blocks)
        return self._window(now)

    def expired(self, now: float) -> list[bytes]:
        """Nothing came in time: the window again, a few times."""
        self._tries += 1
        if self._tries > 20:
            self.deadline = None
            return []
        return self._window(now)

    def _window(self, now: float) -> list[bytes]:
        self.deadline = None if self.done else now + self.wait
        if self._base < 0:
            return []
        ahead = enumerate(self.blocks[self._base : self._base + self.windowsize], self._base + 1)
        return [wire.data(self._number(block), octets) for block, octets in ahead]

    def _number(self, block: int) -> int:
        return (block - 1) % 65535 + 1 if self.rollover else block % 65536


class Disk:
    """Takes what a transfer has, and says so a little later."""

    def __init__(self, transfer: WriteTransfer) -> None:
        self.octets = b""
        """What is written."""
        self.deadline: float | None = None
        """When what was taken is written."""
        self.held = 0
        """The most that a transfer had that was not written."""
        self._transfer = transfer
        self._last = False

    def look(self, now: float) -> None:
        """See whether there is something to write."""
        transfer = self._transfer
        if self.deadline is None and transfer.ending is None and (transfer.untaken or transfer.whole):
            self._last = transfer.whole
            self.held = max(self.held, transfer.untaken)
            self.octets += transfer.take()
            self.deadline = now + WRITING

    def expired(self, now: float) -> list[bytes]:
        """It is written."""
        self.deadline = None
        packets = self._transfer.stored(len(self.octets), now)
        return packets + self._transfer.kept(now) if self._last else packets


def dialogue(transfer: WriteTransfer, client: Client, fate: Fate = perfect) -> tuple[Disk, list[tuple[str, bytes]]]:
    """Let both talk until nothing is left to do; the disk, and everything that was sent, by whom, in order."""
    events: list[tuple[float, int, str, bytes]] = []
    said: list[tuple[str, bytes]] = []
    counts = {"server": 0, "client": 0}
    disk = Disk(transfer)
    now = 0.0

    def send(sender: str, packets: list[bytes]) -> None:
        for octets in packets:
            said.append((sender, octets))
            for delay in fate(sender, counts[sender], octets):
                receiver = "client" if sender == "server" else "server"
                heapq.heappush(events, (now + delay, len(said), receiver, octets))
            counts[sender] += 1
        disk.look(now)

    send("server", transfer.start(now))
    sides: dict[str, WriteTransfer | Client | Disk] = {"server": transfer, "client": client, "disk": disk}
    for _ in range(MOST_EVENTS):
        timers = [(side.deadline, name) for name, side in sides.items() if side.deadline is not None]
        if events and (not timers or events[0][0] <= min(timers)[0]):
            now, _, receiver, octets = heapq.heappop(events)
            send(receiver, (client if receiver == "client" else transfer).received(octets, now))
        elif timers:
            now, name = min(timers)
            send("client" if name == "client" else "server", sides[name].expired(now))
        else:
            return disk, said
    raise AssertionError(f"the dialogue does not end; {len(said)} packets, {transfer.ending}")
