"""Tests of `pixelboot.view.containers`: real requests over a real socket, a library in memory, a real file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import succeed
from twisted.internet.endpoints import TCP4ServerEndpoint

from pixelboot.boot.seam import ContainerSettings
from pixelboot.http.connection.resources import Resources
from pixelboot.http.connection.site import BootSite
from pixelboot.http.service import HttpService
from pixelboot.http.shown import Shown
from pixelboot.outcome import Outcome
from pixelboot.state.containers import ChoicesFile, SqliteChoices
from pixelboot.state.outcomes import ChoiceMade
from pixelboot.view.api import control_resource
from pixelboot.view.containers import Containers
from pixelboot.view.reply import BODY_LIMIT
from tests.http.shelf import DEMO, HttpCase, Shelf, damaged

reactor = cast("Any", _reactor)

PLAIN = {"enabled": True, "name": "", "description": "", "order": None, "timeout": None, "arguments": ""}


class ContainersCase(HttpCase):
    """A control channel over a shelf with two containers."""

    async def setUp(self) -> None:  # type: ignore[override]
        self.path = os.path.abspath(self.mktemp())
        self.shelf = Shelf((damaged("broken", "it is no PNG"), DEMO))
        self.told: list[Outcome] = []
        self.store = SqliteChoices(ChoicesFile.open(self.path), reactor, self.told.append)
        shown = Shown("demo", 5.0, lambda: succeed(None))
        containers = Containers(self.shelf, self.store, shown, self.told.append)
        resource = control_resource(self.status, lambda: None, containers)
        # On a port, and not on a Unix socket, as the client of these tests knows no other; nothing here sees which.
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.service = HttpService([endpoint], BootSite(Resources(resource), self.fail, reactor))
        await self.service.listen()
        self.service.startService()
        self.addCleanup(self.service.stopService)

    async def status(self) -> Mapping[str, object]:
        """What the server tells of itself."""
        return {}

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of one request; `body` as JSON unless it is octets."""
        assert self.service.port is not None
        octets = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        client = await self.connect(self.service.port)
        head = f"{method} /api/v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(octets)}\r\n\r\n"
        response = await client.ask(head.encode() + octets)
        self.assertEqual(
            {key.lower(): value for key, value in response.headers.items()}["content-type"], "application/json"
        )
        return response.status, json.loads(response.body)

    def on_disk(self) -> Any:
        """What the next server would read."""
        return ChoicesFile.open(self.path).choices


class ContainersTests(ContainersCase):
    """What is told, and what is changed."""

    async def test_list(self) -> None:
        """All containers with their settings, what is not there beside them, and what boots by itself."""
        await self.store.change("demo", {"order": 3})
        await self.store.change("gone", {"name": "Old"})
        await self.store.choose_default("gone")
        status, told = await self.ask("GET", "containers")
        self.assertEqual((status, told["count"]), (200, 2))
        notice = "The default 'gone' is not offered; the default is the local disk."
        self.assertEqual(told["default"], {"choice": "gone", "site": "demo", "timeout": 5.0, "notice": notice})
        self.assertEqual(told["absent"], {"gone": {**PLAIN, "name": "Old"}})
        broken, demo = told["containers"]
        self.assertEqual((broken["id"], broken["state"], broken["settings"]), ("broken", "damaged", PLAIN))
        self.assertEqual((demo["id"], demo["offered"], demo["settings"]["order"]), ("demo", True, 3))

    async def test_none(self) -> None:
        self.shelf.containers = ()
        _, told = await self.ask("GET", "containers")
        self.assertEqual((told["containers"], told["absent"], told["count"]), ([], {}, 0))

    async def test_one(self) -> None:
        """One by its id, there or only spoken of."""
        await self.store.change("gone", {"name": "Old"})
        status, told = await self.ask("GET", "containers/demo")
        self.assertEqual((status, told["id"], told["present"], told["settings"]), (200, "demo", True, PLAIN))
        status, told = await self.ask("GET", "containers/gone")
        self.assertEqual(told, {"id": "gone", "settings": {**PLAIN, "name": "Old"}, "present": False})
        for path in ("containers/none", "containers/a%20b", "containers/%c3%a9"):
            self.assertEqual((await self.ask("GET", path))[0], 404, path)

    async def test_change(self) -> None:
        """Some settings change, others stay; null is what holds unsaid; who asked is told when it is on disk."""
        status, told = await self.ask("PATCH", "containers/demo", {"enabled": False, "order": 7})
        self.assertEqual((status, told["before"], told["present"]), (200, PLAIN, True))
        self.assertEqual(told["settings"], {**PLAIN, "enabled": False, "order": 7})
        self.assertEqual(self.on_disk().of("demo"), ContainerSettings(enabled=False, order=7))
        status, told = await self.ask("PATCH", "containers/demo", {"order": None})
        self.assertEqual(told["settings"], {**PLAIN, "enabled": False})
        status, told = await self.ask("PATCH", "containers/demo", {})
        self.assertEqual((status, told["before"]), (200, told["settings"]))
        status, told = await self.ask("DELETE", "containers/demo")
        self.assertEqual((status, told["before"]["enabled"], told["settings"]), (200, False, PLAIN))
        self.assertEqual(dict(self.on_disk().containers), {})
        self.assertEqual(
            [outcome.summary() for outcome in self.told],
            [
                "container demo: enabled true → false, order none → 7 (by the control channel)",
                "container demo: order 7 → none (by the control channel)",
                "container demo: enabled false → true (by the control channel)",
            ],
        )

    async def test_default(self) -> None:
        """Chosen, and given back to the settings file."""
        usual = {"choice": "", "site": "demo", "timeout": 5.0, "notice": None}
        self.assertEqual((await self.ask("GET", "default"))[1], usual)
        for choice in ("broken", "local", "shell"):
            status, told = await self.ask("PUT", "default", {"choice": choice})
            self.assertEqual((status, told["choice"]), (200, choice))
            self.assertEqual(told["notice"] is not None, choice == "broken", "machines boot something else")
            self.assertEqual(self.on_disk().default, choice)
            self.assertEqual(told["before"], {"broken": "", "local": "broken", "shell": "local"}[choice])
        self.assertEqual((await self.ask("DELETE", "default"))[1]["choice"], "")
        self.assertEqual(self.told[0], ChoiceMade("menu", (("default", "", "broken"),), "the control channel"))
        self.assertEqual((len(self.told), self.on_disk().default), (4, ""))

    async def test_default_that_does_not_boot(self) -> None:
        """Whoever disables it is told what machines will be; and of others nothing."""
        for path, body, told in (
            ("demo", {"enabled": False}, "The default 'demo' is not offered; the default is the local disk."),
            ("broken", {"enabled": False}, None),
            ("demo", {"enabled": True, "arguments": "quiet"}, None),
        ):
            self.assertEqual((await self.ask("PATCH", f"containers/{path}", body))[1]["notice"], told, body)

    async def test_what_is_not_there(self) -> None:
        """It is refused, unless it was spoken of before, or whoever asks says that it is meant."""
        for method, path, body in (
            ("PATCH", "containers/new", {"order": 1}),
            ("PATCH", "containers/new?anyway=no", {"order": 1}),
            ("DELETE", "containers/new", None),
            ("PUT", "default", {"choice": "new"}),
        ):
            status, told = await self.ask(method, path, body)
            self.assertEqual(status, 404, f"{method} {path}")
            self.assertIn("there is no container 'new'", told["error"])
        self.assertEqual((await self.ask("DELETE", "containers/new"))[1]["error"].count("anyway"), 0, "there is none")
        self.assertEqual((await self.ask("PUT", "default?anyway=yes", {"choice": "new"}))[0], 200)
        status, told = await self.ask("PATCH", "containers/new?anyway=yes", {"order": 1})
        self.assertEqual((status, told["present"]), (200, False))
        self.assertEqual((await self.ask("PATCH", "containers/new", {"order": 2}))[0], 200)
        status, told = await self.ask("DELETE", "containers/new")
        self.assertEqual((status, told["before"]["order"], told["present"]), (200, 2, False))
        await self.ask("PATCH", "containers/new?anyway=yes", {"order": 2})
        self.shelf.containers = (*self.shelf.containers, replace(DEMO, id="new", file_name="new.rts.png"))
        _, told = await self.ask("GET", "containers/new")
        self.assertEqual((told["present"], told["settings"]["order"]), (True, 2), "it holds for the picture that comes")

    async def test_bad_requests(self) -> None:
        """Each is refused with the reason, and changes nothing."""
        for method, path, body, status, why in (
            ("PATCH", "containers/demo", {"ordre": 1}, 400, "there is no setting 'ordre', only enabled, name, "),
            ("PATCH", "containers/demo", {"order": "1"}, 400, "order must be a whole number"),
            ("PATCH", "containers/demo", {"order": 1, "name": "a\nb"}, 400, "name must be one line"),
            ("PATCH", "containers/demo", b'{"timeout": NaN}', 400, "timeout must be seconds"),
            ("PATCH", "containers/demo", b"{", 400, "the body must be JSON"),
            ("PATCH", "containers/demo", None, 400, "the body must be JSON"),
            ("PATCH", "containers/demo", [1], 400, "the body must be a JSON object"),
            ("PATCH", "containers/demo", b" " * (BODY_LIMIT + 1), 400, "a body has at most"),
            ("PATCH", "containers/a%20b?anyway=yes", {"order": 1}, 400, "the id of a container has letters"),
            ("PUT", "default", {"choice": ""}, 400, "the id of a container has letters"),
            ("PUT", "default", {"default": "demo"}, 400, 'the body must be {"choice"'),
            ("PUT", "default", {"choice": None}, 400, 'the body must be {"choice"'),
            ("PUT", "containers/demo", {}, 405, "does not know this method"),
            ("POST", "containers", {}, 405, "does not know this method"),
            ("PATCH", "default", {}, 405, "does not know this method"),
            ("GET", "containers/", None, 404, "no such resource"),
            ("GET", "containers/demo/x", None, 404, "no such resource"),
        ):
            got, told = await self.ask(method, path, body)
            self.assertEqual(got, status, f"{method} {path} {body!r}: {told}")
            self.assertIn(why, told["error"])
        self.assertEqual(dict(self.on_disk().containers), {})
        self.assertEqual(self.told, [])

    async def test_cannot_be_written(self) -> None:
        """The reason is told, and nothing has changed."""
        os.unlink(self.path)
        os.mkdir(self.path)
        for method, path, body in (("PATCH", "containers/demo", {"order": 1}), ("PUT", "default", {"choice": "demo"})):
            status, told = await self.ask(method, path, body)
            self.assertEqual((status, told["error"]), (503, f"{self.path} cannot be opened: Is a directory"))
        os.rmdir(self.path)
        self.assertEqual((await self.ask("GET", "containers/demo"))[1]["settings"], PLAIN)
        self.assertEqual((await self.ask("PATCH", "containers/demo", {"order": 1}))[0], 200)
