"""Firmware that cannot run a script is given a loader first, by TFTP or by HTTP, and the loader the script."""

from __future__ import annotations

import re

from lab import needs
from lab.machine import qemu
from lab.machine.firmware import Firmware
from lab.machine.qemu import Identity
from lab.network.capture import Capture
from lab.process import Process
from lab.servers.pixelboot import network_config
from tests.firmware.case import BootCase

ADDRESS = r"10\.77\.0\.1\d\d"


class LoaderTests(BootCase):
    """Machines of each kind, from an address server with the usual settings."""

    programs = (*Firmware.BIOS.needs, *Firmware.UEFI.needs, *needs.PACKING, "tcpdump")

    def _story(self, log: Process, machine: Identity, *steps: str) -> list[str]:
        """The server's lines of a machine, in which these steps stand in this order."""
        told = [line.text for line in log.lines if machine.hwaddr in line.text]
        rest = iter(told)
        for step in steps:
            self.assertTrue(any(re.search(step, line) for line in rest), f"{step} is not in its place in {told}")
        return told

    def test_uefi(self) -> None:
        """EDK2 fetches the loader by TFTP or, where it boots by HTTP, by HTTP; its size probe is not told."""
        log = self.running(self.serve(self.containers).start())
        by_tftp, by_http = qemu.identity(1), qemu.identity(2)
        self.boot(by_tftp, Firmware.UEFI)
        self.boot(by_http, Firmware.UEFI_HTTP)
        script = (rf"\) offered {ADDRESS}, boots http://\S+/boot\.ipxe", r"/boot\.ipxe", "/kernel", "/initrd")

        told = self._story(
            log,
            by_tftp,
            rf"\) offered {ADDRESS}, boots snponly\.efi$",
            rf"has {ADDRESS} .*, boots snponly\.efi$",
            rf"tftp#info\] .* {ADDRESS} snponly\.efi 173\.8 kB",
            *script,
        )
        self.assertEqual(len([line for line in told if "tftp#" in line]), 1, f"one transfer is told in {told}")

        told = self._story(
            log,
            by_http,
            rf"\) offered {ADDRESS}, boots http://\S+/loaders/snponly\.efi$",
            r"http#info\] .*/loaders/snponly\.efi",
            *script,
        )
        self.assertEqual([line for line in told if "tftp#" in line], [])
        self.assertEqual([line.text for line in log.lines if re.search(r"#(warn|error|critical)\]", line.text)], [])

    def test_loader_of_choice(self) -> None:
        """EDK2 fetches the loader that the settings name, four blocks at a time, as it asks (T28)."""
        state = self.network.folder / "state"
        config = network_config(state, self.containers, {"uefi-x64": "ipxe.efi"})
        log = self.running(self.serve(self.containers, config).start())
        machine = qemu.identity(1)
        capture = Capture(self.network.segment, "windows", also="udp[8:2] = 4 or udp[8:2] = 6")
        self.boot(machine, Firmware.UEFI)
        self._story(log, machine, r"tftp#info\] .* ipxe\.efi .* blksize 1468, windowsize 4", r"/boot\.ipxe")

        seen = [step.what for step in capture.stop()]
        size = (needs.LOADERS / "ipxe.efi").stat().st_size
        granted = seen.index(f"tftp:OACK blksize=1468 tsize={size} windowsize=4")
        acknowledged = [what for what in seen[granted:] if what.startswith("tftp:ACK ")]
        blocks = size // 1468 + 1
        self.assertEqual((acknowledged[0], acknowledged[-1]), ("tftp:ACK 0", f"tftp:ACK {blocks}"))
        # Whatever has to be sent again: there are three blocks or more to an acknowledgement.
        self.assertTrue(blocks / 4 <= len(acknowledged) <= blocks / 3, f"{len(acknowledged)} of {blocks}")

    def test_bios(self) -> None:
        """A BIOS that knows PXE alone fetches its loader by TFTP."""
        log = self.running(self.serve(self.containers).start())
        machine = qemu.identity(1)
        powered = self.boot(machine, Firmware.BIOS)
        powered.wait_for(r"undionly\.kpxe : \d+ bytes \[PXE-NBP\]", 1.0)
        self._story(
            log,
            machine,
            rf"\) offered {ADDRESS}, boots undionly\.kpxe$",
            r"tftp#info\] .* undionly\.kpxe ",
            rf"\) offered {ADDRESS}, boots http://\S+/boot\.ipxe",
            r"/boot\.ipxe",
        )
