"""A second segment behind a router: machines there reach the server only as others let them.

    +-- server ---------+      +-- TOKEN-router ------------------+
    |  br0 10.77.0.1 ---|------|--- eth0 10.77.0.3                |
    +-------------------+      |    lan0 10.78.0.1/24 --- tap1    |
                               |                   `--- client2 …  |
                               +----------------------------------+

It forwards packets both ways; DHCP's broadcasts come no further than its segment, unless a relay agent
(`lab.servers.relay`) runs on it.
"""

from __future__ import annotations

from lab.network.namespace import Network, Segment

NEAR_ADDRESS = "10.77.0.3"
"""The router's address on the server's segment."""

FAR_ADDRESS = "10.78.0.1"
"""The router's address on the far segment."""

FAR_NETWORK = "10.78.0.0/24"
"""The network of the far segment."""

FAR_BRIDGE = "lan0"
"""The far segment's bridge."""


class Router:
    """A router between a network's own segment and another."""

    def __init__(self, network: Network) -> None:
        """Make it, and tell the server the way.

        :raises lab.process.LabError: if the kernel does not allow it.
        """
        self.home = network.namespace("router")
        network.segment.cable(self.home, "router")
        self.home.ip("address", "add", f"{NEAR_ADDRESS}/24", "dev", "eth0")
        self.segment = Segment(self.home, FAR_BRIDGE, f"{FAR_ADDRESS}/24", network)
        self.home.write_setting("net/ipv4/ip_forward", "1")
        network.server.ip("route", "add", FAR_NETWORK, "via", NEAR_ADDRESS)
