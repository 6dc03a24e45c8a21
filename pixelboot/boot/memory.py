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
