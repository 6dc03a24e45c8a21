"""Tests of `pixelboot.cli.choices`: in a folder that no server has, and against answers of one."""

from __future__ import annotations

import os
import time

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.seam import ContainerSettings
from pixelboot.cli import choices as choices_module
from pixelboot.cli.choices import ALL, DEFAULT, InFolder, InServer, chosen, meant, place_of
from pixelboot.library.catalog import identify
from pixelboot.malformed import Malformed
from pixelboot.site import load
from pixelboot.state.containers import FILE_NAME, ChoicesFile
from pixelboot.state.lock import StateLock
from tests.cli.canned import Canned, answer
from tests.running import folder_for

PLAIN = {"enabled": True, "name": "", "description": "", "order": None, "timeout": None, "arguments": ""}


class FolderTests(SynchronousTestCase):
    """`InFolder`."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup) / "state"
        self.site = load(None, {("state",): str(self.state), ("boot", "default"): "shell"}, {})
        self.place = place_of(self.site)
        assert isinstance(self.place, InFolder)

    def pictures(self) -> None:
        """Three pictures that nobody could decode, and things that are none."""
        folder = self.state / "containers"
        folder.mkdir(parents=True)
        for name in ("debian.rts.png", "b ad.rts.png", "alpine.rts.png", "notes.txt", ".hidden.rts.png"):
            (folder / name).write_bytes(b"noise")

    def test_nothing_at_all(self) -> None:
        """Looking makes nothing."""
        told = self.place.listing()
        self.assertEqual((told["containers"], told["absent"], told["server"]), ([], {}, False))
        self.assertEqual(told["default"], {"choice": "", "site": "shell", "timeout": 10.0, "notice": None})
        self.assertRaises(Malformed, self.place.change, "debian", {"order": 1}, anyway=False)
        self.assertFalse(self.state.exists())

    def test_listing(self) -> None:
        """Pictures by their names, and what was decided; no picture is looked into."""
        self.pictures()
        self.place.change("debian", {"order": 3}, anyway=False)
        self.place.change("gone", {"name": "Old"}, anyway=True)
        told = self.place.listing()
        rows = {each["id"]: (each["file"], each["size"], each["settings"]["order"]) for each in told["containers"]}
        self.assertEqual(list(rows)[::2], ["alpine", "debian"])
        self.assertEqual(rows["debian"], ("debian.rts.png", 5, 3))
        self.assertEqual(told["absent"], {"gone": {**PLAIN, "name": "Old"}})

    def test_changes(self) -> None:
        """They are on disk, and the folder is free again."""
        self.pictures()
        told = self.place.change("debian", {"order": 3, "enabled": False}, anyway=False)
        self.assertEqual((told["before"], told["present"]), (PLAIN, True))
        self.assertEqual(told["settings"], {**PLAIN, "order": 3, "enabled": False})
        self.assertEqual(self.place.choose("debian", anyway=False)["before"], "")
        choices = ChoicesFile.open(f"{self.state}/{FILE_NAME}").choices
        self.assertEqual((choices.default, choices.of("debian")), ("debian", ContainerSettings(False, order=3)))
        self.assertEqual(self.place.choose("local", anyway=False)["choice"], "local")
        self.assertEqual(
            self.place.choose("", anyway=False),
            {"before": "local", "choice": "", "site": "shell", "timeout": 10.0, "notice": None},
        )
        self.assertEqual(self.place.reset("debian")["settings"], PLAIN)
        StateLock.take(str(self.state)).release()

    def test_unknown(self) -> None:
        """A name that no picture has is refused, with those that are like it."""
        self.pictures()
        for attempt in (
            lambda: self.place.change("debain", {"order": 1}, anyway=False),
            lambda: self.place.choose("debain", anyway=False),
        ):
            error = self.assertRaises(Malformed, attempt)
            self.assertIn(f"no container debain in {self.state}/containers; there is debian (--anyway ", str(error))
        error = self.assertRaises(Malformed, self.place.choose, "zzz", anyway=False)
        self.assertIn(f"there is no container zzz in {self.state}/containers (--anyway", str(error))
        for name, hint in (("debain", "; there is debian"), ("zzz", "")):
            error = self.assertRaises(Malformed, self.place.reset, name)
            told = f"there is no container {name} in {self.state}/containers, nor are there settings for one{hint}"
            self.assertEqual(str(error), told)
        self.assertFalse((self.state / FILE_NAME).exists())

    def test_reset_of_what_is_not_there(self) -> None:
        """It forgets what was said of it."""
        self.place.change("gone", {"order": 1}, anyway=True)
        self.assertEqual(self.place.reset("gone")["before"], {**PLAIN, "order": 1})
        self.assertEqual(self.place.listing()["absent"], {})

    def test_refused(self) -> None:
        """A value that cannot be, a file that cannot be written, a server that starts at that moment."""
        self.pictures()
        error = self.assertRaises(Malformed, self.place.change, "debian", {"name": "a\nb"}, anyway=False)
        self.assertIn("name must be one line", str(error))
        self.patch(choices_module, "PATIENCE", 0.0)
        lock = StateLock.take(str(self.state))
        error = self.assertRaises(Malformed, self.place.change, "debian", {"order": 1}, anyway=False)
        self.assertIn(f"is in use by process {os.getpid()}", str(error))
        lock.release()
        (self.state / FILE_NAME).write_bytes(b"noise" * 1000)
        error = self.assertRaises(Malformed, self.place.change, "debian", {"order": 1}, anyway=False)
        self.assertIn("is damaged", str(error))
        StateLock.take(str(self.state)).release()

    def test_default_that_does_not_boot(self) -> None:
        """What machines will say of it is told, as far as that is known without a look into the picture."""
        self.pictures()
        self.assertIsNone(self.place.choose("debian", anyway=False)["notice"])
        self.assertIsNone(self.place.change("alpine", {"enabled": False}, anyway=False)["notice"])
        told = "The default 'debian' is not offered; the default is the local disk."
        self.assertEqual(self.place.change("debian", {"enabled": False}, anyway=False)["notice"], told)
        self.assertEqual(self.place.listing()["default"]["notice"], told)
        self.assertIsNone(self.place.reset("debian")["notice"])
        self.assertIn("'gone' is not offered", self.place.choose("gone", anyway=True)["notice"])

    def test_another_console(self) -> None:
        """It has the folder for a moment, and is waited for."""
        self.pictures()
        lock = StateLock.take(str(self.state))
        self.patch(time, "sleep", lambda _: lock.release())
        self.assertEqual(self.place.change("debian", {"order": 1}, anyway=False)["settings"]["order"], 1)


class MeantTests(SynchronousTestCase):
    """`meant` and `chosen`."""

    def test_names(self) -> None:
        """An id, or the name of a file without its ending, whatever that is."""
        for words in ("debian", "a.b_c-9", "none", "debian~0123456789ab"):
            self.assertEqual(meant(words), words)
        for words in ("grün", "a b", "local", "shell", "-x", "${x}", "x" * 200, "\udcff"):
            self.assertEqual(meant(words), identify(f"{words}.rts.png"), ascii(words))
        for words in ("", "a/b", "~", "a b~0123456789ab"):
            self.assertRaises(Malformed, meant, words)
        for words, told in (("none", ""), ("local", "local"), ("shell", "shell"), ("debian", "debian")):
            self.assertEqual(chosen(words), told)
        self.assertEqual(chosen("grün"), meant("grün"))


class ServerTests(SynchronousTestCase):
    """`InServer`; the other end of it is tested in `tests.view.test_containers`."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)
        self.site = load(None, {("state",): str(self.state)}, {})

    def test_requests(self) -> None:
        """Each is asked of the resource that it is about."""
        changed = {"id": "demo", "before": PLAIN, "settings": PLAIN, "present": True}
        chosen = {"before": "", "choice": "demo", "site": "local", "timeout": 10.0}
        server = Canned(self.state, [*[answer(changed)] * 3, *[answer(chosen)] * 3], self.addCleanup)
        place = InServer(self.site)
        self.assertEqual(place.change("demo", {"order": 1}, anyway=False), changed)
        place.change("demo", {"order": 1}, anyway=True)
        place.reset("demo")
        self.assertEqual(place.choose("demo", anyway=False), chosen)
        place.choose("demo", anyway=True)
        place.choose("", anyway=False)
        self.assertEqual(
            server.asked,
            [
                f"PATCH {ALL}/demo HTTP/1.1",
                f"PATCH {ALL}/demo?anyway=yes HTTP/1.1",
                f"DELETE {ALL}/demo HTTP/1.1",
                f"PUT {DEFAULT} HTTP/1.1",
                f"PUT {DEFAULT}?anyway=yes HTTP/1.1",
                f"DELETE {DEFAULT} HTTP/1.1",
            ],
        )

    def test_unknown(self) -> None:
        """What the server does not know is told with what it does."""
        listed = {"containers": [{"id": "debian"}, {"id": "alpine"}], "absent": {"debain-old": PLAIN}}
        missing = answer({"error": "there is no container 'debain'"}, "404 Not Found")
        Canned(self.state, [missing, answer(listed)] * 2, self.addCleanup)
        place = InServer(self.site)
        error = self.assertRaises(Malformed, place.change, "debain", {"order": 1}, anyway=False)
        self.assertIn("there is no container debain; there is debian and debain-old (", str(error))
        error = self.assertRaises(Malformed, place.reset, "debain")
        told = "there is no container debain, nor are there settings for one; there is debian and debain-old"
        self.assertEqual(str(error), told)

    def test_refused(self) -> None:
        """The server's reason is told."""
        Canned(self.state, [answer({"error": "the disk is\nfull"}, "503 Service Unavailable")], self.addCleanup)
        error = self.assertRaises(Malformed, InServer(self.site).reset, "demo")
        self.assertEqual(str(error), "the disk is\\nfull")

    def test_place(self) -> None:
        """A server that runs is asked; one without containers is no reason to write behind its back."""
        Canned(self.state, [answer({}), answer({"error": "no"}, "404 Not Found"), answer({}, "500 X")], self.addCleanup)
        self.assertIsInstance(place_of(self.site), InServer)
        error = self.assertRaises(Malformed, place_of, self.site)
        self.assertEqual(str(error), f"the server on the state folder {self.state} serves no containers")
        self.assertIn("answered 500", str(self.assertRaises(Malformed, place_of, self.site)))
