"""Tests of `pixelboot.services`: each service in a Twisted program that is not pixelboot's."""

from __future__ import annotations

import os
import runpy
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from pixelboot import services
from pixelboot.config import ConfigError
from pixelboot.malformed import Malformed
from pixelboot.state.hosts import FILE_NAME, HostsFile
from pixelboot.tap.server import Server
from tests.dhcp.captures import EDK2_DISCOVER
from tests.running import command, folder_for, free_udp_port, get, is_free
from tests.test_examples import EXAMPLES

reactor = cast("Any", _reactor)
PATIENCE = 20.0


def ask(octets: bytes, port: int) -> bytes:
    """Send one datagram from a port of our own to loopback and return the first answer; blocks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.bind(("127.0.0.1", 0))
        client.sendto(octets, ("127.0.0.1", port))
        return client.recv(2048)


class ServicesTests(TestCase):
    """A program of somebody else's, with one of our services in it."""

    timeout = 60

    def setUp(self) -> None:
        self.folder = folder_for(self.addCleanup)
        self.state = self.folder / "state"
        self.program = MultiService()
        self.program.startService()
        self.addCleanup(self.program.stopService)
        (self.folder / "root").mkdir()
        (self.folder / "root" / "hello").write_bytes(b"octets")

    def settings(self, **tables: Mapping[str, object]) -> dict[str, object]:
        """Settings with a state folder of their own."""
        return {"state": str(self.state), **tables}

    def run_in_program(self, service: Server) -> None:
        """It is a service like any other."""
        self.assertTrue(IService.providedBy(service))
        service.setServiceParent(self.program)

    async def test_tftp(self) -> None:
        """It answers while its parent runs, and is gone when it has left it."""
        port = free_udp_port()
        tftp = {"root": str(self.folder / "root"), "port": port, "address": "127.0.0.1"}
        service = services.tftp(reactor, self.settings(tftp=tftp))
        self.run_in_program(service)
        data = await deferToThread(ask, b"\0\1hello\0octet\0", port)
        self.assertEqual(data, b"\0\3\0\1octets")
        await cast("Any", service.disownServiceParent())
        self.assertTrue(is_free(port, socket.SOCK_DGRAM))
        self.assertTrue(self.program.running)

    async def test_dhcp(self) -> None:
        """A proxy on loopback; it sends machines to the TFTP server that the settings name."""
        port, other = free_udp_port(), free_udp_port()
        dhcp = {"interface": "lo", "port": port, "proxy_port": other}
        boot = {"tftp_server": "127.0.0.7", "loaders": {"uefi-x64": "mine.efi"}}
        self.run_in_program(services.dhcp(reactor, self.settings(dhcp=dhcp, boot=boot)))
        # What arrives at the second port is answered to the port it came from.
        reply = await deferToThread(ask, request_on_4011(EDK2_DISCOVER), other)
        self.assertEqual(socket.inet_ntoa(reply[20:24]), "127.0.0.7")
        self.assertEqual(reply[108:236].rstrip(b"\0"), b"mine.efi")

    async def test_dhcp_obeys_what_was_chosen(self) -> None:
        """DHCP alone: a machine loads what was chosen for it in the whole pixelboot that had this state folder."""
        self.state.mkdir()
        HostsFile.open(str(self.state / FILE_NAME), {}).change("52:54:00:77:00:01", {"loader": "chosen.efi"})
        other = free_udp_port()
        settings = {"interface": "lo", "port": free_udp_port(), "proxy_port": other}
        boot = {"tftp_server": "127.0.0.7", "loaders": {"uefi-x64": "usual.efi"}}
        hosts = [{"mac": "52:54:00:77:00:02", "loader": "settled.efi"}]
        document = {**self.settings(dhcp=settings, boot=boot), "host": hosts}
        self.run_in_program(services.dhcp(reactor, document))
        for last, loader in ((1, b"chosen.efi"), (2, b"settled.efi"), (3, b"usual.efi")):
            octets = bytearray(request_on_4011(EDK2_DISCOVER))
            octets[28:34] = bytes.fromhex(f"52540077000{last}")
            reply = await deferToThread(ask, bytes(octets), other)
            self.assertEqual(reply[108:236].rstrip(b"\0"), loader)

    async def test_addresses(self) -> None:
        """An address server that comes and goes leaves nothing behind in the program: no file, no port, no process."""
        port, other = free_udp_port(), free_udp_port()
        subnet = {"network": "127.0.0.0/24", "pool": ["127.0.0.100-127.0.0.199"]}
        dhcp = {"mode": "server", "interface": "lo", "port": port, "proxy_port": other, "subnet": [subnet]}
        left: list[int] = []
        for _ in range(2):
            service = services.dhcp(reactor, self.settings(dhcp=dhcp))
            self.run_in_program(service)
            part = cast("Any", service.getServiceNamed("dhcp"))
            while part.store is None:
                await deferLater(reactor, 0.01)
            reply = await deferToThread(ask, request_on_4011(EDK2_DISCOVER), other)
            self.assertEqual(socket.inet_ntoa(reply[20:24]), "127.0.0.1")
            await cast("Any", service.disownServiceParent())
            await deferLater(reactor, 0)
            self.assertTrue(is_free(port, socket.SOCK_DGRAM) and is_free(other, socket.SOCK_DGRAM))
            self.assertEqual(Path("/proc/thread-self/children").read_text(), "")
            left.append(len(os.listdir("/proc/self/fd")))
        self.assertEqual(left, left[:1] * 2)
        self.assertTrue(self.program.running)

    async def test_http(self) -> None:
        """Its port is the one that the system gave, if the settings leave that open."""
        http = {"listen": "tcp:0:interface=127.0.0.1"}
        service = services.http(reactor, self.settings(http=http))
        self.run_in_program(service)
        port = cast("Any", service.getServiceNamed("http")).port
        self.assertEqual(await deferToThread(get, port, "/healthz"), (200, b"ok\n"))

    async def test_everything(self) -> None:
        """All of it at once; ``pixelboot stop`` ends it, and not the program around it."""
        settings = self.settings(
            dhcp={"interface": "lo", "port": free_udp_port(), "proxy_port": free_udp_port()},
            tftp={"port": free_udp_port(), "address": "127.0.0.1"},
            http={"listen": "tcp:0:interface=127.0.0.1"},
        )
        service = services.everything(reactor, settings)
        self.run_in_program(service)
        status, out, error = await deferToThread(command, "status", "--state", self.state)
        self.assertEqual((status, error), (0, ""), out)
        for name in ("dhcp", "tftp", "http"):
            self.assertIn(name, out)

    def test_refused(self) -> None:
        """What is wrong is raised, with its key where it is a setting; nothing stays open."""
        port = free_udp_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("", port))
            for settings, kind, told in (
                ({"tftp": {"prot": 69}}, ConfigError, "tftp.prot = 69: there is no such setting"),
                ({"tftp": {"port": port}}, ConfigError, f"tftp.port = {port}: cannot be bound"),
                ({"tftp": {"enabled": False}}, Malformed, "there is nothing to serve: tftp is off"),
            ):
                error = self.assertRaises(kind, services.tftp, reactor, self.settings(**settings))
                self.assertTrue(str(error).startswith(told), f"{error} does not start with {told}")
            free = free_udp_port()
            dhcp = {"interface": "lo", "port": free, "proxy_port": port}
            error = self.assertRaises(ConfigError, services.dhcp, reactor, self.settings(dhcp=dhcp))
            self.assertEqual(
                str(error),
                f"dhcp.proxy_port = {port}: cannot be bound on lo: Address already in use "
                "(another server runs on this machine)",
            )
            self.assertTrue(is_free(free, socket.SOCK_DGRAM))

    async def test_the_example(self) -> None:
        """The program in the manual makes a service that runs; only its folders and port are others here."""
        port = free_udp_port()
        text = (EXAMPLES / "embedded.py").read_text(encoding="utf-8")
        for theirs, ours in (("/srv/tftp", f"{self.folder}/root"), ("/var/lib/my-program", str(self.state))):
            self.assertIn(f'"{theirs}"', text)
            text = text.replace(theirs, ours)
        (self.folder / "embedded.py").write_text(text.replace("6969", str(port)), encoding="utf-8")
        program = IService(runpy.run_path(str(self.folder / "embedded.py"))["application"])
        program.startService()
        self.assertEqual(await deferToThread(ask, b"\0\1hello\0octet\0", port), b"\0\3\0\1octets")
        await cast("Any", program.stopService())


def request_on_4011(discover: bytes) -> bytes:
    """The REQUEST that a machine at 127.0.0.1 sends after such a DISCOVER."""
    message = bytearray(discover)
    message[12:16] = socket.inet_aton("127.0.0.1")
    at = message.index(b"\x35\x01\x01", 240)
    message[at + 2] = 3
    return bytes(message)
