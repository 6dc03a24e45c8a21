"""The control channel: a running server is asked and told over HTTP on a Unix socket in its state folder.

Whoever can open the socket may use it; its mode and that of the folder keep it to the user of the server.

    GET  /api/v1/status   what runs, where it listens, leases, containers, counters
    POST /api/v1/stop     end the server
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

_log = Logger(namespace="pixelboot.control")


def control_resource(status: Callable[[], Awaitable[Mapping[str, object]]], stop: Callable[[], None]) -> Resource:
    """The whole control channel; `status` tells how things are, `stop` begins the end and returns at once."""
    return Control({b"/api/v1/status": Status(status), b"/api/v1/stop": Stop(stop)})


class Control(Resource):
    """Leads to the resources by their paths; whatever goes wrong is told in JSON too."""

    isLeaf = True

    def __init__(self, paths: Mapping[bytes, Status | Stop]) -> None:
        super().__init__()
        self._paths = paths

    def render(self, request: Request) -> int:
        """Answer any request."""
        found = self._paths.get(request.path)
        if found is None:
            _send(request, 404, {"error": "there is no such resource"})
        elif request.method not in found.methods:
            request.setHeader(b"allow", b", ".join(found.methods))
            _send(request, 405, {"error": "the resource does not know this method"})
        else:
            found.answer(request)
        return NOT_DONE_YET


class Status:
    """``GET /api/v1/status``."""

    methods = (b"GET", b"HEAD")

    def __init__(self, status: Callable[[], Awaitable[Mapping[str, object]]]) -> None:
        self._status = status

    def answer(self, request: Request) -> None:
        """Answer when all parts have told how they are."""
        finished = request.notifyFinish()

        async def tell() -> None:
            body = await self._status()
            if not finished.called:
                _send(request, 200, body)

        def failed(failure: Failure) -> None:
            if not finished.called:
                _log.failure("the status could not be told", failure)
                _send(request, 500, {"error": "see the server's log"})

        telling = Deferred.fromCoroutine(tell())
        # Whoever asked may hang up first: then nobody is told, whatever the cancelled parts still say.
        finished.addErrback(lambda _: telling.cancel())
        telling.addErrback(failed)


class Stop:
    """``POST /api/v1/stop``."""

    methods = (b"POST",)

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def answer(self, request: Request) -> None:
        """Say yes, then stop."""
        _send(request, 202, {"stopping": True})
        self._stop()


def _send(request: Request, code: int, body: Mapping[str, object]) -> None:
    octets = json.dumps(body).encode() + b"\n"
    request.setResponseCode(code)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", str(len(octets)).encode())
    request.write(octets)
    request.finish()
