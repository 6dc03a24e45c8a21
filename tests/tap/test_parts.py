"""Tests of `pixelboot.tap`: the settings of a site become a server, or one line that says why not."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import astuple
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from pixelboot.cli import channel
from pixelboot.dhcp import listening
from pixelboot.library.folder.look import Stamp
from pixelboot.library.sharing import remembered
from pixelboot.malformed import Malformed
from pixelboot.site import Site, load
from pixelboot.state.lock import StateLock
from pixelboot.tap import examine
from pixelboot.tap.examine import EVERYTHING
from pixelboot.tap.parts import build, facing
from pixelboot.tap.server import Server
from pixelboot.udp import changes
from pixelboot.udp.interfaces import Interface, interfaces
from tests.http.authority import Authority
from tests.http.shelf import HttpCase
from tests.http.shelf import get as request
from tests.running import (
    folder_for,
    free_udp_port,
    is_free,
    settings,
)

reactor = cast("Any", _reactor)


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

    async def status(self) -> Any:
        """What the server says of itself on its control socket."""
        return await deferToThread(channel.ask, self.read(), "GET", "/api/v1/status")

    def nothing_is_left(self) -> None:
        """State and ports are free again."""
        StateLock.take(self.read().state).release()
        self.assertFalse(os.path.exists(self.read().control))
        self.assertTrue(is_free(self.udp, socket.SOCK_DGRAM))


def children() -> str:
    """The process ids of the children of this thread, which is the reactor's."""
    return Path("/proc/thread-self/children").read_text()


def files() -> int:
    """How many files this process has open, but for /dev/null: Twisted holds that in reserve from its first port on."""
    folder = "/proc/self/fd"
    return sum(os.path.realpath(f"{folder}/{name}") != os.devnull for name in os.listdir(folder))


class BuildTests(BuildCase):
    """A server that can be built."""

    def test_facing(self) -> None:
        """The address of ours that a machine can reach; what is no address is not asked of a name server."""
        self.assertEqual(facing("127.0.0.9"), "127.0.0.1")
        for address in ("localhost", "", "local"):
            self.assertRaises(OSError, facing, address)

    async def test_memory_of_the_start(self) -> None:
        """The garbage collector leaves it alone in a process of our own, whatever is served; not in another's."""
        site = load(str(settings(self.folder, listen="", tftp_port=self.udp)), {}, {})
        for own in (False, True):
            server = build(site, frozenset({"tftp"}), reactor, own=own)
            server.startService()
            await self.turn()
            self.assertEqual(gc.get_freeze_count() > 0, own)
            await server.stopService()

    async def test_digests_are_remembered(self) -> None:
        """Those of large files, in the folder of the cache."""
        site = load(str(settings(self.folder, listen="", tftp_port=self.udp)), {}, {})
        stamp, sha256 = Stamp(1, 2, 1 << 30, 3, 4), "ab" * 32
        remembered.write(f"{site.state}/cache/digests.json", [[*astuple(stamp), sha256]])
        server = build(site, frozenset({"tftp"}), reactor)
        server.startService()
        await self.turn()
        tree: Any = server.getServiceNamed("tree")
        self.assertEqual(tree._digests.known(stamp), sha256)
        await server.stopService()

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
        self.assertIn(str(dhcp.store.helper_pid), children().split())
        client = await self.connect(http.port)
        self.assertEqual((await client.ask(request("/healthz"))).body, b"ok\n")
        status = await self.status()
        self.assertEqual((status["pid"], status["counts"]["http.Served"]), (os.getpid(), 1))
        script = (await client.ask(request("/loaders/autoexec.ipxe"))).body.decode()
        self.assertIn(f" http://127.0.0.1:{http.port}/menu.ipxe?mac=", script)
        self.assertLess(0, status["uptime"])
        self.assertEqual((status["leases"], status["lease_counts"], status["neighbours"]), ([], {}, []))
        dhcp_lines = [(each["listening"], each["about"]) for each in status["services"] if "dhcp" in each["name"]]
        self.assertEqual(dhcp_lines[0], (f"lo udp {self.udp}, {self.read().dhcp.proxy_port}", "as 127.0.0.1"))
        self.assertEqual(dhcp_lines[1:], [("127.0.0.0/24", "0 of 100 addresses leased")])
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

    async def test_an_interface_that_comes_later(self) -> None:
        """The server starts without it, and says so; its ports are bound when it is there."""
        machine: dict[str, Interface] = {}
        for module in (examine, listening):
            self.patch(module, "interfaces", lambda: dict(machine))
        for name, seconds in (("PAUSE", 0.01), ("POLL", 0.02)):
            self.patch(changes, name, seconds)
        server: Any = build(self.read({"http.listen": "tcp:0"}), EVERYTHING, reactor)
        server.startService()
        dhcp: Any = server.getServiceNamed("dhcp")
        await self.until(lambda: dhcp.store is not None)
        self.assertTrue(is_free(self.udp, socket.SOCK_DGRAM))
        status = await self.status()
        self.assertIn(
            {"name": "dhcp", "listening": "lo", "about": "waiting: there is no such interface"}, status["services"]
        )
        self.assertEqual(status["counts"]["dhcp.Missing"], 1)
        machine.update({"lo": interfaces()["lo"]})
        await self.until(lambda: "lo" in dhcp.listening.interfaces)
        self.assertFalse(is_free(self.udp, socket.SOCK_DGRAM))
        self.assertEqual((await self.status())["counts"]["dhcp.Served"], 1)
        await server.stopService()
        self.nothing_is_left()

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
        first = f"tcp:{free}:interface=127.0.0.1"
        both = {"http.listen": f"{first},{busy}"}
        await self.refused(f'http.listen = "{busy}": cannot be listened on: ', both, EVERYTHING)
        self.assertTrue(is_free(free, socket.SOCK_STREAM))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("", self.udp))
            listen = {"http.listen": first}
            message = f"dhcp.port = {self.udp}: cannot be bound on lo: Address already in use"
            await self.refused(message, listen, EVERYTHING)
            second = {**listen, "dhcp.port": str(free_udp_port()), "dhcp.proxy_port": str(self.udp)}
            message = f"dhcp.proxy_port = {self.udp}: cannot be bound on lo: Address already in use"
            await self.refused(message, second, EVERYTHING)
            self.assertTrue(is_free(free, socket.SOCK_STREAM))
        self.nothing_is_left()
        os.mkdir(self.read().control)
        held = f'state = "{self.folder}/state": holds {self.read().control} already'
        await self.refused(held, listen, EVERYTHING)
        # Not even the word that an interface is waited for is left to be written.
        await self.refused(held, {"dhcp.interface": "lo,gone0", "http.listen": "tcp:0"}, EVERYTHING)
        self.assertTrue(is_free(free, socket.SOCK_STREAM))
        os.rmdir(self.read().control)
        self.nothing_is_left()
        http: Any = build(self.read(listen), EVERYTHING, reactor)
        await http.stopService()

    def test_nothing_is_left_before_the_reactor_runs(self) -> None:
        """What was opened is closed at once: in somebody's program the reactor may run much later, or never."""
        before = files()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("", self.udp))
            self.assertRaises(Malformed, build, self.read(), EVERYTHING, reactor)
        self.assertEqual(files(), before)
        self.assertFalse(os.path.exists(self.read().control))

    async def test_the_setting_of_a_port(self) -> None:
        """A port for TFTP that is taken is told with the setting that it stands in."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            other.bind(("::1", 0))
            number = other.getsockname()[1]
            tftp = {"tftp.enabled": "true", "tftp.port": str(free_udp_port()), "tftp.address6": "::1"}
            for key, value in (("port", f"{number}"), ("data_ports", f'"{number}"')):
                message = f"tftp.{key} = {value}: cannot be bound at ::1: Address already in use"
                await self.refused(message, {**tftp, f"tftp.{key}": str(number)}, frozenset({"tftp"}))
        self.nothing_is_left()

    async def test_machines_must_reach_what_they_are_sent_to(self) -> None:
        """HTTP or TFTP at an address that machines are not told is of no use to anybody there."""
        await self.refused(
            'http.listen = "tcp:0:interface=127.0.0.2": must be at every address, or at the one of lo',
            {"http.listen": "tcp:0:interface=127.0.0.2"},
            EVERYTHING,
        )
        tftp = {"tftp.enabled": "true", "tftp.port": str(free_udp_port()), "tftp.address": "127.0.0.2"}
        message = 'tftp.address = "127.0.0.2": must be at every address, or at the one of lo that machines are told'
        await self.refused(message, tftp, EVERYTHING)
        self.nothing_is_left()
        # That is no matter where they are sent to another server, and where nobody is sent here.
        for words, parts in (({**tftp, "boot.tftp_server": "127.0.0.7"}, EVERYTHING), (tftp, frozenset({"tftp"}))):
            server: Any = build(self.read(words), parts, reactor)
            await server.stopService()

    async def test_tls_is_not_where_machines_are_sent(self) -> None:
        """They need not reach it; the first plain one they must, and it is the one that is told."""
        files = Authority().put(self.folder / "tls")
        tls = f"ssl:0:interface=127.0.0.2:privateKey={files.key}:certKey={files.certificate}"
        plain = "tcp:0:interface=127.0.0.3"
        await self.refused(f'http.listen = "{plain}": must be at', {"http.listen": f"{tls},{plain}"}, EVERYTHING)
        for listen in (f"{tls},tcp:0:interface=127.0.0.1", tls):
            server: Any = build(self.read({"http.listen": listen}), EVERYTHING, reactor)
            self.assertEqual(server.getServiceNamed("http").host, "127.0.0.1" if listen != tls else None)
            await server.stopService()

    async def test_several_addresses(self) -> None:
        """With more than one on the interface, which of them machines are told has to be said."""
        two = Interface("lo", 1, (IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2")))
        self.patch(examine, "interfaces", lambda: {"lo": two})
        listen = {"http.listen": "tcp:0:interface=127.0.0.2"}
        await self.refused('http.listen = "tcp:0:interface=127.0.0.2": must be at every', listen, EVERYTHING)
        server: Any = build(self.read({**listen, "dhcp.address": "127.0.0.2"}), EVERYTHING, reactor)
        await server.stopService()

    async def test_several_interfaces(self) -> None:
        """Machines on each are told another address; an interface that is waited for may get any."""
        one = {"http.listen": "tcp:0:interface=127.0.0.1"}
        told = 'http.listen = "tcp:0:interface=127.0.0.1": must be at every address'
        for names, address, message in (
            ("lo,gone0", "", f"{told}: machines on lo, gone0 are each told the one of their interface"),
            ("lo,gone0", "127.0.0.1", f"{told}: machines on lo, gone0 are each told"),
            (
                "gone0",
                "",
                f"{told}, or at the one of gone0 that machines are told; it has none yet, so",
            ),
        ):
            words = {**one, "dhcp.interface": names, "dhcp.address": address}
            await self.refused(message, words, EVERYTHING)
        server: Any
        for words in ({"dhcp.interface": "lo,gone0", "http.listen": "tcp:0"}, {**one, "dhcp.interface": "lo"}):
            server = build(self.read(words), EVERYTHING, reactor)
            await server.stopService()
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
            (
                {"http.listen": "tcp:0,ssl:0:privateKey=/nonexistent"},
                'http.listen = "ssl:0:privateKey=/nonexistent": /nonexistent: No such file',
            ),
            ({"dhcp.address": "198.51.100.9"}, "dhcp.address = "),
            ({"state": f"{self.folder}/{100 * 's'}"}, "state = "),
        ):
            await self.refused(message, words, EVERYTHING)
        self.assertEqual(os.listdir(self.folder), ["site.toml"])

    async def test_unusable_state(self) -> None:
        """A state folder that is a file, one that holds a file where the containers belong, and files that are none."""
        (self.folder / "state").write_text("")
        await self.refused(f"the state folder {self.folder}/state cannot be used: ", {}, EVERYTHING)
        os.unlink(self.folder / "state")
        (self.folder / "state").mkdir()
        (self.folder / "state" / "containers").write_text("")
        await self.refused(f"the folder {self.folder}/state/containers cannot be made: ", {}, EVERYTHING)
        os.unlink(self.folder / "state" / "containers")
        for name, parts in (("hosts", EVERYTHING), ("hosts", frozenset({"dhcp"})), ("containers", EVERYTHING)):
            file = self.folder / "state" / f"{name}.sqlite"
            file.write_bytes(b"no choices" * 1000)
            await self.refused(f"{file} is damaged (file is not a database): put back a copy, or move it", {}, parts)
            self.assertEqual(file.read_bytes(), b"no choices" * 1000)
            file.unlink()
        self.nothing_is_left()
