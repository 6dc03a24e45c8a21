"""What the protocols tell each other in passing.  Bounded and advisory: nothing is wrong when it is empty."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address

from pixelboot.hwaddr import HardwareAddress


class Memory:
    """Which machine was last seen to hold which address, so that an HTTP log line can name the machine."""

    def __init__(self, limit: int = 65536) -> None:
        """Remember the `limit` addresses given out last."""
        self._limit = limit
        self._by_address: OrderedDict[IPv4Address, HardwareAddress] = OrderedDict()

    def met(self, address: IPv4Address, hwaddr: HardwareAddress) -> None:
        """The machine with `hwaddr` holds `address` from now on."""
        self._by_address[address] = hwaddr
        self._by_address.move_to_end(address)
        if len(self._by_address) > self._limit:
            self._by_address.popitem(last=False)

    def holder(self, address: IPv4Address) -> HardwareAddress | None:
        """Who was last given `address`, if that is remembered."""
        return self._by_address.get(address)


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
