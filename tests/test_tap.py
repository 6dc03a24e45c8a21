"""Tests of `pixelboot.tap`: the settings of a site become a server, or one line that says why not."""

from __future__ import annotations

import gc
import io
import os
import socket
import tomllib
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.cli import channel
from pixelboot.config import build as parse
from pixelboot.config import declared
from pixelboot.malformed import Malformed
from pixelboot.site import Site, load
from pixelboot.state.lock import StateLock
from pixelboot.tap import EVERYTHING, DhcpOptions, HttpOptions, Options, Server, build
from tests.http.shelf import HttpCase
from tests.http.shelf import get as request
from tests.running import (
    folder_for,
    free_udp_port,
    is_free,
    settings,
)

reactor = cast("Any", _reactor)

VALUES = {
    "state": "/s",
    "boot.default": "debian",
    "boot.timeout": 2.5,
    "dhcp.mode": "server",
    "dhcp.interface": "eno7",
    "dhcp.port": 6767,
    "dhcp.offer_time": 31.0,
    "dhcp.decline_time": 61.0,
    "http.listen": "tcp:81",
    "http.root": "/r",
}
"""A value for every setting; none of them is the default."""

SUBNET = '[[dhcp.subnet]]\nnetwork = "127.0.0.0/24"\npool = ["127.0.0.100-127.0.0.199"]\n'


def value(settings: object, path: tuple[str, ...]) -> object:
    """The setting at `path`."""
    for name in path:
        settings = getattr(settings, name)
    return settings


class OptionsTests(SynchronousTestCase):
    """The command lines of the three plugins."""

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.patch(os, "environ", {})

    def file(self, text: str) -> str:
        """A settings file."""
        path = self.folder / f"{len(os.listdir(self.folder))}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_every_setting_is_an_option(self) -> None:
        """What is typed reaches its setting, under the name that the plugin has for it."""
        for options, part in ((Options(), ""), (DhcpOptions(), "dhcp-"), (HttpOptions(), "http-")):
            words = ["--config", self.file(SUBNET)]
            for setting in declared(Site):
                words += [f"--{setting.option.removeprefix(part)}", str(VALUES[setting.key])]
            options.parseOptions(words)
            for setting in declared(Site):
                got = value(options.site, setting.path)
                self.assertEqual(got, VALUES[setting.key], f"{part}{setting.key}")
                self.assertNotEqual(got, setting.default, setting.key)

    def test_who_wins(self) -> None:
        """The command line over the file over the environment; what is relative is so to where we are now."""
        os.environ["PIXELBOOT_STATE"] = "from/environ"
        here = os.getcwd()
        for words, state in (
            ([], f"{here}/from/environ"),
            (["-c", self.file('state = "/file"')], "/file"),
            (["-c", self.file('state = "/file"'), "--state", "words"], f"{here}/words"),
            (["--state=/words"], "/words"),
        ):
            options = Options()
            options.parseOptions(words)
            self.assertEqual(options.site.state, state, str(words))

    def refused(self, *words: str) -> str:
        """The one line that a wrong command line ends in."""
        ended = self.assertRaises(SystemExit, Options().parseOptions, list(words))
        line = ended.code
        assert isinstance(line, str), line  # which means: on standard error, with status 1
        self.assertNotIn("\n", line)
        self.assertTrue(line.startswith("pixelboot: "), line)
        return line.removeprefix("pixelboot: ")

    def test_wrong_settings(self) -> None:
        """They are refused with their key, whether they are to be checked or served."""
        inverted = SUBNET.replace("100-127.0.0.199", "199-127.0.0.100")
        for words, message in (
            (["--config", "/nonexistent.toml"], "--config /nonexistent.toml: No such file or directory"),
            (["--config", self.file("[http")], f"--config {self.folder}/0.toml: not TOML: "),
            (["--config", self.file("[htp]")], "htp = {}: there is no such setting; did you mean http?"),
            (["--config", self.file("[http]\nport = 80")], "http.port = 80: there is no such setting; there are: "),
            (["--config", self.file(inverted)], 'dhcp.subnet[1].pool = ["127.0.0.199-127.0.0.100"]: must be '),
            (["--dhcp-port", "0"], 'dhcp.port = "0": must be a whole number from 1 to 65535'),
            (["--dhcp-mode", "server"], 'dhcp.mode = "server": a server needs a [[dhcp.subnet]]'),
        ):
            for check in ([], ["--check"]):
                line = self.refused(*words, *check)
                self.assertTrue(line.startswith(message), f"{line} does not start with {message}")

    def test_check(self) -> None:
        """``--check`` prints settings that load to the same site, ends with status 0, and makes and binds nothing."""
        words = ["--config", self.file(SUBNET), "--dhcp-mode", "server", "--dhcp-interface", "lo"]
        words += ["--state", f"{self.folder}/state"]
        served = Options()
        served.parseOptions(words)
        printed = io.StringIO()
        with redirect_stdout(printed):
            ended = self.assertRaises(SystemExit, Options().parseOptions, [*words, "--check"])
        self.assertEqual(ended.code, 0)
        self.assertEqual(parse(Site, tomllib.loads(printed.getvalue())), served.site)
        self.assertFalse((self.folder / "state").exists())

    def test_check_looks_at_the_machine(self) -> None:
        """So does what cannot be served here."""
        subnet = self.file(SUBNET)
        for words, message in (
            (["--http-root", "/nonexistent"], 'http.root = "/nonexistent": must be a folder that exists'),
            (["--http-root", subnet], f'http.root = "{subnet}": must be a folder that exists'),
            (["--state", "/" + 100 * "s"], 'state = "/sss'),
            *((["--http-listen", listen], f'http.listen = "{listen}": must be a Twisted endpoint: ') for listen in BAD),
            (
                ["-c", subnet, "--dhcp-mode=server", "--dhcp-interface=gone0"],
                'dhcp.interface = "gone0": must be one of ',
            ),
        ):
            line = self.refused(*words, "--check")
            self.assertTrue(line.startswith(message), f"{line} does not start with {message}")
        elsewhere = self.file(SUBNET.replace("127.0.0", "198.51.100"))
        for name, message in (
            ("lo", 'dhcp.interface = "lo": must have an address in the subnet 198.51.100.0/24'),
            ("", 'dhcp.interface = "": must be named: no interface has an address in the subnet 198.51.100.0/24'),
        ):
            line = self.refused("-c", elsewhere, "--dhcp-mode", "server", "--dhcp-interface", name, "--check")
            self.assertEqual(line, message)


BAD = ["tcp", "tcp:abc", "8080", "foo:80", "tcp:80:what=1", "systemd:domain=INET:index=0", "unix", "ssl:1:privateKey=/"]
"""Endpoints that Twisted cannot read; each makes it raise something else."""


class BuildCase(HttpCase):
    """Servers in this process."""

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.addCleanup(gc.unfreeze)
        self.udp = free_udp_port()
        self.settings = str(settings(self.folder, self.udp))

    def read(self, words: Mapping[str, str] | None = None) -> Site:
        """The settings file, with some keys set otherwise."""
        return load(self.settings, {tuple(key.split(".")): text for key, text in (words or {}).items()}, {})

    async def turn(self) -> None:
        """Let the reactor do what it was going to do next."""
        for _ in range(2):
            done: Deferred[None] = Deferred()
            reactor.callLater(0, done.callback, None)
            await done

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that says nothing when it happens; the time-out of the test bounds it."""
        while not condition():
            done: Deferred[None] = Deferred()
            reactor.callLater(0.01, done.callback, None)
            await done

    def nothing_is_left(self) -> None:
        """State and ports are free again."""
        StateLock.take(self.read().state).release()
        self.assertFalse(os.path.exists(self.read().control))
        self.assertTrue(is_free(self.udp, socket.SOCK_DGRAM))


def children() -> str:
    """The process ids of the children of this thread, which is the reactor's."""
    return Path("/proc/thread-self/children").read_text()


def files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


class BuildTests(BuildCase):
    """A server that can be built."""

    async def cycle(self, during: Callable[[Server], Any]) -> int:
        """One life of a server; the number of files open afterwards."""
        server = build(self.read(), EVERYTHING, reactor)
        await during(server)
        await server.stopService()
        await self.turn()
        self.assertFalse(server.failed)
        self.nothing_is_left()
        return files()

    async def serve(self, server: Server) -> None:  # type: ignore[override]
        """Start, and use everything once."""
        server.startService()
        http: Any = server.getServiceNamed("http")
        dhcp: Any = server.getServiceNamed("dhcp")
        await self.until(lambda: dhcp.store is not None)
        self.assertEqual(children().split(), [str(dhcp.store.helper_pid)])
        client = await self.connect(http.port)
        self.assertEqual((await client.ask(request("/healthz"))).body, b"ok\n")
        status = await deferToThread(channel.ask, self.read(), "GET", "/api/v1/status")
        self.assertEqual((status["pid"], status["counts"]["http.Served"]), (os.getpid(), 1))
        self.assertLess(0, status["uptime"])
        for path, mode in (("control", 0o600), ("", 0o700)):
            self.assertEqual(os.stat(f"{self.read().state}/{path}").st_mode & 0o777, mode, path)

    async def test_start_and_stop(self) -> None:
        """After the stop there is no file, port, timer, thread or process; then it can be started again."""
        first = await self.cycle(self.serve)
        self.assertEqual(await self.cycle(self.serve), first)
        self.assertEqual(children(), "")

    async def test_stopped_while_it_starts(self) -> None:
        """So it is when the helper process is not yet there, or was not even started; neither is that an error."""

        async def start(server: Server) -> None:
            server.startService()

        async def nothing(server: Server) -> None:
            """Not even start."""

        before = await self.cycle(nothing)
        self.assertLessEqual(before, await self.cycle(start))
        self.assertEqual((children(), files()), ("", before))
        self.assertEqual(await self.cycle(nothing), before)

    async def test_nobody_is_answered_before_the_start(self) -> None:
        """All ports are bound then, and what arrives waits."""

        async def late(server: Server) -> None:
            http: Any = server.getServiceNamed("http")
            client = await self.connect(http.port)
            client.write(request("/healthz"))
            await self.turn()
            self.assertEqual((http.connections, bytes(client.received)), (0, b""))
            self.assertFalse(is_free(self.udp, socket.SOCK_DGRAM))
            server.startService()
            self.assertEqual((await client.response()).body, b"ok\n")

        await self.cycle(late)


class RefusedTests(BuildCase):
    """A server that cannot be built: the reason, and nothing else."""

    async def refused(self, message: str, words: Mapping[str, str], parts: frozenset[str]) -> None:
        """It is refused with `message`; no file stays open."""
        await self.turn()
        before = files()
        error = self.assertRaises(Malformed, build, self.read(words), parts, reactor)
        self.assertTrue(str(error).startswith(message), f"{error} does not start with {message}")
        await self.turn()
        self.assertEqual(files(), before, message)

    async def test_all_or_none(self) -> None:
        """One port that is busy, and the others are given back; so is the state."""
        free = free_udp_port()
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        number = taken.getsockname()[1]
        busy = f"tcp:{number}:interface=127.0.0.1"
        await self.refused(f'http.listen = "{busy}": cannot be listened on: ', {"http.listen": busy}, EVERYTHING)
        self.nothing_is_left()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("", self.udp))
            listen = {"http.listen": f"tcp:{free}:interface=127.0.0.1"}
            message = f"dhcp.port = {self.udp}: cannot be bound on lo: Address already in use"
            await self.refused(message, listen, EVERYTHING)
            self.assertTrue(is_free(free, socket.SOCK_STREAM))
        self.nothing_is_left()
        os.mkdir(self.read().control)
        await self.refused(f'state = "{self.folder}/state": holds {self.read().control} already', listen, EVERYTHING)
        self.assertTrue(is_free(free, socket.SOCK_STREAM))
        os.rmdir(self.read().control)
        self.nothing_is_left()
        http: Any = build(self.read(listen), EVERYTHING, reactor)
        await http.stopService()

    async def test_machines_must_reach_what_they_are_sent_to(self) -> None:
        """HTTP at an address that is not one of the interface that DHCP serves is of no use to anybody there."""
        listen = {"http.listen": "tcp:0:interface=127.0.0.2"}
        await self.refused('http.listen = "tcp:0:interface=127.0.0.2": must be at every address', listen, EVERYTHING)
        self.nothing_is_left()

    async def test_nothing_to_serve(self) -> None:
        """Every part that was asked for is off."""
        off = {"http.listen": ""}
        await self.refused("there is nothing to serve: http is off", off, frozenset({"http"}))
        self.settings = str(settings(self.folder))
        await self.refused("there is nothing to serve: dhcp is off", {}, frozenset({"dhcp"}))
        await self.refused("there is nothing to serve: dhcp is off and http is off", off, EVERYTHING)
        self.assertFalse(os.path.exists(self.read().state))

    async def test_the_machine_is_looked_at_first(self) -> None:
        """What `examine` finds is found before there is a state folder."""
        for words, message in (
            ({"http.root": "/nonexistent"}, "http.root = "),
            ({"http.listen": "foo:80"}, "http.listen = "),
            ({"dhcp.interface": "gone0"}, "dhcp.interface = "),
            ({"state": f"{self.folder}/{100 * 's'}"}, "state = "),
        ):
            await self.refused(message, words, EVERYTHING)
        self.assertEqual(os.listdir(self.folder), ["site.toml"])

    async def test_unusable_state(self) -> None:
        """A state folder that is a file, and one that holds a file where the containers belong."""
        (self.folder / "state").write_text("")
        await self.refused(f"the state folder {self.folder}/state cannot be used: ", {}, EVERYTHING)
        os.unlink(self.folder / "state")
        (self.folder / "state").mkdir()
        (self.folder / "state" / "containers").write_text("")
        await self.refused(f"the folder {self.folder}/state/containers cannot be made: ", {}, EVERYTHING)
        self.nothing_is_left()
