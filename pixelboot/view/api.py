"""The control channel: a running server is asked and told over HTTP on a Unix socket in its state folder.

Whoever can open the socket may use it; its mode and that of the folder keep it to the user of the server.

    GET    /api/v1/status          what runs, where it listens, leases, containers, counters
    POST   /api/v1/stop            end the server
    GET    /api/v1/containers      all containers, what was decided about them, and what boots by itself
    GET    /api/v1/containers/ID   one of them
    PATCH  /api/v1/containers/ID   change some of its settings (RFC 7396: null for what holds unsaid)
    DELETE /api/v1/containers/ID   forget its settings
    GET    /api/v1/default         what boots by itself
    PUT    /api/v1/default         say what shall
    DELETE /api/v1/default         let the settings file say it
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from pixelboot.view.containers import Containers
from pixelboot.view.reply import Answer, Told, send


def control_resource(
    status: Callable[[], Awaitable[Mapping[str, object]]],
    stop: Callable[[], None],
    containers: Containers | None = None,
) -> Resource:
    """The whole control channel; `status` tells how things are, `stop` begins the end and returns at once.

    `containers` is where the server has some.
    """

    async def told(request: Request) -> Answer:
        return 200, await status()

    async def stopping(request: Request) -> Answer:
        request.notifyFinish().addBoth(lambda _: stop())  # whoever asked is told first
        return 202, {"stopping": True}

    return Control({b"/api/v1/status": Told(get=told), b"/api/v1/stop": Told(post=stopping)}, containers)


class Control(Resource):
    """Leads to the resources by their paths; whatever goes wrong is told in JSON too."""

    isLeaf = True

    def __init__(self, paths: Mapping[bytes, Told], containers: Containers | None = None) -> None:
        super().__init__()
        self._paths = paths
        self._containers = containers

    def render(self, request: Request) -> int:
        """Answer any request."""
        found = self._paths.get(request.path)
        if found is None and self._containers is not None:
            found = self._containers.at(request.path)
        if found is None:
            send(request, 404, {"error": "there is no such resource"})
        elif request.method not in found.methods:
            request.setHeader(b"allow", b", ".join(found.methods))
            send(request, 405, {"error": "the resource does not know this method"})
        else:
            found.answer(request)
        return NOT_DONE_YET
