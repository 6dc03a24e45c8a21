"""What all of the control channel has in common: requests are read within bounds, and answers are JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from pixelboot.boot.seam import ChoiceFailed
from pixelboot.malformed import Malformed

BODY_LIMIT = 32768
"""Octets of a request's body."""

Turn = Callable[[], Awaitable[object]]
"""Lets the reactor do what else it has to do."""


class Streamed:
    """JSON of which there may be too much to write it in one go: pieces, each made when the one before it is taken."""

    def __init__(self, pieces: Iterator[bytes], turn: Turn) -> None:
        """The reactor has a `turn` behind every piece."""
        self._pieces = pieces
        self._turn = turn
        self._ready: Deferred[None] | None = None

    async def send(self, request: Request) -> None:
        """Send all of it; whoever takes it may be slow, or be cancelled."""
        request.registerProducer(self, True)
        for piece in self._pieces:
            request.write(piece)
            await self._turn()
            if self._ready is not None:
                await self._ready
        request.unregisterProducer()
        request.finish()

    def pauseProducing(self) -> None:
        """See `twisted.internet.interfaces.IPushProducer`."""
        if self._ready is None:
            self._ready = Deferred()

    def resumeProducing(self) -> None:
        """See `twisted.internet.interfaces.IPushProducer`."""
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.callback(None)

    def stopProducing(self) -> None:
        """Nobody takes it any more: who sends it is told so by the request."""


Answer = tuple[int, Mapping[str, object] | bytes | Streamed]
"""The status code, and what is told: values for JSON, or JSON."""

Telling = Callable[[Request], Coroutine[Deferred[Any], Any, Answer]]
"""Does what a request asks for, and tells of it; raises `Malformed` or `ChoiceFailed` for what cannot be."""

_log = Logger(namespace="pixelboot.control")


class Told:
    """One resource, by what can be done with it."""

    def __init__(
        self,
        *,
        get: Telling | None = None,
        post: Telling | None = None,
        put: Telling | None = None,
        patch: Telling | None = None,
        delete: Telling | None = None,
    ) -> None:
        known = {b"GET": get, b"HEAD": get, b"POST": post, b"PUT": put, b"PATCH": patch, b"DELETE": delete}
        self._by_method = {method: telling for method, telling in known.items() if telling is not None}
        self.methods = tuple(self._by_method)
        """What can be done."""

    def answer(self, request: Request) -> None:
        """Do it with a request of one of these methods; what cannot be is told with the reason."""

        async def telling() -> Answer:
            try:
                return await self._by_method[request.method](request)
            except Malformed as problem:
                return 400, {"error": str(problem)}
            except ChoiceFailed as problem:
                return 503, {"error": str(problem)}

        answer(request, telling(), changes=request.method not in (b"GET", b"HEAD"))


def body_of(request: Request) -> dict[str, object]:
    """The JSON object that a request brings; `Malformed` for anything else."""
    octets = request.content.read(BODY_LIMIT + 1) if request.content is not None else b""
    if len(octets) > BODY_LIMIT:
        raise Malformed(f"a body has at most {BODY_LIMIT} octets")
    try:
        value = json.loads(octets)
    except (ValueError, RecursionError):
        raise Malformed("the body must be JSON") from None
    if not isinstance(value, dict):
        raise Malformed("the body must be a JSON object")
    return value


def answer(request: Request, telling: Coroutine[Deferred[Any], Any, Answer], *, changes: bool = False) -> None:
    """Answer with what `telling` comes to.

    Whoever asked may hang up first: then what is told is cancelled, but not what changes something, and nobody hears.
    """
    finished = request.notifyFinish()

    async def tell() -> None:
        code, body = await telling
        if finished.called:
            return
        if isinstance(body, Streamed):
            _begin(request, code)
            await body.send(request)
        else:
            send(request, code, body)

    def failed(failure: Failure) -> None:
        if not finished.called or changes:
            _log.failure("a request on the control channel failed", failure)
        if not finished.called and request.startedWriting:
            request.loseConnection()  # only that says that there should be more
        elif not finished.called:
            send(request, 500, {"error": "see the server's log"})

    running = Deferred.fromCoroutine(tell())
    finished.addErrback(lambda _: None if changes else running.cancel())
    running.addErrback(failed)


def send(request: Request, code: int, body: Mapping[str, object] | bytes) -> None:
    """Answer now."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode() + b"\n"
    _begin(request, code)
    request.setHeader(b"content-length", str(len(octets)).encode())
    request.write(octets)
    request.finish()


def _begin(request: Request, code: int) -> None:
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"application/json")
