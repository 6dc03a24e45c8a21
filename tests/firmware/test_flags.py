"""What every flag of ``pixelrts pxe`` did is done by its setting here: a server with all of them, and its clients.

The manual's table says which setting that is (``docs/reference/flags.rst``).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from lab import CHECKOUT, needs
from lab.needs import program
from lab.network.namespace import BRIDGE, Namespace
from lab.process import LabError
from tests.firmware.case import LabCase
from tests.test_flags import table

SITE = """\
state = "{folder}/state"
verbose = true

[dhcp]
mode = "server"
interface = "br0"
address = "10.77.0.2"

[[dhcp.subnet]]
network = "10.77.0.0/25"
pool = ["10.77.0.33-10.77.0.33"]
lease_time = 777

[boot]
default = "shell"
timeout = 7
tftp_server = "10.77.0.3"
loaders.bios = "mine.pxe"

[tftp]
address = "10.77.0.2"
port = 6969
root = "{folder}/tftp"
blksize = 600
timeout = 0.5
retries = 2

[http]
listen = "tcp:8888:interface=10.77.0.2"
root = ["{folder}/first", "{folder}/second"]
ranges = false
"""

_UDHCPC = 'test "$1" != bound || echo "BOUND $ip $subnet $lease by $serverid, $siaddr $boot_file"\n'

_SILENT_CLIENT = """\
import socket, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5)
client.sendto(b"\\0\\1file\\0octet\\0blksize\\x001468\\0", ("10.77.0.2", 6969))
seen = []
try:
    while True:
        octets, source = client.recvfrom(2048)
        if octets[1] == 6:
            seen.append((octets, time.monotonic()))
except TimeoutError:
    pass
print(repr(seen[0][0]), len(seen), source[0], *(round(b[1] - a[1], 1) for a, b in zip(seen, seen[1:])))
"""
"""Asks for a file and says nothing more: which options it is offered, how often, from where, seconds in between."""

_PROBE = """\
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5)
client.sendto(b"\\0\\1file\\0octet\\0tsize\\x000\\0", ("10.77.0.2", 6969))
octets, source = client.recvfrom(2048)
client.sendto(b"\\0\\5\\0\\x08no\\0", source)
print(octets)
"""
"""Asks how large a file is, as UEFI does."""


class FlagTests(LabCase):
    """One server for all."""

    programs = (*needs.NETWORK, "udhcpc", "busybox")

    def setUp(self) -> None:
        """A server with two addresses, and a machine beside it."""
        super().setUp()
        folder = self.network.folder
        for name in ("tftp", "first", "second"):
            (folder / name).mkdir()
        (folder / "tftp" / "file").write_bytes(bytes(1000))
        for name in ("first/a", "second/b"):
            (folder / f"{name}.rts.png").write_bytes(b"this is no picture")
        self.network.server.ip("address", "add", "10.77.0.2/24", "dev", BRIDGE)
        self.server = self.serve(config=SITE.format(folder=folder))
        self.log = self.running(self.server.start())
        self.client = self.network.client()

    def test_flags(self) -> None:
        """Every row of the table has a check, which passes."""
        checks = {
            "dhcp": self.dhcp,
            "tftp": self.tftp,
            "http": self.http,
            "menu list, status": self.status,
        }
        checked = {(command, flag) for command, check in checks.items() for flag in check()}
        self.assertEqual(checked, {(command, flag.removeprefix("--")) for command, flag, _ in table()})

    def dhcp(self) -> set[str]:
        """A BIOS that boots by PXE."""
        script = self.script("udhcpc.script", _UDHCPC)
        firmware = ("-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000")
        argv = (program("udhcpc"), "-f", "-q", "-n", "-i", "eth0", "-s", script, "-T", "1", *firmware)
        said = self.client.start("udhcpc", *argv)
        self.running(said)
        bound = said.wait_for(r"BOUND (\S+) (\S+) (\S+) by (\S+), (\S+) (\S+)", 20.0)
        self.assertEqual(bound[1], "10.77.0.33", "ip-range-start, ip-range-end")
        self.assertEqual(bound[2], "255.255.255.128", "subnet-mask")
        self.assertEqual(bound[3], "777", "lease-time")
        self.assertEqual(bound[4], "10.77.0.2", "server-ip")
        self.assertEqual(bound[5], "10.77.0.3", "tftp-server")
        self.assertEqual(bound[6], "mine.pxe", "bootfile")
        self.log.wait_for(rf"answering on {BRIDGE}, udp 67", 1.0)
        self.client.ip("address", "add", "10.77.0.33/24", "dev", "eth0")
        ranges = {"ip-range-start", "ip-range-end"}
        return ranges | {"interface", "server-ip", "subnet-mask", "lease-time", "tftp-server", "bootfile", "verbose"}

    def tftp(self) -> set[str]:
        """A client that is silent, and one that asks for a size only."""
        said = run_python(self.client, _SILENT_CLIENT).split()
        self.assertEqual(said[0], r"b'\x00\x06blksize\x00600\x00'", "root-dir, port, block-size")
        self.assertEqual(said[1:3], ["3", "10.77.0.2"], "max-retries, interface")
        first, second = map(float, said[3:])
        self.assertEqual(first, 0.5, "timeout")
        self.assertGreater(second, first)
        self.assertIn("tsize", run_python(self.client, _PROBE))
        self.log.wait_for(r"\[pixelboot\.tftp#debug\] .*file", 5.0)  # verbose
        return {"root-dir", "port", "block-size", "max-retries", "interface", "timeout", "verbose"}

    def http(self) -> set[str]:
        """Files of two folders, whole, and the menu."""
        base = "http://10.77.0.2:8888"
        fetch = (program("busybox"), "wget", "-q", "-O", "-")
        listed = json.loads(self.client.run(*fetch, f"{base}/containers"))
        self.assertEqual([each["file"] for each in listed["containers"]], ["a.rts.png", "b.rts.png"])
        whole = self.client.run(*fetch, "--header", "Range: bytes=0-3", f"{base}/files/b.rts.png")
        self.assertEqual(whole, "this is no picture", "no-range")
        menu = self.client.run(*fetch, f"{base}/menu.ipxe")
        self.assertIn("choose --default shell --timeout 7000 ", menu, "default-entry, menu-timeout")
        with self.assertRaises(LabError, msg="interface"):
            self.client.run(*fetch, "-T", "2", "http://10.77.0.1:8888/healthz")
        found = {"interface", "port", "root-dir", "watch-path", "no-range", "default-entry", "menu-timeout"}
        return found | {"verbose"}

    def status(self) -> set[str]:
        """The server of which all that was asked."""
        shown = json.loads(self.server.command("status", "--json"))
        self.assertEqual([lease["address"] for lease in shown["leases"]], ["10.77.0.33"])
        self.assertTrue(re.fullmatch(r"[0-9.]+\S*", shown["version"]))
        return {"json"}


class ModuleTests(LabCase):
    """``python -m pixelboot``."""

    def test_serve(self) -> None:
        """It is the command ``pixelboot``, and a server as well."""
        state = self.network.folder / "state"
        words = ("--state", str(state), "--dhcp-interface", BRIDGE)
        python = (sys.executable, "-m", "pixelboot")
        server = self.network.server.start("pixelboot", *python, "serve", *words, env={"PYTHONPATH": str(CHECKOUT)})
        self.running(server)
        server.wait_for(rf"answering on {BRIDGE}, udp 67 and 4011", 60.0)
        self.assertTrue(Path(state / "containers").is_dir())
        self.network.server.run(*python, "stop", "--state", str(state))
        self.assertEqual(server.wait(20.0), 0)


def run_python(client: Namespace, text: str) -> str:
    """What a program in Python writes, run by a client."""
    return client.run(sys.executable, "-c", text)
