"""Debian's installer, a kernel and an initrd of 49 MB, boots out of a picture: whole, and whatever else is decoded."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path

from lab import needs, picture
from lab.busy import BusyDecoders
from lab.container import PIXELBOOT
from lab.machine import qemu
from lab.machine.firmware import Firmware
from lab.network import router_advertisement
from lab.network.namespace import BRIDGE
from lab.process import Process, run, wait_until
from lab.servers.pixelboot import network_config
from tests.firmware.case import LabCase

ID = "installer"
CMDLINE = "console=ttyS0 DEBIAN_FRONTEND=text"
SPOKEN = r"^Select a language$"
"""The installer's first question, in its own words."""

ON_THE_LAN = r"\[Link:up"
"""iPXE's line before it asks for an address, two seconds after it has started."""

MEMORY = 1024
PATIENCE = 180.0
ENOUGH = 30_000_000
"""Octets that kernel and initrd must have for this to be the test it is meant to be."""


class NetbootTests(LabCase):
    """The machines have enough to do; the server must not keep them waiting."""

    programs = (*Firmware.IPXE.needs, *Firmware.UEFI.needs, *needs.INSTALLER)
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        """Pack the container once."""
        cls.folder = Path(tempfile.mkdtemp(prefix="pixelboot-"))
        if needs.missing(needs.INSTALLER):
            return  # each test says so
        kernel, initrd = map(str, needs.INSTALLER)
        words = ("--kernel", kernel, "--initrd", initrd, "--cmdline", CMDLINE, "--name", "Debian's installer")
        run(*PIXELBOOT, "pack", *words, "-o", str(cls.folder / f"{ID}.rts.png"), timeout=120.0)

    @classmethod
    def tearDownClass(cls) -> None:
        """Remove it."""
        shutil.rmtree(cls.folder)

    def setUp(self) -> None:
        """A server that knows nothing yet, with this container, on a network where IPv6 keeps nobody waiting."""
        super().setUp()
        self.sizes = [path.stat().st_size for path in needs.INSTALLER]
        self.assertGreater(sum(self.sizes), ENOUGH)
        self.containers = self.network.folder / "containers"
        self.containers.mkdir()
        shutil.copy(self.folder / f"{ID}.rts.png", self.containers)
        config = network_config(self.network.folder / "state", self.containers, default=ID)
        self.server = self.serve(self.containers, config)
        self.enterContext(router_advertisement.answering(self.network.server, BRIDGE))

    def power_on(self, number: int, firmware: Firmware) -> Process:
        """A machine, which is switched off at the test's end."""
        return self.running(qemu.power_on(self.network.segment, qemu.identity(number), firmware, memory=MEMORY))

    def assert_served(self, log: Process, number: int) -> None:
        """The machine has fetched its kernel and its initrd, whole."""
        for role, size in zip(("kernel", "initrd"), self.sizes, strict=True):
            told = rf"{qemu.identity(number).hwaddr} .*GET /containers/{ID}/{role} 200 {size / 1e6:.1f} MB in "
            log.wait_for(told, 5.0)

    def test_cold(self) -> None:
        """A BIOS and an UEFI are switched on before the server has seen the picture; one decode is enough for both."""
        machines = {1: self.power_on(1, Firmware.IPXE), 2: self.power_on(2, Firmware.UEFI)}
        machines[1].wait_for(ON_THE_LAN, 60.0)
        self.assertFalse(self.server.state.exists(), "the cache is not cold")
        log = self.running(self.server.start())
        for number, machine in machines.items():
            machine.wait_for(SPOKEN, PATIENCE)
            self.assert_served(log, number)
        ready = [line.text for line in log.lines if f"{ID}.rts.png is ready" in line.text]
        self.assertEqual(len(ready), 1, f"{ready} is not one decode")

    def test_while_another_is_decoded(self) -> None:
        """Pictures of 256 MiB are decoded one behind the other, until the server has done its part of the boot."""
        log = self.running(self.server.start())
        log.wait_for(rf"{ID}\.rts\.png is ready", 60.0)
        first = self.network.folder / "heavy"
        picture.heavy(first)
        heavy = BusyDecoders(self.containers, self.server, first)
        wait_until(heavy.keep_on, 30.0, "a picture of 256 MiB is being decoded")
        machine = self.power_on(1, Firmware.IPXE)
        seen: list[tuple[float, bool]] = []

        def is_fetched() -> bool:
            seen.append((time.monotonic(), heavy.keep_on()))
            return any(re.search(rf"GET /containers/{ID}/initrd ", line.text) for line in log.lines)

        wait_until(is_fetched, PATIENCE, "the machine has fetched all it boots")
        seen.append((time.monotonic(), heavy.keep_on()))
        heavy.remove()
        machine.wait_for(SPOKEN, PATIENCE)
        self.assert_served(log, 1)
        asked = [line for line in log.lines if "GET /" in line.text]
        self.assertEqual(len(asked), 4, f"two scripts and two parts: {asked}")
        for line in asked:
            before = [decoding for at, decoding in seen if at <= line.at]
            after = [decoding for at, decoding in seen if at >= line.at]
            self.assertEqual((before[-1:], after[:1]), ([True], [True]), f"nothing was decoded at {line.text}")
