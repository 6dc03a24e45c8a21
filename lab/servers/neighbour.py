"""The DHCP server that is there already: dnsmasq, which gives addresses and knows nothing of booting.

It has a namespace of its own, as a router is a computer of its own.  Beside it pixelboot is a proxy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.needs import program
from lab.network.namespace import NEIGHBOUR_ADDRESS, Network
from lab.process import Process, Sink
from lab.servers.reference import PLAIN, POOL

NAME = "dnsmasq"
"""The source of the lines of its log."""

ACKNOWLEDGED = r"DHCPACK\(eth0\) (\S+) (\S+)"
"""Its line when it has given an address: the address, and the machine's MAC address."""


@contextmanager
def serving(network: Network, sink: Sink | None = None) -> Iterator[Process]:
    """Give addresses while the block lasts.

    :raises lab.process.LabError: if it does not start.
    """
    home = network.client()
    home.ip("address", "add", f"{NEIGHBOUR_ADDRESS}/24", "broadcast", "+", "dev", "eth0")
    argv = [
        *(program("dnsmasq"), *PLAIN, "--interface=eth0", f"--dhcp-leasefile={network.folder / 'neighbour.leases'}"),
        *("--dhcp-authoritative", f"--dhcp-range={POOL},255.255.255.0,600"),
        f"--dhcp-option=option:router,{NEIGHBOUR_ADDRESS}",
    ]
    with home.start(NAME, *argv, sink=sink) as process:
        process.wait_for("DHCP, IP range", 10.0)
        yield process
