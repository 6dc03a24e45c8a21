"""Dialogues with a transfer, packet by packet, with a clock moved by hand."""

from __future__ import annotations

from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.tftp import wire
from pixelboot.tftp.negotiate import Terms
from pixelboot.tftp.patience import Patience
from pixelboot.tftp.read.ending import Ending
from pixelboot.tftp.read.transfer import ReadTransfer
from tests.tftp.peer import Held, reading

PATIENCE = Patience(first=1.0, floor=0.1, ceiling=8.0, retries=5, unheard=3)
ABC = b"aaaaaaaabbbbbbbbcc"
"""Three blocks of 8 octets at most."""


class Step(NamedTuple):
    """One thing that happens, and what is sent in answer."""

    now: float
    comes: str
    goes: str


def transfer(octets: bytes = ABC, terms: Terms | None = None, *, rollover: int = 0) -> ReadTransfer:
    """A transfer of these octets, in lock-step with blocks of 8 unless said otherwise."""
    return reading(Held(octets), terms or Terms(8), PATIENCE, rollover)


def agreed(windowsize: int = 1, timeout: float | None = None) -> Terms:
    """Terms that begin with an OACK."""
    return Terms(8, windowsize, timeout, agreed=(("blksize", "8"), ("tsize", "18")))


def shown(packets: list[bytes]) -> str:
    """Packets in short: ``1 2`` is DATA 1 and DATA 2."""
    words = []
    for octets in packets:
        packet = wire.decode(octets)
        assert isinstance(packet, wire.Data | wire.OptionAck | wire.Error), packet
        words.append({wire.OptionAck: "oack", wire.Error: "error"}.get(type(packet), str(getattr(packet, "block", ""))))
    return " ".join(words)


def coming(word: str) -> bytes:
    """A datagram of the client: a number is an ACK, ``e8`` an ERROR with code 8."""
    return wire.error(int(word[1:]), "User aborted") if word[0] == "e" else wire.ack(int(word))


class DialogueCase(SynchronousTestCase):
    """Plays tables of what comes and what goes."""

    def play(self, one: ReadTransfer, *steps: Step | tuple[float, str, str]) -> Ending | None:
        """``start`` and ``timer`` are calls of their own; everything else is a datagram.  Returns the ending."""
        for now, comes, goes in steps:
            if comes == "start":
                sent = one.start(now)
            elif comes == "timer":
                self.assertEqual(one.deadline and round(one.deadline, 6), now, steps)
                sent = one.expired(one.deadline or now)
            else:
                sent = one.received(coming(comes), now)
            self.assertEqual(shown(sent), goes, (now, comes))
            self.assertEqual(one.deadline is None, one.ending is not None, (now, comes))
        return one.ending
