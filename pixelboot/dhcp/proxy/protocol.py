"""The proxy's shell: no store, and nothing to remember but who was seen at which address."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import Policy
from pixelboot.datagram import Arrival
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.proxy import answer as decide
from pixelboot.dhcp.reception import Reception, Sender
from pixelboot.outcome import Outcome


class ProxyProtocol:
    """Answers the requests that come in by one interface, at port 67, at port 4011 or at both."""

    def __init__(
        self,
        policy: Policy,
        memory: Memory,
        report: Callable[[Outcome], None],
        servers: frozenset[IPv4Address],
        proxy_port: int,
        address: IPv4Address | None = None,
    ) -> None:
        """`servers` are our addresses on the interface, `address` the one that machines are told.

        Without `address` it is the one that they reach.  `proxy_port` is the port that stands for 4011.
        """
        self._memory = memory
        self._proxy_port = proxy_port
        self._reception = Reception(servers, lambda local: address or local, policy, report, self._answer)

    def received(self, octets: bytes, arrival: Arrival, sender: Sender) -> None:
        """Take one datagram; the reply, if there is one, leaves by `sender`, now or when the policy has decided."""
        self._reception.received(octets, arrival, sender)

    async def _answer(self, exchange: Exchange) -> Answer:
        address, hwaddr = decide.held(exchange, self._proxy_port), exchange.machine.hwaddr
        if address is not None and hwaddr is not None:
            self._memory.met(address, hwaddr)
        return decide.answer(exchange, self._proxy_port)
