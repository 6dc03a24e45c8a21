"""Tests of `pixelboot.cli.hosts`: the whole command, in a folder that no server has, and against answers of one."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.hosts import HostBoot
from pixelboot.cli.hosts import lines
from pixelboot.state.hosts import FILE_NAME, HostsFile
from pixelboot.state.lock import StateLock
from tests.cli.canned import Canned, answer
from tests.running import command, folder_for

MAC, OTHER = "02:aa:00:00:00:01", "02:aa:00:00:00:02"
SITE = """
[dhcp]
mode = "off"
[[host]]
name = "node2"
mac = "02:aa:00:00:00:02"
boot = "debian"
"""
DESCRIBED = {
    "id": MAC,
    "name": "",
    "boots": "debian",
    "source": "once",
    "notice": "there is no container debian",
    "loader": "x.efi",
    "chosen": {"boot": "", "once": "debian", "loader": "x.efi"},
    "settings": {"boot": "local", "loader": ""},
}
NOTHING = {"boot": "", "once": "", "loader": ""}


class CommandTests(SynchronousTestCase):
    """``pixelboot hosts``."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)
        (self.state / "containers").mkdir()
        (self.state / "containers" / "debian.rts.png").write_bytes(b"noise")
        self.site = self.state / "site.toml"
        self.site.write_text(f'state = "{self.state}"\n{SITE}', encoding="utf-8")
        self.nobody = f"no server runs on {self.state}: the next one will go by it"

    def run_with(self, *words: str) -> list[str]:
        """The lines that the command prints; it succeeds."""
        code, out, error = command("hosts", *words, "--config", self.site)
        self.assertEqual((code, error), (0, ""), words)
        return out.splitlines()

    def refused(self, *words: str) -> str:
        """The line of a command that fails."""
        code, out, error = command("hosts", *words, "--config", self.site)
        self.assertEqual((code, out), (1, ""), words)
        self.assertEqual(len(error.splitlines()), 1)
        return error.removeprefix("pixelboot: ").rstrip()

    def on_disk(self) -> dict[str, HostBoot]:
        """What the next server would read."""
        return dict(HostsFile.open(f"{self.state}/{FILE_NAME}", {}).hosts.chosen)

    def test_looking_makes_nothing(self) -> None:
        """Those of the settings file are told; a machine of which nothing is said gets the menu."""
        self.assertEqual(self.run_with()[1], "02:aa:00:00:00:02 debian                   of the settings file  node2")
        self.assertEqual(self.run_with("show", "node2"), [f"{OTHER} (node2) boots debian (of the settings file)"])
        self.assertEqual(self.run_with("show", MAC), [f"{MAC} boots menu (nothing was said)"])
        self.assertFalse((self.state / FILE_NAME).exists())
        self.assertEqual(list(lines([])), ["nothing is said of any machine"])

    def test_choosing(self) -> None:
        """Once or always, and back again; each is said, and kept."""
        for words, told in (
            (
                ("set", MAC.upper(), "--boot", "debian", "--once"),
                [f"{MAC}: once none → debian", f"{MAC} boots debian (once)", "after that: menu"],
            ),
            (
                ("set", MAC, "--boot", "local", "--loader", "own.efi"),
                [
                    f"{MAC}: boot none → local, loader none → own.efi",
                    f"{MAC} boots debian (once)",
                    "after that: local",
                    "it loads own.efi first",
                ],
            ),
            (
                ("set", MAC, "--boot", "none", "--once", "--loader", "none"),
                [f"{MAC}: once debian → none, loader own.efi → none", f"{MAC} boots local (chosen)"],
            ),
            (("set", MAC, "--boot", "local"), [f"{MAC}: nothing changed", f"{MAC} boots local (chosen)"]),
            (("set", MAC, "--boot", "menu"), [f"{MAC}: boot local → menu", f"{MAC} boots menu (chosen)"]),
            (("unset", MAC), [f"{MAC}: boot menu → none", f"{MAC} boots menu (nothing was said)"]),
            (
                ("set", "node2", "--boot", "shell"),
                [f"{OTHER}: boot none → shell", f"{OTHER} (node2) boots shell (chosen)"],
            ),
        ):
            self.assertEqual(self.run_with(*words), [*told, self.nobody])
        self.assertEqual(self.on_disk(), {OTHER: HostBoot("shell")})
        StateLock.take(str(self.state)).release()

    def test_json(self) -> None:
        """In front of the action, and behind it."""
        host = None
        for words in (("list", "--json"), ("--json",)):
            (host,) = json.loads("\n".join(self.run_with(*words)))["hosts"]
            self.assertEqual((host["id"], host["settings"]), (OTHER, {"boot": "debian", "loader": ""}))
        self.assertEqual(json.loads("\n".join(self.run_with("show", OTHER, "--json"))), host)

    def test_one_that_is_to_come(self) -> None:
        told = self.run_with("set", MAC, "--boot", "later", "--anyway")
        self.assertIn("it will get the menu: there is no container later", told)

    def test_refused(self) -> None:
        """With one line, and nothing is kept."""
        for words, why in (
            (("set", MAC), "say what is chosen: --boot, --loader, or both"),
            (("set", MAC, "--once"), "--once goes with --boot, which says what"),
            (("set", MAC, "--boot", "debain"), "there is no container debain (--anyway takes one that is to come)"),
            (("set", MAC, "--boot", "a/b"), "the id of a container has letters"),
            (("set", MAC, "--loader", "a b"), "loader must be the name of a file"),
            (("set", "node3", "--boot", "local"), "'node3' is no machine: it goes by the address"),
            (("unset", MAC), f"nothing was chosen for {MAC}"),
            (("show", "x\x1b"), r"'x\x1b' is no machine"),
        ):
            self.assertIn(why, self.refused(*words))
        self.assertEqual(self.on_disk(), {})
        self.site.write_text(f'state = "{self.state}"\n[[host]]\ncircuit = "p5"\nboot = "local"\n', encoding="utf-8")
        self.assertIn("host[1].boot", self.refused())


class ServerTests(SynchronousTestCase):
    """Against a server that runs; the other end is tested in `tests.view.test_hosts`."""

    def setUp(self) -> None:
        self.state = folder_for(self.addCleanup)

    def ask(self, answers: list[bytes], *words: str) -> tuple[list[str], int, str, str]:
        """What was asked, the exit status and both outputs."""
        server = Canned(self.state, [answer({}), *answers], self.addCleanup)
        code, out, error = command("hosts", *words, "--state", self.state)
        return [line.removesuffix(" HTTP/1.1") for line in server.asked[1:]], code, out, error

    def test_set(self) -> None:
        changed = {"before": NOTHING, **DESCRIBED}
        asked, code, out, _ = self.ask([answer(changed)], "set", MAC, "--boot", "debian", "--once", "--anyway")
        self.assertEqual((asked, code), ([f"PATCH /api/v1/hosts/{MAC.replace(':', '%3A')}?anyway=yes"], 0))
        self.assertEqual(
            out.splitlines(),
            [
                f"{MAC}: once none → debian, loader none → x.efi",
                f"{MAC} boots debian (once)",
                "it will get the menu: there is no container debian",
                "after that: local",
                "it loads x.efi first",
                f"the server on {self.state} goes by it from now on",
            ],
        )

    def test_list(self) -> None:
        """What machines and the server say is shown as text."""
        hostile = {**DESCRIBED, "notice": "there is\x1b[2J no"}
        asked, code, out, _ = self.ask([answer({"hosts": [hostile]})])
        self.assertEqual((asked, code), (["GET /api/v1/hosts"], 0))
        self.assertEqual(
            out.splitlines()[1],
            f"{MAC} debian                   once                  there is\\x1b[2J no; loads x.efi",
        )

    def test_refused(self) -> None:
        told = answer({"error": "there is no container 'x'; ?anyway=yes takes one that is to come"}, "404 Not Found")
        _, code, _, error = self.ask([told], "set", MAC, "--boot", "x")
        self.assertEqual(
            (code, error), (1, "pixelboot: there is no container 'x'; --anyway takes one that is to come\n")
        )

    def test_no_containers(self) -> None:
        Canned(self.state, [answer({"error": "no"}, "404 Not Found")], self.addCleanup)
        code, _, error = command("hosts", "--state", self.state)
        self.assertEqual(code, 1)
        self.assertIn("serves no containers, so no machine boots from it", error)
