"""Who may have how much: every limit on requests and transfers, in one place.

What each bounds is in `pixelboot.tftp.limits`; this knows which exchange is where in its life.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import islice
from typing import Generic, Protocol, TypeVar

from pixelboot.tftp.limits.blksizes import ANOTHER, Blksizes, Cap
from pixelboot.tftp.limits.places import Displaced, Places, ceilings
from pixelboot.tftp.limits.rate import ANSWERS_PER_SECOND, BURST_TIME, Rate, Rates
from pixelboot.tftp.limits.sources import Source
from pixelboot.tftp.read.ending import Result
from pixelboot.tftp.read.transfer import ReadTransfer
from pixelboot.tftp.settings import TftpSettings


class Admitted(Hashable, Protocol):
    """An exchange, as far as limits go."""

    @property
    def source(self) -> Source:
        """Whom it is counted to."""

    @property
    def address(self) -> bytes:
        """The client's address, 4 or 16 octets."""

    @property
    def name(self) -> str:
        """The file that was asked for."""

    @property
    def reading(self) -> ReadTransfer | None:
        """Its transfer, where one runs that sends a file."""


E = TypeVar("E", bound=Admitted)

MOST_LOOKED_AT = 16
"""Transfers of a client among which an earlier one of the same file is looked for."""


class Admission(Generic[E]):
    """Lets exchanges in, and learns from what becomes of them."""

    def __init__(self, settings: TftpSettings, mtu_of: Callable[[str, float], int]) -> None:
        """`mtu_of` tells the MTU of an interface at a time."""
        self._places: Places[E] = Places(ceilings(settings))
        self.per_client = settings.requests_per_client
        """Requests that one client may make in a second."""
        self._requests = Rates(self.per_client, self.per_client * BURST_TIME)
        self._answers = Rate(ANSWERS_PER_SECOND, ANSWERS_PER_SECOND)
        self._blksizes = Blksizes(settings.blksize, settings.network)
        self._mtu_of = mtu_of

    def may_ask(self, source: Source, now: float) -> bool:
        """Whether one more request of this client is looked at; if so, it is counted."""
        return self._requests.allowed(source.client, now)

    def may_be_answered(self, now: float) -> bool:
        """Whether one more ERROR may go to somebody who has no exchange; if so, it is counted."""
        return self._answers.allowed(now)

    def asked(self, exchange: E, now: float) -> None:
        """A client asks for a file, perhaps because the first block did not reach it the last time."""
        for former in islice(self._places.half_open_by(exchange.source), MOST_LOOKED_AT):
            transfer = former.reading
            if transfer is None or transfer.first_at is None:
                continue
            if now - transfer.first_at < ANOTHER:
                break  # Nor has any of the others, which are younger, waited for long enough.
            if former is not exchange and former.name == exchange.name and former.address == exchange.address:
                self._blksizes.again(exchange.address, transfer.first_size, transfer.first_at, now)

    def enter(self, exchange: E, now: float) -> Displaced[E] | None:
        """Give a new exchange a place; returns which other one gave way to it.

        :raises pixelboot.tftp.limits.places.Full: if there is none.
        """
        return self._places.take(exchange, exchange.source, now)

    def cap(self, address: bytes, interface: str, now: float) -> Cap:
        """The largest block that the client may have, and why."""
        return self._blksizes.most(address, self._mtu_of(interface, now), now)

    def heard(self, exchange: E, now: float) -> None:
        """Its client has acknowledged something for the first time."""
        self._places.heard(exchange)
        if exchange.reading is not None and len(self._blksizes):
            self._blksizes.heard(exchange.address, exchange.reading.first_size, now)

    def left(self, exchange: E, now: float) -> None:
        """It is over."""
        self._places.leave(exchange)
        transfer = exchange.reading
        if transfer is None or transfer.is_heard or transfer.first_at is None or transfer.ending is None:
            return
        if transfer.ending.result is Result.TIMED_OUT:
            self._blksizes.unheard(exchange.address, transfer.first_size, now)
