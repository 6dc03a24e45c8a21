"""Tests of `pixelboot.view.hosts`: real requests over a real socket, a library in memory, a real file."""

from __future__ import annotations

import os

from pixelboot.boot.hosts import HostBoot
from pixelboot.boot.seam import Choices, ContainerSettings
from pixelboot.outcome import Outcome
from pixelboot.state.hosts import HostsFile, SqliteHosts
from pixelboot.view.hosts import HostsView
from tests.http.shelf import DEMO, Shelf, damaged
from tests.view.channel import ChannelCase, reactor

MAC, OTHER = "02:aa:00:00:00:01", "02:aa:00:00:00:02"
BOARD = "00112233-4455-6677-8899-aabbccddeeff"
NOTHING = {"boot": "", "once": "", "loader": ""}


class HostsTests(ChannelCase):
    """What is told, and what is changed."""

    async def setUp(self) -> None:  # type: ignore[override]
        self.path = os.path.abspath(self.mktemp())
        self.told: list[Outcome] = []
        settled = {OTHER: HostBoot("demo", loader="x.efi", name="node2")}
        self.store = SqliteHosts(HostsFile.open(self.path, settled), reactor, self.told.append)
        self.choices = Choices()
        shelf = Shelf((DEMO, damaged("broken", "it ends early")))
        await self.open(HostsView(self.store, shelf, self.decided, self.told.append))

    async def decided(self) -> Choices:
        """What the operator decided about containers."""
        return self.choices

    def on_disk(self) -> dict[str, HostBoot]:
        """What the next server would read."""
        return dict(HostsFile.open(self.path, {}).hosts.chosen)

    async def test_list(self) -> None:
        """Those of the settings file and those for which something was chosen, and why one gets the menu."""
        await self.store.change(MAC, {"boot": "broken"})
        self.choices = self.choices.having("demo", ContainerSettings(enabled=False))
        status, told = await self.ask("GET", "hosts")
        self.assertEqual(status, 200)
        self.assertEqual(
            told["hosts"],
            [
                {
                    "id": MAC,
                    "name": "",
                    "boots": "broken",
                    "source": "chosen",
                    "notice": "the container broken is damaged: it ends early",
                    "loader": "",
                    "chosen": {"boot": "broken", "once": "", "loader": ""},
                    "settings": None,
                },
                {
                    "id": OTHER,
                    "name": "node2",
                    "boots": "demo",
                    "source": "settings",
                    "notice": None,
                    "loader": "x.efi",
                    "chosen": NOTHING,
                    "settings": {"boot": "demo", "loader": "x.efi"},
                },
            ],
        )
        status, told = await self.ask("GET", f"hosts/{BOARD.upper()}")
        self.assertEqual((status, told["id"], told["boots"], told["source"]), (200, BOARD, "menu", "menu"))

    async def test_change(self) -> None:
        """What is told is on disk, and in the log; the token is nobody's business."""
        status, told = await self.ask("PATCH", "hosts/02-AA-00-00-00-01", {"boot": "demo", "once": "local"})
        self.assertEqual((status, told["before"], told["boots"], told["source"]), (200, NOTHING, "local", "once"))
        self.assertEqual(told["chosen"], {"boot": "demo", "once": "local", "loader": ""})
        (kept,) = self.on_disk().values()
        self.assertEqual((kept.boot, kept.once, len(kept.token)), ("demo", "local", 16))
        await self.ask("PATCH", f"hosts/{MAC}", {"once": None, "loader": "own.efi"})
        await self.ask("PATCH", f"hosts/{MAC}", {})
        status, told = await self.ask("DELETE", f"hosts/{MAC}")
        self.assertEqual((status, told["before"]["loader"], told["chosen"]), (200, "own.efi", NOTHING))
        self.assertEqual(self.on_disk(), {})
        self.assertEqual(
            [outcome.summary() for outcome in self.told],
            [
                f'host {MAC}: boot "" → "demo", once "" → "local" (by the control channel)',
                f'host {MAC}: once "local" → "", loader "" → "own.efi" (by the control channel)',
                f'host {MAC}: boot "demo" → "", loader "own.efi" → "" (by the control channel)',
            ],
        )

    async def test_one_that_is_to_come(self) -> None:
        status, told = await self.ask("PATCH", f"hosts/{MAC}", {"once": "later"})
        self.assertEqual(
            (status, told["error"]), (404, "there is no container 'later'; ?anyway=yes takes one that is to come")
        )
        status, told = await self.ask("PATCH", f"hosts/{MAC}?anyway=yes", {"once": "later"})
        self.assertEqual((status, told["notice"]), (200, "there is no container later"))

    async def test_refused(self) -> None:
        """With a reason, and nothing has changed."""
        for method, path, body, status, why in (
            ("PATCH", f"hosts/{MAC}", {"bot": "a"}, 400, "there is no setting 'bot'"),
            ("PATCH", f"hosts/{MAC}", {"boot": 5}, 400, "the id of a container has letters"),
            ("PATCH", f"hosts/{MAC}", {"loader": "a b"}, 400, "loader must be the name of a file"),
            ("PATCH", f"hosts/{MAC}", b"{", 400, "the body must be JSON"),
            ("PATCH", "hosts/node2", {"boot": "demo"}, 400, "is no machine: it goes by"),
            ("GET", "hosts/node2", None, 400, "is no machine: it goes by"),
            ("DELETE", f"hosts/{OTHER}", None, 404, f"nothing was chosen for {OTHER}"),
            ("DELETE", "hosts/%c3%a9", None, 400, "is no machine"),
            ("PUT", f"hosts/{MAC}", {}, 405, "does not know this method"),
            ("POST", "hosts", {}, 405, "does not know this method"),
            ("GET", "hosts/", None, 404, "no such resource"),
            ("GET", f"hosts/{MAC}/x", None, 404, "no such resource"),
        ):
            got, told = await self.ask(method, path, body)
            self.assertEqual(got, status, f"{method} {path} {body!r}: {told}")
            self.assertIn(why, told["error"])
        self.assertEqual((self.on_disk(), self.told), ({}, []))

    async def test_cannot_be_written(self) -> None:
        os.unlink(self.path)
        os.mkdir(self.path)
        status, told = await self.ask("PATCH", f"hosts/{MAC}", {"boot": "demo"})
        self.assertEqual((status, told["error"]), (503, f"{self.path} cannot be opened: Is a directory"))
        os.rmdir(self.path)
        self.assertEqual((await self.ask("GET", f"hosts/{MAC}"))[1]["boots"], "menu")
