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
    GET    /api/v1/hosts           the machines of which something is said: what each boots, and who says so
    GET    /api/v1/hosts/KEY       one of them, by its hardware address or UUID
    PATCH  /api/v1/hosts/KEY       choose what it boots
    DELETE /api/v1/hosts/KEY       forget what was chosen for it
    GET    /api/v1/leases          all leases, or those that the query asks for
    POST   /api/v1/leases          take over leases of another server
    GET    /api/v1/leases/ADDRESS  one of them
    DELETE /api/v1/leases/ADDRESS  set it free
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from pixelboot.view.reply import Answer, Told, send


class Subject(Protocol):
    """What there is on the channel about one subject: containers, hosts, leases."""

    def at(self, path: bytes) -> Told | None:
        """What is at this path, if anything is."""


def control_resource(
    status: Callable[[], Awaitable[Mapping[str, object]]],
    stop: Callable[[], None],
    *subjects: Subject | None,
) -> Resource:
    """The whole control channel; `status` tells how things are, `stop` begins the end and returns at once.

    `subjects` are those that there are; None of those that this server has not.
    """

    async def told(request: Request) -> Answer:
        return 200, await status()

    async def stopping(request: Request) -> Answer:
        request.notifyFinish().addBoth(lambda _: stop())  # whoever asked is told first
        return 202, {"stopping": True}

    return Control(
        {b"/api/v1/status": Told(get=told), b"/api/v1/stop": Told(post=stopping)}, [each for each in subjects if each]
    )


class Control(Resource):
    """Leads to the resources by their paths; whatever goes wrong is told in JSON too."""

    isLeaf = True

    def __init__(self, paths: Mapping[bytes, Told], subjects: Sequence[Subject] = ()) -> None:
        super().__init__()
        self._paths = paths
        self._subjects = subjects

    def render(self, request: Request) -> int:
        """Answer any request."""
        found = self._paths.get(request.path)
        if found is None:
            found = next((told for each in self._subjects if (told := each.at(request.path)) is not None), None)
        if found is None:
            send(request, 404, {"error": "there is no such resource"})
        elif request.method not in found.methods:
            request.setHeader(b"allow", b", ".join(found.methods))
            send(request, 405, {"error": "the resource does not know this method"})
        else:
            found.answer(request)
        return NOT_DONE_YET
