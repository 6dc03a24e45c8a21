"""Tests of `pixelboot.boot.memory`."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.memory import Loops, Memory
from pixelboot.hwaddr import HardwareAddress

NUMBER = st.integers(1, 8)
HWADDR = HardwareAddress.parse("02:aa:00:00:00:01")


class MemoryTests(SynchronousTestCase):
    """Who has which address."""

    def test_empty(self) -> None:
        """Nobody is known at first."""
        self.assertIsNone(Memory().holder(IPv4Address("10.77.0.100")))

    @given(st.integers(1, 5), st.lists(st.tuples(NUMBER, NUMBER), max_size=40))
    def test_remembers_the_last(self, limit: int, meetings: list[tuple[int, int]]) -> None:
        """Of the addresses given out last, and of no others, it knows who was given them last."""
        memory = Memory(limit)
        latest: dict[int, int] = {}
        for address, card in meetings:
            memory.met(IPv4Address(address), HardwareAddress(bytes([card])))
            latest.pop(address, None)
            latest[address] = card
        kept = dict(list(latest.items())[-limit:])
        for address in range(1, 9):
            expected = HardwareAddress(bytes([kept[address]])) if address in kept else None
            self.assertEqual(memory.holder(IPv4Address(address)), expected, f"{address} of {meetings}")

    def test_asking_keeps_nothing_alive(self) -> None:
        """A look at an address does not count as news of it: the oldest news goes first."""
        memory = Memory(1)
        memory.met(IPv4Address(1), HardwareAddress(b"a"))
        memory.holder(IPv4Address(1))
        memory.met(IPv4Address(2), HardwareAddress(b"b"))
        self.assertIsNone(memory.holder(IPv4Address(1)))


class LoopsTests(SynchronousTestCase):
    """A loader that is loaded again and again."""

    def setUp(self) -> None:
        """A machine, as firmware and as what it loads."""
        self.loops = Loops()
        self.rom, self.ipxe, self.system = (
            Machine("hw:01:02:aa:00:00:00:01", HWADDR, firmware, None, Architecture.UEFI_X64)
            for firmware in (Firmware.PXE, Firmware.IPXE, Firmware.OTHER)
        )

    def offers(self, *calls: tuple[Machine, str, int, float]) -> list[int]:
        """How often each offer makes it, 0 where nothing is told."""
        told = [self.loops.offered(*call) for call in calls]
        return [outcome.times if outcome else 0 for outcome in told]

    def test_three_times_in_two_minutes(self) -> None:
        """The third is told, and every one that follows; what is longer ago does not count."""
        rom = self.rom
        calls = [(rom, "snponly.efi", number, number * 30.0) for number in range(5)]
        self.assertEqual(self.offers(*calls), [0, 0, 3, 4, 4])
        self.assertEqual(self.offers((rom, "snponly.efi", 9, 1000.0)), [0])
        self.offers(*((rom, "snponly.efi", number, 2000.0) for number in (1, 2)))
        outcome = self.loops.offered(rom, "snponly.efi", 3, 2000.0)
        assert outcome is not None
        self.assertEqual(
            outcome.summary(),
            "02:aa:00:00:00:01 (PXE, uefi-x64) was told to boot snponly.efi 3 times in 120 s and has not asked as "
            "iPXE or a system since: it may be loading it without end",
        )
        self.assertEqual((outcome.severity, outcome.counter()), ("warn", "dhcp.Looping"))

    def test_who_gets_through(self) -> None:
        """Who asks as iPXE or as a system has loaded it; another file is another matter; a repetition is the same."""
        for through in (self.ipxe, self.system):
            calls = [(self.rom, "a", 1, 0.0), (self.rom, "a", 2, 1.0), (through, "b", 3, 2.0), (self.rom, "a", 4, 3.0)]
            self.assertEqual(self.offers(*calls, (through, "b", 5, 4.0)), [0, 0, 0, 0, 0])
        files = [(self.rom, name, number, float(number)) for number, name in enumerate("aabbaabb")]
        self.assertEqual(self.offers(*files), [0] * 8)
        self.assertEqual(self.offers(*[(self.rom, "c", 7, float(at)) for at in range(9)]), [0] * 9)

    def test_bounded(self) -> None:
        """Of many machines the last, of one machine its last transactions; time may go back."""
        loops = Loops(limit=2)
        machines = [self.rom._replace(hwaddr=HardwareAddress(bytes((2, number)))) for number in range(3)]
        for at in range(2):
            for machine in machines[:2]:
                self.assertIsNone(loops.offered(machine, "a", at, float(at)))
        self.assertIsNone(loops.offered(machines[2], "a", 0, 2.0))
        self.assertIsNone(loops.offered(machines[0], "a", 2, 2.0), "it was forgotten")
        times = self.offers(*[(self.rom, "a", number, 10.0) for number in range(100)])
        self.assertEqual((times[2], max(times)), (3, 17))
        self.assertEqual(self.offers((self.rom, "a", 1000, 5.0)), [0])
