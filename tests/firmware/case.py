"""What the tests with real firmware and real clients share: a network of their own, and nothing left of it."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from lab import container, needs
from lab.machine import initramfs, qemu
from lab.machine.firmware import Firmware
from lab.machine.qemu import Identity
from lab.network import namespace, router_advertisement
from lab.network.namespace import BRIDGE, Namespace, Network
from lab.process import Process
from lab.servers.pixelboot import PixelbootServer


class LabCase(SynchronousTestCase):
    """A test in a network of its own.  Without root and its programs it fails: it would prove nothing."""

    programs: tuple[str | Path, ...] = needs.NETWORK
    """The programs that the test runs, and the files that it takes from where they are installed."""

    def setUp(self) -> None:
        """Make the network."""
        missing = needs.missing(self.programs, root=True)
        self.assertEqual(missing, [], "this test needs more than there is")
        self.network = Network()
        self.addCleanup(self._left)
        self.addCleanup(self.network.close)

    def _left(self) -> None:
        left = [token for token in namespace.tokens() if token.startswith(f"{namespace.PREFIX}{os.getpid()}-")]
        self.assertEqual(left, [], "namespaces or folders are left")

    def serve(
        self, containers: Path | None = None, config: str | None = None, is_configured: bool = True
    ) -> PixelbootServer:
        """A server set up in the network, not started yet; without `containers` it has an empty folder of them."""
        if containers is None:
            containers = self.network.folder / "containers"
            containers.mkdir()
        return PixelbootServer(self.network, containers, config=config, is_configured=is_configured)

    def running(self, process: Process) -> Process:
        """The process, which is stopped at the test's end if it still runs then."""
        self.addCleanup(process.stop)
        return process

    def script(self, name: str, text: str) -> str:
        """The path of a new executable shell script."""
        path = self.network.folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o700)
        return str(path)


class BootCase(LabCase):
    """A test that boots machines from the demo's container, on a network where IPv6 keeps nobody waiting."""

    programs = (*Firmware.IPXE.needs, *needs.PACKING)

    def setUp(self) -> None:
        """Pack the container."""
        super().setUp()
        self.packed = container.pack(self.network.folder / "containers")
        self.containers = self.packed.path.parent
        self.enterContext(router_advertisement.answering(self.network.server, BRIDGE))

    def boot(self, machine: Identity, firmware: Firmware) -> Process:
        """Boot a machine from power-on until it has switched itself off: it ran what was packed, every octet."""
        powered = self.running(qemu.power_on(self.network.segment, machine, firmware))
        self.assert_booted(powered)
        return powered

    def assert_booted(self, powered: Process) -> None:
        """The machine runs what was packed, every octet, and switches itself off."""
        marker = powered.wait_for(qemu.MARKER_LINE, 180.0)
        self.assertEqual(marker[1], self.packed.sha256)
        self.assertIn(initramfs.CMDLINE, marker[2], "the command line came from the container")
        self.assertEqual(powered.wait(30.0), 0)


def addresses(client: Namespace) -> list[str]:
    """The IPv4 addresses of a client's ``eth0``."""
    words = client.ip("-4", "-o", "address", "show", "dev", "eth0").split()
    return [words[at + 1].partition("/")[0] for at, word in enumerate(words) if word == "inet"]
