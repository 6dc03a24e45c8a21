"""What the protocols tell each other in passing.  Bounded and advisory: nothing is wrong when it is empty."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from pixelboot.boot.machine import Firmware, Machine
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome, Severity


class Memory:
    """Which machine was last seen to hold which address, so that an HTTP log line can name the machine."""

    def __init__(self, limit: int = 65536) -> None:
        """Remember the `limit` addresses given out last."""
        self._limit = limit
        self._by_address: OrderedDict[int, HardwareAddress] = OrderedDict()

    def met(self, address: IPv4Address, hwaddr: HardwareAddress) -> None:
        """The machine with `hwaddr` holds `address` from now on."""
        number = int(address)  # whose hash takes no time
        self._by_address[number] = hwaddr
        self._by_address.move_to_end(number)
        if len(self._by_address) > self._limit:
            self._by_address.popitem(last=False)

    def holder(self, address: IPv4Address) -> HardwareAddress | None:
        """Who was last given `address`, if that is remembered."""
        return self._by_address.get(int(address))


class Tally:
    """How often something happened lately, by name: what one machine does too often is not done for it."""

    def __init__(self, within: float, limit: int = 4096) -> None:
        """Count what happened in the last `within` seconds, of the `limit` names that were heard last."""
        self._within = within
        self._limit = limit
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def add(self, name: str, now: float) -> int:
        """It happened to `name` once more; how often that makes it."""
        times = [at for at in self._times.pop(name, []) if 0 <= now - at < self._within]
        self._times[name] = [*times[-self._limit + 1 :], now]
        if len(self._times) > self._limit:
            self._times.popitem(last=False)
        return len(times) + 1


@dataclass(frozen=True, slots=True)
class Looping(Outcome):
    """A machine is told to boot one and the same loader again and again, and gets no further."""

    service: ClassVar[str] = "dhcp"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0
    burst: ClassVar[int] = 4

    machine: Machine
    """Who asks."""

    boot_file: str
    """What it is told to boot."""

    times: int
    """How often, in the last `seconds`."""

    seconds: float
    """The time in which that is too often."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return (
            f"{self.machine} ({self.machine.kind}) was told to boot {self.boot_file} {self.times} times in "
            f"{self.seconds:.0f} s and has not asked as iPXE or a system since: it may be loading it without end"
        )


_TRANSACTIONS = 16
"""How many of one machine are remembered."""


class Loops:
    """Which machines load the same thing without end: an iPXE that does not say so, or a loader that gives up.

    They are told of, and answered as ever: it cannot be told from a machine that somebody keeps switching off.
    """

    def __init__(self, within: float = 120.0, most: int = 3, limit: int = 4096) -> None:
        """Tell when `most` offers of one file were made in `within` seconds; of the `limit` machines heard last."""
        self._within = within
        self._most = most
        self._limit = limit
        self._told: OrderedDict[str, tuple[str, dict[int, float]]] = OrderedDict()

    def offered(self, machine: Machine, boot_file: str, xid: int, now: float) -> Looping | None:
        """An OFFER to `machine` in its transaction `xid` names `boot_file`; the outcome where that was too often.

        Once it asks as iPXE, or as a system, it has got through, and counting begins anew.
        """
        if machine.firmware in (Firmware.IPXE, Firmware.OTHER):
            if self._told:
                self._told.pop(str(machine), None)
            return None
        key = str(machine)
        file, times = self._told.pop(key, (boot_file, {}))
        recent = {each: at for each, at in times.items() if 0 <= now - at < self._within} if file == boot_file else {}
        again = xid in recent
        recent.setdefault(xid, now)
        self._told[key] = boot_file, dict(list(recent.items())[-_TRANSACTIONS:])
        if len(self._told) > self._limit:
            self._told.popitem(last=False)
        if again or len(recent) < self._most:
            return None
        return Looping(machine, boot_file, len(recent), self._within)
