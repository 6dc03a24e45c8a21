"""Tests of `pixelboot.cli.containers`: the whole command, in a folder that no server has."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.seam import Choices, ContainerSettings
from pixelboot.cli.containers import lines
from pixelboot.state.containers import FILE_NAME, ChoicesFile
from tests.cli.canned import Canned, answer
from tests.running import command, folder_for

PLAIN = {"enabled": True, "name": "", "description": "", "order": None, "timeout": None, "arguments": ""}
DEFAULT = {"choice": "", "site": "local", "timeout": 10.0}


class CommandTests(SynchronousTestCase):
    """``pixelboot containers``."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)
        (self.state / "containers").mkdir()
        (self.state / "containers" / "debian.rts.png").write_bytes(b"noise")
        self.nobody = f"no server runs on {self.state}: the next one will go by it"

    def run_with(self, *words: str) -> list[str]:
        """The lines that the command prints; it succeeds."""
        code, out, error = command("containers", *words, "--state", self.state)
        self.assertEqual((code, error), (0, ""), words)
        return out.splitlines()

    def refused(self, *words: str) -> str:
        """The line of a command that fails."""
        code, out, error = command("containers", *words, "--state", self.state)
        self.assertEqual((code, out), (1, ""), words)
        self.assertEqual(len(error.splitlines()), 1)
        return error.removeprefix("pixelboot: ").rstrip()

    def on_disk(self) -> Choices:
        """What the next server would read."""
        return ChoicesFile.open(f"{self.state}/{FILE_NAME}").choices

    def test_every_setting(self) -> None:
        """Each is set, said, and kept; then all are forgotten."""
        for words, told in (
            (("disable", "debian"), "enabled true → false"),
            (("enable", "debian"), "enabled false → true"),
            (("disable", "debian"), "enabled true → false"),
            (("name", "debian", "Ours é"), 'name "" → "Ours é"'),
            (("describe", "debian", "a b"), 'description "" → "a b"'),
            (("order", "debian", "-5"), "order none → -5"),
            (("timeout", "debian", "2.5"), "timeout none → 2.5"),
            (("arguments", "debian", "quiet x=1"), 'arguments "" → "quiet x=1"'),
            (("order", "debian", "-5"), "nothing changed"),
        ):
            self.assertEqual(self.run_with(*words), [f"debian: {told}", self.nobody])
        expected = ContainerSettings(False, "Ours é", "a b", -5, 2.5, "quiet x=1")
        self.assertEqual(self.on_disk().of("debian"), expected)
        for words, told in (
            (("order", "debian", "none"), "order -5 → none"),
            (("timeout", "debian", "none"), "timeout 2.5 → none"),
            (("name", "debian", ""), 'name "Ours é" → ""'),
        ):
            self.assertEqual(self.run_with(*words)[0], f"debian: {told}")
        self.run_with("reset", "debian")
        self.assertEqual(self.on_disk(), Choices())

    def test_default(self) -> None:
        for word, told in (
            ("debian", "default: local (of the settings) → debian"),
            ("shell", "default: debian → shell"),
            ("none", "default: shell → local (of the settings)"),
        ):
            self.assertEqual(self.run_with("default", word), [told, self.nobody])
            self.assertEqual(self.on_disk().default, "" if word == "none" else word)

    def test_default_that_does_not_boot(self) -> None:
        self.run_with("default", "debian")
        told = "The default 'debian' is not offered; the default is the local disk."
        self.assertEqual(self.run_with("disable", "debian"), ["debian: enabled true → false", told, self.nobody])
        self.assertEqual(self.run_with()[:2], ["boots by itself: debian (chosen)", told])

    def test_not_there(self) -> None:
        folder = f"{self.state}/containers"
        self.assertIn(f"there is no container debain in {folder}; there is debian", self.refused("disable", "debain"))
        told = self.run_with("disable", "debain", "--anyway")
        self.assertEqual(told[1], "there is no container debain: this is kept for one that is to come")
        self.assertFalse(self.on_disk().of("debain").enabled)

    def test_refused(self) -> None:
        """With one line, and nothing is kept."""
        for words, why in (
            (("order", "debian", "x"), "order must be a whole number, or none, not x"),
            (("order", "debian", "1000001"), "order must be a whole number from"),
            (("timeout", "debian", "soon"), "timeout must be seconds, or none, not soon"),
            (("timeout", "debian", "nan"), "timeout must be seconds from 0"),
            (("name", "debian", "a\nb"), "name must be one line"),
            (("arguments", "debian", "a || b"), "arguments cannot be passed on"),
            (("enable", "a/b"), "the id of a container has letters"),
            (("default", "a~ b"), "the id of a container has letters"),
            (("default", "a b"), "there is no container a-b~"),
        ):
            self.assertIn(why, self.refused(*words))
        self.assertFalse((self.state / FILE_NAME).exists() and self.on_disk() != Choices())
        for line in ("order debian", "enable", "paint debian", "enable debian x"):
            self.assertEqual(command("containers", *line.split())[0], 2, line)

    def test_where_the_state_is_named(self) -> None:
        """In front of the action or behind it."""
        self.assertEqual(command("containers", "--state", self.state, "disable", "debian")[0], 0)
        self.assertFalse(self.on_disk().of("debian").enabled)
        for words in (("--json",), ("list", "--json"), ("--json", "list")):
            told = json.loads("\n".join(self.run_with(*words)))
            self.assertEqual([each["id"] for each in told["containers"]], ["debian"], words)

    def test_list(self) -> None:
        self.run_with("disable", "debian")
        self.assertEqual(
            self.run_with(),
            [
                "boots by itself: local (of the settings)",
                f"no server runs: the pictures in {self.state}/containers were not looked into",
                "",
                "container                menus      order  state           size  name",
                "debian                   disabled                           5 B",
            ],
        )

    def test_a_server_runs(self) -> None:
        """It is told, and nothing is written behind its back."""
        changed = {"id": "debian", "before": PLAIN, "settings": {**PLAIN, "order": 1}, "present": True}
        Canned(self.state, [answer(DEFAULT), answer(changed)], self.addCleanup)
        self.assertEqual(
            self.run_with("order", "debian", "1"),
            ["debian: order none → 1", f"the server on {self.state} goes by it from now on"],
        )
        self.assertFalse((self.state / FILE_NAME).exists())


class LinesTests(SynchronousTestCase):
    """`lines`."""

    def test_everything(self) -> None:
        """In the order of the menu; what is not there as well; whatever names say, each is one line."""
        hostile = "a\nb\x1b[2J" + "x" * 300
        usual = {"state": "ready", "size": 61_300_000, "name": "Debian 12", "reason": "", "obstacle": None}
        found = {
            "server": True,
            "default": {**DEFAULT, "choice": "gone", "notice": "The default 'gone' is not offered"},
            "containers": [
                {**usual, "id": "a", "settings": {**PLAIN, "timeout": 3.0}},
                {**usual, "id": "b", "settings": {**PLAIN, "order": 2}, "obstacle": "its command line"},
                {
                    **usual,
                    "id": "c",
                    "state": "damaged",
                    "reason": "it is no PNG",
                    "name": "",
                    "settings": PLAIN,
                    "offered": False,
                },
                {**usual, "id": hostile, "name": hostile, "settings": {**PLAIN, "order": -1}},
            ],
            "absent": {"gone": {**PLAIN, "enabled": False, "order": 1}},
        }
        shown = list(lines(found))
        notice = "The default 'gone' is not offered"
        self.assertEqual(shown[:3], ["boots by itself: gone (chosen)", notice, ""])
        self.assertTrue(shown[4].startswith("a\\nb\\x1b[2J"))
        wide = shown[3].index("menus")
        self.assertEqual({line[wide - 1 : wide] for line in shown[3:]}, {" "}, "long ids keep the columns in order")
        self.assertEqual(
            [f"{line[:wide].rstrip():<24} {line[wide:]}" for line in shown[5:]],
            [
                "gone                     disabled       1  absent                there is no such file",
                "b                        yes            2  ready        61.3 MB  Debian 12; its command line",
                "a                        yes               ready        61.3 MB  Debian 12; timeout 3.0",
                "c                        no                damaged      61.3 MB  it is no PNG",
            ],
        )
        for line in shown:
            self.assertTrue(line.isprintable(), ascii(line))
