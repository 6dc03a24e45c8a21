"""Loaders that fetch all they need by HTTP, out of the folder that Debian has for that: EDK2, shim and GRUB."""

from __future__ import annotations

import hashlib
import random
import re
import shutil

from lab import needs
from lab.machine import qemu
from lab.machine.firmware import Firmware
from lab.network import router_advertisement
from lab.network.namespace import BRIDGE, SERVER_ADDRESS
from lab.process import Process
from tests.firmware.case import LabCase

SHIM = "debian-installer/amd64/bootnetx64.efi"

# GRUB asks on port 80 unless it is told another.
SITE = """\
state = "{folder}/state"
tftp.root = "{folder}/tree"
http.listen = "tcp:80"

[dhcp]
mode = "server"
interface = "br0"

[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]

[boot.loaders]
{loader}
"""

# `hashsum` reads a file in pieces; one that is not there is no reason to give up.
GRUB = f"""\
insmod http
insmod hashsum
hashsum --hash sha1 (http,{SERVER_ADDRESS})/loaders/not-there
hashsum --hash sha1 (http,{SERVER_ADDRESS})/loaders/large
echo The end
halt
"""

LARGE = 24 * 1024 * 1024 + 700
"""Octets of the large file."""

PATIENCE = 180.0


class HttpLoaderTests(LabCase):
    """Machines whose firmware, or whose loader, speaks HTTP."""

    programs = (*Firmware.UEFI_HTTP.needs, needs.NETBOOT)

    def setUp(self) -> None:
        """Prepare the folder, without the installer itself."""
        super().setUp()
        self.root = self.network.folder / "tree"
        shutil.copytree(needs.NETBOOT, self.root, symlinks=True, ignore=shutil.ignore_patterns("initrd.gz", "linux"))
        self.enterContext(router_advertisement.answering(self.network.server, BRIDGE))

    def power_on(self, firmware: Firmware, loader: str) -> Process:
        """A machine that is given this loader, by a server that is started first."""
        config = SITE.format(folder=self.network.folder, loader=loader)
        self.log = self.running(self.serve(config=config).start())
        return self.running(qemu.power_on(self.network.segment, qemu.identity(1), firmware))

    def fetched(self, *steps: str) -> None:
        """The server tells of these exchanges with the machine (regular expressions), in this order."""
        hwaddr = qemu.identity(1).hwaddr
        self.log.wait_for(rf"http#\w+\] {hwaddr} \S+ {steps[-1]}", 10.0)
        told = [line.text for line in self.log.lines if re.search(rf"http#\w+\] {hwaddr} ", line.text)]
        rest = iter(told)
        for step in steps:
            self.assertTrue(any(re.search(step, line) for line in rest), f"{step} is not in its place in {told}")

    def test_shim(self) -> None:
        """EDK2 fetches shim (HEAD, then GET), and shim GRUB, by EDK2's HTTP; other files are not there."""
        machine = self.power_on(Firmware.UEFI_HTTP, f'uefi-http-x64 = "http://{SERVER_ADDRESS}/loaders/{SHIM}"')
        machine.wait_for("Welcome to GRUB!", PATIENCE)
        self.fetched(
            rf"HEAD /loaders/{SHIM} 200 ",
            rf"GET /loaders/{SHIM} 200 1\.0 MB ",
            r"GET /loaders/debian-installer/amd64//?\w+\.efi 404 ",
            r"GET /loaders/debian-installer/amd64//?grubx64\.efi 200 3\.8 MB ",
        )

    def test_grub(self) -> None:
        """GRUB, which came by TFTP, fetches a large file by HTTP, of which it has every octet."""
        octets = random.Random(9112).randbytes(LARGE)
        (self.root / "large").write_bytes(octets)
        (self.root / "debian-installer" / "amd64" / "grub" / "grub.cfg").write_text(GRUB)
        machine = self.power_on(Firmware.UEFI, f'uefi-x64 = "{SHIM}"')
        machine.wait_for("The end", PATIENCE)
        said = machine.wait_for(r"([0-9a-f]{40})  \S*/large", 5.0)[1]
        self.assertEqual(said, hashlib.sha1(octets, usedforsecurity=False).hexdigest())
        self.assertEqual(machine.wait(30.0), 0)
        self.fetched(r"GET /loaders/not-there 404 ", r"GET /loaders/large 200 25\.2 MB ")
