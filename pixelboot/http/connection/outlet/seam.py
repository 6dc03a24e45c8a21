"""What a connection and its outlet are to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from pixelboot.http.connection.outlet.body import Body

Over = Callable[[int, str], None]
"""Called once when an answer is over: with the octets of the body that were sent, and why it is not whole, if so."""

GONE = "the client went away"
"""Why an answer is not whole most of the time."""


class Sending(Protocol):
    """What an outlet needs of its connection."""

    def moved(self) -> None:
        """Octets went: the client is not dead."""

    def in_turn(self, work: Callable[[], object]) -> object:
        """Do what the socket is ready for, and give what that gives, unless it is others' turn."""

    def grant(self, wanted: int) -> int:
        """How many octets may be sent now, at most `wanted`, as far as bandwidth is limited."""

    def refund(self, octets: int) -> None:
        """So many that were granted were not sent."""

    def again(self, resume: Callable[[], None]) -> IDelayedCall:
        """Have `resume` called when more may be sent."""

    def in_thread(self, work: Callable[[], None]) -> Deferred[None]:
        """Do what may take its time; fires later, on the reactor's own thread."""


class Outlet(Protocol):
    """A way out: sends one answer at a time."""

    def send(self, head: bytes, body: Body | None, over: Over) -> None:
        """Send; `over` is called when all of it is handed on, perhaps before this returns, or when it never will be."""

    def say(self, octets: bytes) -> None:
        """Send a few octets between answers, if they go at once."""

    def stop(self, why: str) -> None:
        """Send no more of the answer that is being sent, if there is one; its `Over` is told why."""
