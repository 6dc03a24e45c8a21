"""The life of one exchange: what a request asks for is got, its answer decided and sent, and its outcome reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource

from pixelboot.http.channel import BootRequest, address_text
from pixelboot.http.plan import (
    Aborted,
    Exchange,
    Failed,
    Header,
    Refused,
    Representation,
    RequestHead,
    ResponsePlan,
    Served,
    plan,
    refusal,
    refused_method,
)
from pixelboot.http.send import Stalled, Transfer, Truncated
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload

RETRY: Header = ("Retry-After", "1")
"""With 503.  iPXE obeys whole seconds and takes anything else for 5."""

Provide = Callable[[BootRequest], Awaitable[Payload]]
"""How a page gets what it shows: a payload, or a `NotHere`."""


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


class NotHere(Exception):
    """There is nothing to serve; the answer explains."""

    def __init__(self, status: int, reason: str, *headers: Header) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class Page(Resource):
    """One thing that can be asked for."""

    def __init__(self, shared: Shared, provide: Provide) -> None:
        super().__init__()
        self.shared = shared
        self._provide = provide

    def getChild(self, path: bytes, request: server.Request) -> Resource:
        """Below a page there is nothing, unless a derived class says otherwise."""
        return Page(self.shared, nothing)

    def render(self, request: BootRequest) -> int:
        """Begin the exchange; the answer comes when there is one."""
        _Running(self.shared, request, self._provide).start()
        return server.NOT_DONE_YET


class _Running:
    """One exchange from its request to its outcome."""

    def __init__(self, shared: Shared, request: BootRequest, provide: Provide) -> None:
        self._shared = shared
        self._request = request
        self._provide = provide
        self._began_at = shared.clock.seconds()
        self._status = 0
        self._transfer: Transfer | None = None
        self._over = False

    def start(self) -> None:
        """Answer; a client that goes away meanwhile cancels what is being done for it."""
        gone = self._request.notifyFinish()
        running = Deferred.fromCoroutine(self._answer())
        running.addErrback(self._broken)

        def cancel(_: Failure) -> None:
            if not self._over:
                self._over = True
                running.cancel()

        gone.addErrback(cancel)

    async def _answer(self) -> None:
        payload: Payload | None = None
        try:
            method = self._request.method.decode("latin-1")
            head = RequestHead.read(method, lambda name: self._request.requestHeaders.getRawHeaders(name, []))
            decided = refused_method(head)
            if decided is None:
                try:
                    payload = await self._provide(self._request)
                    decided = await self._plan(head, payload)
                except NotHere as error:
                    decided = refusal(head, error.status, error.reason, error.headers)
            await self._send(decided, payload)
            self._end(Served if decided.status < 400 else Refused if decided.status < 500 else Failed, decided.reason)
        except CancelledError:
            self._end(Aborted, "the client went away")
        except (Truncated, Stalled, OSError) as error:
            # The length is promised: only breaking off says that it was not kept.
            self._end(Aborted, str(error) or error.__class__.__name__)
            self._request.channel.abort()
        finally:
            if payload is not None:
                payload.close()

    async def _plan(self, head: RequestHead, payload: Payload) -> ResponsePlan:
        try:
            etag = await payload.etag()
        except OSError as error:
            raise NotHere(503, f"it cannot be read now: {error.strerror}", RETRY) from None
        about = Representation(payload.size, etag, payload.modified_at, payload.media_type)
        return plan(head, about, self._shared.wall(), self._shared.ranges)

    async def _send(self, decided: ResponsePlan, payload: Payload | None) -> None:
        if self._over:
            # The client went while somebody who cannot be cancelled worked for it.
            raise CancelledError
        request = self._request
        self._status = decided.status
        request.setResponseCode(decided.status)
        for name, value in decided.headers:
            request.responseHeaders.addRawHeader(name, value)
        if payload is not None and decided.spans:
            self._transfer = Transfer(request, payload, decided.spans, self._shared.clock)
            await self._transfer.run()
        elif decided.text:
            request.write(decided.text.encode())
        self._over = True
        request.finish()

    def _end(self, kind: type[Exchange], reason: str = "") -> None:
        self._over = True
        request = self._request
        seconds = self._shared.clock.seconds() - self._began_at
        self._shared.report(
            kind(
                machine=_machine(request, self._shared),
                peer=address_text(request.client),
                method=request.method.decode("latin-1"),
                target=request.uri.decode("latin-1"),
                status=self._status,
                octets=self._transfer.taken if self._transfer else request.sentLength,
                seconds=seconds,
                reason=reason,
            )
        )

    def _broken(self, failure: Failure) -> None:
        """A fault of ours: the log gets the traceback, the client five words."""
        self._over = True
        self._request.processingFailed(failure)
        self._status = 500
        self._end(Failed, failure.getErrorMessage())


async def nothing(request: BootRequest) -> Payload:
    """What a path provides under which there is nothing."""
    raise NotHere(404, "there is nothing here")


def named_machine(request: BootRequest) -> HardwareAddress | None:
    """The machine that the query of the request's URL names."""
    named = (request.args or {}).get(b"mac", [])
    try:
        return HardwareAddress.parse(named[0].decode("latin-1")) if named else None
    except Malformed:
        return None


def _machine(request: BootRequest, shared: Shared) -> HardwareAddress | None:
    """Whose request it is: the machine that has the address, else the one that the query names."""
    try:
        address = ip_address(address_text(request.client))
    except ValueError:
        return named_machine(request)
    if not isinstance(address, IPv4Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return named_machine(request)
        address = mapped
    return shared.machine_at(address) or named_machine(request)
