"""A network that has a DHCP server already: pixelboot, told nothing but where its containers are, says what to boot."""

from __future__ import annotations

from lab import needs
from lab.machine import qemu
from lab.machine.firmware import Firmware
from lab.machine.qemu import Identity
from lab.network.capture import Capture
from lab.process import Process
from lab.servers import neighbour
from tests.firmware.case import BootCase


class ProxyTests(BootCase):
    """Machines beside dnsmasq, which gives them their addresses."""

    programs = (*Firmware.BIOS.needs, *Firmware.UEFI.needs, *needs.PACKING, "dnsmasq", "tcpdump")

    def setUp(self) -> None:
        """Start both servers."""
        super().setUp()
        self.other = self.enterContext(neighbour.serving(self.network))
        self.log = self.running(self.serve(self.containers, is_configured=False).start())

    def _boot(self, machine: Identity, firmware: Firmware) -> tuple[Process, list[str]]:
        """Boot a machine; its own lines, and what was seen on the wire.  Its address comes from dnsmasq."""
        capture = Capture(self.network.segment, firmware)
        powered = self.boot(machine, firmware)
        seen = [step.what for step in capture.stop()]
        address = self.other.wait_for(rf"DHCPACK\(eth0\) (\S+) {machine.hwaddr}", 1.0)[1]
        powered.wait_for(rf"^net0: {address}/255\.255\.255\.0 gw 10\.77\.0\.2", 1.0)
        self.assertEqual([line.text for line in self.log.lines if f"offered {address}" in line.text], [])
        return powered, seen

    def test_ipxe(self) -> None:
        """P01: iPXE takes the script's URL from the proxy's OFFER: it waits for nobody, and never asks port 4011."""
        machine = qemu.identity(1)
        _, seen = self._boot(machine, Firmware.IPXE)
        self.log.wait_for(rf"{machine.hwaddr} \(.*iPXE.*\) told to boot http://10\.77\.0\.1:8080/boot\.ipxe", 1.0)
        self.assertEqual([what for what in seen if what.startswith("4011:")], [])
        self.assertEqual(seen.count("DISCOVER"), 1, f"asked again while it waited: {seen}")

    def test_uefi(self) -> None:
        """P01, P05, P14: EDK2 asks port 4011 and fetches the loader by TFTP; that one, iPXE, never asks there."""
        machine = qemu.identity(1)
        _, seen = self._boot(machine, Firmware.UEFI)
        self.log.wait_for(rf"{machine.hwaddr} .*told to boot snponly\.efi", 1.0)
        self.log.wait_for(rf"{machine.hwaddr} .*told to boot http://10\.77\.0\.1:8080/boot\.ipxe", 1.0)
        loader = seen.index("tftp:snponly.efi")
        self.assertEqual([what for what in seen[:loader] if what.startswith("4011:")], ["4011:REQUEST", "4011:ACK"])
        self.assertEqual([what for what in seen[loader:] if what.startswith("4011:")], [])

    def test_uefi_http(self) -> None:
        """P18: EDK2's HTTP boot takes the loader's URL from the proxy."""
        machine = qemu.identity(1)
        _, seen = self._boot(machine, Firmware.UEFI_HTTP)
        self.log.wait_for(rf"{machine.hwaddr} .*told to boot http://10\.77\.0\.1:8080/loaders/snponly\.efi", 1.0)
        self.assertIn("/loaders/snponly.efi", seen)
        self.assertEqual([what for what in seen if what.startswith("tftp:")], [])
