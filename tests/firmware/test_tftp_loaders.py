"""Loaders that fetch all they need by TFTP, out of the folder that Debian has for that: PXELINUX; shim and GRUB."""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import shutil

from lab import needs
from lab.machine import initramfs, kernel, qemu
from lab.machine.firmware import Firmware
from lab.network import router_advertisement
from lab.network.namespace import BRIDGE
from lab.process import Process
from tests.firmware.case import LabCase

SITE = """\
state = "{folder}/state"
tftp.root = "{folder}/tftp"

[dhcp]
mode = "server"
interface = "br0"

[[dhcp.subnet]]
network = "10.77.0.0/24"
pool = ["10.77.0.100-10.77.0.199"]

[boot.loaders]
bios = "pxelinux.0"
uefi-x64 = "debian-installer/amd64/bootnetx64.efi"
"""

PXELINUX = """\
SAY {word}
DEFAULT it
PROMPT 0
LABEL it
"""

LINUX = f"""\
KERNEL /kernel
INITRD /initrd
APPEND {initramfs.CMDLINE}
"""

GRUB = """\
insmod hashsum
hashsum --hash sha1 /large
halt
"""

LARGE = 64 * 1024 * 1024 + 700
"""Octets of a file with more blocks of 1024 octets than there are numbers."""

PATIENCE = 180.0


class LoaderTests(LabCase):
    """Machines on a network where IPv6 keeps nobody waiting."""

    programs = (*Firmware.BIOS.needs, *Firmware.UEFI.needs, *needs.PACKING, needs.NETBOOT)

    def setUp(self) -> None:
        """Prepare the folder, without the installer itself, and start a server."""
        super().setUp()
        self.root = self.network.folder / "tftp"
        shutil.copytree(needs.NETBOOT, self.root, symlinks=True, ignore=shutil.ignore_patterns("initrd.gz", "linux"))
        self.loaders = self.root / "debian-installer" / "amd64"
        self.enterContext(router_advertisement.answering(self.network.server, BRIDGE))
        self.log = self.running(self.serve(config=SITE.format(folder=self.network.folder)).start())

    def power_on(self, number: int, firmware: Firmware) -> Process:
        """A machine, which is switched off at the test's end."""
        return self.running(qemu.power_on(self.network.segment, qemu.identity(number), firmware))

    def fetched(self, number: int, *files: str) -> None:
        """The server tells that the machine has these files (regular expressions of name and terms), in this order."""
        hwaddr = qemu.identity(number).hwaddr
        self.log.wait_for(rf"tftp#info\] {hwaddr} \S+ {files[-1]}", 10.0)
        told = iter([line.text for line in self.log.lines if f"tftp#info] {hwaddr} " in line.text])
        for file in files:
            self.assertTrue(any(re.search(rf" {file}", line) for line in told), f"{file}\n{self.log.tail(60)}")

    def test_pxelinux(self) -> None:
        """It finds the settings of its machine, or at last those for all; what they name it boots, every octet."""
        settings = self.loaders / "pxelinux.cfg"
        own, default = secrets.token_hex(), secrets.token_hex()
        (settings / f"01-{qemu.identity(1).hwaddr.replace(':', '-')}").write_text(PXELINUX.format(word=own) + LINUX)
        (settings / "default").unlink()
        (settings / "default").write_text(PXELINUX.format(word=default) + "LOCALBOOT -1\n")
        system = initramfs.build(1 << 16)
        (self.root / "initrd").write_bytes(system.octets)
        shutil.copyfile(kernel.kernel(), self.root / "kernel")
        machine, other = self.power_on(1, Firmware.BIOS), self.power_on(2, Firmware.BIOS)

        other.wait_for(default, PATIENCE)
        address = self.log.wait_for(rf"{qemu.identity(2).hwaddr} has 10\.77\.0\.(\d+) ", 10.0)[1]
        digits = f"0A4D00{int(address):02X}"
        tried = ["33221100-5544-7766-8899-aabbccddee02", f"01-{qemu.identity(2).hwaddr.replace(':', '-')}"]
        tried += [digits[:length] for length in range(8, 0, -1)]
        self.fetched(
            2,
            r"pxelinux\.0 .*, blksize \d{4}$",
            r"ldlinux\.c32 .*, blksize 1408$",
            *(rf"pxelinux\.cfg/{name} is not there" for name in tried),
            r"pxelinux\.cfg/default \d+ octets ",
        )

        machine.wait_for(own, PATIENCE)
        self.assertEqual(machine.wait_for(qemu.MARKER_LINE, PATIENCE)[1], system.sha256)
        self.assertEqual(machine.wait(30.0), 0)
        self.fetched(1, r"pxelinux\.cfg/01-\S+ \d+ octets ", r"/kernel .* MB ", r"/initrd .* MB ")

    def test_grub(self) -> None:
        """EDK2 fetches shim, shim GRUB by EDK2, and GRUB its modules and a large file, of which it has every octet."""
        octets = random.Random(1024).randbytes(LARGE)
        (self.root / "large").write_bytes(octets)
        (self.loaders / "grub" / "grub.cfg").write_text(GRUB)
        machine = self.power_on(1, Firmware.UEFI)
        machine.wait_for("Welcome to GRUB!", PATIENCE)
        said = machine.wait_for(r"([0-9a-f]{40})  /large", PATIENCE)[1]
        self.assertEqual(said, hashlib.sha1(octets, usedforsecurity=False).hexdigest())
        self.assertEqual(machine.wait(30.0), 0)
        self.fetched(
            1,
            r"debian-installer/amd64/bootnetx64\.efi .*, blksize 1468, windowsize 4",
            r"debian-installer/amd64/grubx64\.efi .*, windowsize 4",
            r"/debian-installer/amd64/grub/grub\.cfg .*, blksize 1024",
            r"/debian-installer/amd64/grub/x86_64-efi/hashsum\.mod .*, blksize 1024",
            r"/large 67\.1 MB .*, blksize 1024",
        )
