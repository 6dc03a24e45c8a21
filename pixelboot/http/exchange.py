"""The life of one exchange: what a request asks for is got, its answer decided and sent, and its outcome reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.http.connection.channel import BootChannel
from pixelboot.http.connection.outlet.body import Body
from pixelboot.http.connection.outlet.seam import GONE
from pixelboot.http.message.request import Request
from pixelboot.http.outcomes import Aborted, Failed, Refused, Served
from pixelboot.http.outcomes import Exchange as ExchangeOutcome
from pixelboot.http.plan import (
    Header,
    Representation,
    RequestHead,
    ResponsePlan,
    plan,
    refusal,
    refused_method,
)
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload

RETRY: Header = ("Retry-After", "1")
"""With 503.  iPXE obeys whole seconds and takes anything else for 5."""

Provide = Callable[["Exchange"], "Payload | Awaitable[Payload]"]
"""How an exchange gets what it is about: a payload now, one later, or a `NotHere`."""

_log = Logger(namespace="pixelboot.http")


@dataclass(frozen=True, slots=True)
class Shared:
    """What every exchange of one service uses."""

    clock: IReactorTime
    """Measures durations."""

    wall: Callable[[], float]
    """The time of day, in seconds since 1970."""

    report: Callable[[Outcome], None]
    """Takes the outcome of every exchange."""

    machine_at: Callable[[IPv4Address], HardwareAddress | None]
    """Which machine has an address, as far as the DHCP service remembers."""

    ranges: bool = True
    """Whether parts of a file can be had; without, Range is ignored."""

    strict_ranges: bool = False
    """Whether a range that cannot be read is refused."""


class NotHere(Exception):
    """There is nothing to serve; the answer explains."""

    def __init__(self, status: int, reason: str, *headers: Header) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class Exchange:
    """One exchange, from its request to its outcome."""

    __slots__ = (
        "_channel",
        "_over",
        "_payload",
        "_plan",
        "_running",
        "_shared",
        "args",
        "began_at",
        "peer",
        "request",
    )

    def __init__(self, shared: Shared, request: Request, channel: BootChannel, args: Mapping[str, str]) -> None:
        """`args` are the parts of the path that the route leaves open, by their names in the table of routes."""
        self.request = request
        self.args = args
        self.peer = channel.peer
        self._shared = shared
        self._channel = channel
        self.began_at = shared.clock.seconds()
        """When the request came, by the clock that measures durations."""
        self._payload: Payload | None = None
        self._plan: ResponsePlan | None = None
        self._running: Deferred[None] | None = None
        self._over = False

    def run(self, provide: Provide) -> None:
        """Answer, at once where what is asked for is at hand."""
        head = RequestHead.read(self.request.method, self.request.fields)
        decided = refused_method(head)
        if decided is not None:
            self._respond(decided)
            return
        try:
            provided = provide(self)
            if isinstance(provided, Awaitable):
                self._wait(self._answer(head, provided))
                return
            self._payload = provided
            etag = provided.known_etag
            if etag is None:
                self._wait(self._answer_untagged(head, provided))
                return
            self._respond(self._planned(head, provided, etag))
        except NotHere as problem:
            self._respond(refusal(head, problem.status, problem.reason, problem.headers))
        except Exception:  # noqa: BLE001 - a fault of ours, which only the log is told
            self._broken(Failure())

    def _wait(self, answering: Coroutine[Deferred[Any], Any, None]) -> None:
        """Go on later; a client that goes away meanwhile cancels what is being done for it."""
        self._channel.gone = self._gone
        self._running = running = Deferred.fromCoroutine(answering)
        running.addErrback(self._broken)

    async def _answer(self, head: RequestHead, provided: Awaitable[Payload]) -> None:
        try:
            try:
                self._payload = payload = await provided
                decided = await self._tagged(head, payload)
            except NotHere as problem:
                decided = refusal(head, problem.status, problem.reason, problem.headers)
        except CancelledError:
            decided = None
        if decided is None or self._over:
            # The client went, perhaps while somebody who cannot be cancelled worked for it.
            self._close()
            return
        self._respond(decided)

    async def _answer_untagged(self, head: RequestHead, payload: Payload) -> None:
        async def there() -> Payload:
            return payload

        await self._answer(head, there())

    async def _tagged(self, head: RequestHead, payload: Payload) -> ResponsePlan:
        try:
            etag = await payload.etag()
        except OSError as error:
            raise NotHere(503, f"it cannot be read now: {error.strerror}", RETRY) from None
        return self._planned(head, payload, etag)

    def _planned(self, head: RequestHead, payload: Payload, etag: str | None) -> ResponsePlan:
        about = Representation(payload.size, etag, payload.modified_at, payload.media_type)
        return plan(head, about, self._shared.wall(), self._shared.ranges, self._shared.strict_ranges)

    def _respond(self, decided: ResponsePlan) -> None:
        self._plan = decided
        if decided.pieces:
            body: Body | None = Body(self._payload, decided.pieces)
        else:
            body = Body(None, (decided.text.encode(),)) if decided.text else None
        self._channel.respond(decided.status, decided.headers, body, self._sent)

    def _sent(self, octets: int, problem: str) -> None:
        """The answer is over, whole or not."""
        decided = self._plan
        assert decided is not None
        kind = Served if decided.status < 400 else Refused if decided.status < 500 else Failed
        self._end(Aborted if problem else kind, decided.status, octets, problem or decided.reason, decided.hint)
        self._close()

    def _gone(self) -> None:
        """The client went before there was an answer."""
        self._end(Aborted, 0, 0, GONE)
        if self._running is not None:
            self._running.cancel()

    def _broken(self, failure: Failure) -> None:
        """A fault of ours: the log gets the traceback, the client a line."""
        self._close()
        if self._over:
            _log.failure("what was done for a client that went away failed", failure)
            return
        self._end(Failed, 500, 0, failure.getErrorMessage())
        self._channel.fail(failure)

    def _close(self) -> None:
        payload, self._payload = self._payload, None
        if payload is not None:
            payload.close()

    def _end(self, kind: type[ExchangeOutcome], status: int, octets: int, reason: str, hint: str = "") -> None:
        self._over = True
        request, shared = self.request, self._shared
        shared.report(
            kind(
                self.machine,
                self.peer,
                request.method,
                request.target,
                status,
                octets,
                shared.clock.seconds() - self.began_at,
                reason,
                hint,
            )
        )

    @property
    def machine(self) -> HardwareAddress | None:
        """Whose request it is: the machine that has the address, else the one that the query names."""
        address = ipv4(self.peer)
        found = None if address is None else self._shared.machine_at(address)
        return found or self.named_machine

    @property
    def named_machine(self) -> HardwareAddress | None:
        """The machine that the query of the request's URL names."""
        if "?" not in self.request.target:
            return None
        try:
            named = self.request.parsed.query.get("mac")
            return HardwareAddress.parse(named[0]) if named else None
        except Malformed:
            return None


@lru_cache(4096)
def ipv4(peer: str) -> IPv4Address | None:
    """The IPv4 address of a client, also where an IPv6 socket tells it; None of any other."""
    try:
        address = ip_address(peer)
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped
