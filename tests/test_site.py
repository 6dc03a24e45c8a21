"""Tests of `pixelboot.site`."""

from __future__ import annotations

import os
import re
import textwrap
import tomllib
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import Declared, arrays, build, declared, dump
from pixelboot.malformed import Malformed
from pixelboot.site import LARGEST_FILE, Site, load

EXAMPLE = b"""
state = "/srv/pixelboot"

[boot]
default = "debian"

[dhcp]
mode = "server"
interface = "eno1"

[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]
router = "10.77.0.1"

[http]
listen = "tcp:80"
"""

TAKEN = {"config", "check", "help", "version"}
"""Options that are no settings."""

NOTHING: Mapping[tuple[str, ...], str] = {}


class LoadTests(SynchronousTestCase):
    """Where settings come from."""

    def written(self, octets: bytes) -> str:
        """The path of a settings file that holds `octets`."""
        path: str = self.mktemp()
        with open(path, "wb") as opened:
            opened.write(octets)
        return path

    def refused(self, path: str) -> str:
        """Why the file at `path` will not do; always told with the option that named it, on one short line."""
        error = self.assertRaises(Malformed, load, path, NOTHING, {})
        self.assertTrue(str(error).startswith(f"--config {path}: "), str(error))
        self.assertEqual(len(str(error).splitlines()), 1, str(error))
        self.assertLess(len(str(error)), 500)
        return str(error).removeprefix(f"--config {path}: ")

    def test_nothing_said(self) -> None:
        """Without any settings pixelboot is safe: it gives out no addresses."""
        site = load(None, NOTHING, {})
        self.assertEqual(
            (site.state, site.dhcp.mode, str(site.http.listen[0])),
            ("/var/lib/pixelboot", "proxy", "http://0.0.0.0:8080/"),
        )
        self.assertEqual(site, build(Site, {}))

    def test_file(self) -> None:
        """Tables, and tables in arrays, reach their subjects."""
        site = load(self.written(EXAMPLE), NOTHING, {})
        self.assertEqual(
            (site.state, site.boot.default, str(site.http.listen[0])),
            ("/srv/pixelboot", "debian", "http://0.0.0.0:80/"),
        )
        self.assertEqual([subnet.network for subnet in site.dhcp.subnet], [IPv4Network("10.77.0.0/24")])

    def test_who_wins(self) -> None:
        """The command line over the file over the environment over the default."""
        file, empty = self.written(b'state = "/file"'), self.written(b"")
        words: dict[tuple[str, ...], str] = {("state",): "/words"}
        environ = {"PIXELBOOT_STATE": "/environ"}
        cases: list[tuple[str | None, Mapping[tuple[str, ...], str], dict[str, str], str]] = [
            (None, NOTHING, {}, "/var/lib/pixelboot"),
            (None, NOTHING, environ, "/environ"),
            (empty, NOTHING, environ, "/environ"),
            (file, NOTHING, environ, "/file"),
            (file, words, environ, "/words"),
            (None, words, {}, "/words"),
        ]
        for path, typed, around, expected in cases:
            self.assertEqual(load(path, typed, around).state, expected, f"{path} {typed} {around}")

    def test_words(self) -> None:
        """What is typed replaces what the file says, and nothing beside it."""
        site = load(self.written(EXAMPLE), {("http", "listen"): "tcp:81", ("boot", "timeout"): "3"}, {})
        self.assertEqual(
            (str(site.http.listen[0]), site.boot.timeout, site.boot.default), ("http://0.0.0.0:81/", 3.0, "debian")
        )

    def test_paths(self) -> None:
        """The containers and the control socket are in the state folder; the containers need not be."""
        site = load(None, {("state",): "/s"}, {})
        self.assertEqual((site.roots, site.control), (("/s/containers",), "/s/control"))
        self.assertEqual(load(None, {("state",): "/s", ("http", "root"): "/r,/q"}, {}).roots, ("/r", "/q"))

    def test_wrong_settings(self) -> None:
        """The key, the value and what is allowed; wherever the value came from."""
        for octets, words, environ, key in [
            (b"stat = 1", {}, {}, "stat = 1: there is no such setting; did you mean state?"),
            (b'[dhcp]\nmode = "relay"', {}, {}, 'dhcp.mode = "relay": must be one of "proxy", "server", "off"'),
            (b'[dhcp]\nmode = "server"', {}, {}, "dhcp.mode = "),
            (b"dhcp = 1", {}, {}, "dhcp = 1: must be a table"),
            (b"[[http]]", {}, {}, "http = [{}]: must be a table"),
            (b"", {("state",): ""}, {}, 'state = "": must be a folder (not empty)'),
            (b"", {}, {"PIXELBOOT_STATE": ""}, 'state = "": must be a folder (not empty)'),
            (b"", {}, {"PIXELBOOT_STATE": "/srv/\udcff"}, "state = "),
            (b"", {("dhcp", "port"): "bootps"}, {}, 'dhcp.port = "bootps": must be a whole number'),
            (EXAMPLE.replace(b"0/24", b"0/16-"), {}, {}, "dhcp.subnet[1].network = "),
            (EXAMPLE.replace(b"100-", b"250-"), {}, {}, "dhcp.subnet[1].pool = "),
            (
                EXAMPLE + b"[[dhcp.subnet]]\nnetwork = '10.78.0.0/24'\n",
                {},
                {},
                "dhcp.subnet[2].pool = []: must name at least one range",
            ),
        ]:
            error = self.assertRaises(Malformed, load, self.written(octets), words, environ)
            self.assertTrue(str(error).startswith(key), f"{error} does not start with {key}")

    def test_no_file(self) -> None:
        """A file that cannot be read is said to be just that."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.assertEqual(self.refused(os.path.join(folder, "absent.toml")), "No such file or directory")
        self.assertEqual(self.refused(folder), "Is a directory")
        self.assertEqual(self.refused(os.path.join(self.written(b""), "x")), "Not a directory")

    def test_no_toml(self) -> None:
        """Neither is everything that can be read a settings file."""
        for octets, why in [
            (b"state", "not TOML: "),
            (b"state = ", "not TOML: "),
            (b'state = "a"\nstate = "b"', "not TOML: "),
            (b'state = "a"\n[state]', "not TOML: "),
            (b"\xff\xfe\0", "not TOML: "),
            (b"\0" * 100, "not TOML: "),
            (b'state = "\xe9"', "not TOML: "),
            (b"a = 2026-02-30", "not TOML: "),
            (b"a = " + b"9" * 5000, "not TOML: "),
            (b"a = " + b"[" * 5000, "not TOML: "),
            (b"a = " + b"{a=" * 5000, "not TOML: "),
            (b"#" * (LARGEST_FILE + 1), f"more than {LARGEST_FILE} octets"),
            (b"#" * (2 << 20), f"more than {LARGEST_FILE} octets"),
        ]:
            self.assertIn(why, self.refused(self.written(octets)), repr(octets[:20]))

    def test_odd_toml(self) -> None:
        """What TOML allows and no setting wants is refused by its key."""
        for octets, key in [
            (b"[boot]\ntimeout = nan", "boot.timeout = nan"),
            (b"[boot]\ntimeout = -inf", "boot.timeout = -inf"),
            (b"[dhcp]\nport = 0x" + b"f" * 100_000, "dhcp.port = 0xffff"),
            (b"state = 2026-01-01T00:00:00Z", "state = "),
            (b'state = "a\\u0000b"', 'state = "a\\u0000b"'),
            (b"boot" + b".boot" * 500 + b" = 1", "boot.boot = {boot = {boot = "),
            (b"state = " + b"[" * 60 + b"]" * 60, "state = [[[["),
            (b'"a\\nb" = 1', "a\\nb = 1: there is no such setting"),
        ]:
            error = self.assertRaises(Malformed, load, self.written(octets), NOTHING, {})
            self.assertTrue(str(error).startswith(key), str(error))
            self.assertTrue(str(error).isprintable(), ascii(str(error)))
            self.assertLess(len(str(error)), 700)

    def test_largest_file(self) -> None:
        """A file of just the allowed size is read."""
        octets = b'state = "/s" #'
        self.assertEqual(load(self.written(octets.ljust(LARGEST_FILE, b".")), NOTHING, {}).state, "/s")

    @given(st.lists(st.tuples(st.integers(0, len(EXAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
    def test_any_file(self, changes: list[tuple[int, int]]) -> None:
        """A damaged file is a site or `Malformed`."""
        octets = bytearray(EXAMPLE)
        for at, octet in changes:
            octets[at] = octet
        try:
            load(self.written(bytes(octets)), NOTHING, {})
        except Malformed as error:
            self.assertEqual(len(str(error).splitlines()), 1, str(error))


class DeclarationTests(SynchronousTestCase):
    """What every declared setting owes to its three faces."""

    def every(self) -> list[Declared]:
        """All settings, those of arrays too."""
        return [*declared(Site), *(one for _, _, entry in arrays(Site) for one in entry)]

    def test_help(self) -> None:
        """Each says in whole sentences what it is, and what is allowed."""
        for one in self.every():
            self.assertRegex(one.help, r"\A[\w\"(].*\.\Z", one.key)
            self.assertNotEqual(one.kind.allowed, "", one.key)
        for key, help, _ in arrays(Site):
            self.assertRegex(help, r"\A[A-Z].*\.\Z", key)

    def test_options(self) -> None:
        """No two settings share a name on the command line, nor take one that twistd's services have anyway."""
        names = Counter(one.option for one in declared(Site))
        self.assertEqual([name for name, count in names.items() if count > 1], [])
        self.assertEqual(set(names) & TAKEN, set())
        for name in names:
            self.assertRegex(name, r"\A[a-z][a-z0-9-]*\Z")

    def test_options_of_one_part(self) -> None:
        """The same holds where the plugin of one part leaves the part's name out."""
        every = list(declared(Site))
        for part in {one.path[0] for one in every if len(one.path) > 1}:
            names = [one.option.removeprefix(f"{part}-") if one.path[0] == part else one.option for one in every]
            self.assertEqual(len(names), len(set(names) - TAKEN), part)

    def test_examples_in_the_manual(self) -> None:
        """Every settings file that the manual shows can be used."""
        root = Path(__file__).resolve().parent.parent
        shown = 0
        for path in [root / "README.rst", *(root / "docs").rglob("*.rst")]:
            for block in re.findall(r"\.\. code-block:: toml\n\n((?:(?: +.*)?\n)+)", path.read_text(encoding="utf-8")):
                document = tomllib.loads(textwrap.dedent(block))
                dhcp = document.get("dhcp", {})
                if any("pool" in subnet for subnet in dhcp.get("subnet", [])):
                    dhcp.setdefault("mode", "server")  # A part of a file has not always all that stands above it.
                build(Site, document)
                shown += 1
        self.assertGreater(shown, 0)

    def test_defaults(self) -> None:
        """Each default is a value that the setting takes, and is shown as it would be written."""
        for one in self.every():
            if not one.required:
                self.assertEqual(one.kind.show(one.kind.parse(one.default)), one.default, one.key)

    def test_dump(self) -> None:
        """What ``--check`` prints is a settings file of the same site."""
        for octets in (b"", EXAMPLE):
            site = build(Site, tomllib.loads(octets.decode()))
            self.assertEqual(build(Site, tomllib.loads(dump(site))), site)
