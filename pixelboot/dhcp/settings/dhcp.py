"""The settings of the DHCP service, ``[dhcp]``."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pixelboot.config import (
    Invalid,
    address,
    choice,
    fraction,
    listing,
    network,
    one_or_more,
    optional,
    seconds,
    setting,
    switch,
    tables,
    text,
    whole,
)
from pixelboot.dhcp.settings import fit
from pixelboot.dhcp.settings.client_class import ClassSettings, class_name
from pixelboot.dhcp.settings.option import Options, options
from pixelboot.dhcp.settings.subnet import SubnetSettings
from pixelboot.malformed import Malformed

__all__ = ["ClassSettings", "DhcpSettings", "SubnetSettings"]


def _interface(name: str) -> None:
    if not name or len(name.encode()) > 15 or "/" in name or any(c.isspace() for c in name):
        raise Malformed("no spaces, no slashes")


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """How machines get their addresses and are told what to boot."""

    mode: str = setting(
        choice("proxy", "server", "off"),
        "proxy",
        help="proxy says what to boot, beside another server that gives the addresses; server gives out addresses "
        "too; off leaves DHCP to others.  A subnet can be served otherwise.",
    )
    interface: tuple[str, ...] = setting(
        one_or_more(text("the name of a network interface, at most 15 characters", _interface)),
        (),
        help="The interfaces to serve; empty means those that have an address in a subnet, for a proxy without subnets "
        "the one of the default route.",
    )
    address: IPv4Address | None = setting(
        optional(address()),
        None,
        help="The address of this server that machines are told, one of the interface's; empty means the one that "
        "they reach.",
    )
    port: int = setting(whole(1, 65535), 67, help="The UDP port to listen on.  Machines ask port 67, always.")
    proxy_port: int = setting(
        whole(1, 65535), 4011, help="The UDP port at which PXE firmware asks again for its boot file: 4011, always."
    )
    offer_time: float = setting(
        seconds(30, 3600), 60.0, help="How long an offered address is kept for the machine it was offered to."
    )
    decline_time: float = setting(
        seconds(60, 604800),
        3600.0,
        help="How long an address rests after a machine found it in use by somebody else (DHCPDECLINE).",
    )
    authoritative: bool = setting(
        switch(),
        False,
        help="Whether this server knows every lease of its subnets, so that it refuses machines it does not know that "
        "ask for their address of last time (DHCPNAK); else it leaves them unanswered, as RFC 2131 demands.",
    )
    rapid_commit: bool = setting(
        switch(), False, help="Whether a machine that offers to do without an OFFER gets its lease at once (RFC 4039)."
    )
    bootp: bool = setting(switch(), False, help="Whether machines are answered that speak BOOTP, DHCP's forerunner.")
    probe_time: float = setting(
        seconds(0, 0.5),
        0.1,
        help="How long to listen whether somebody uses an address, before it is first offered; 0 does not.",
    )
    reuse: float = setting(
        fraction(0, 0.5),
        0.25,
        help="The first part of a lease, in which a machine that renews it is answered with what is left of it, "
        "without a write to disk; 0 is for none.",
    )
    trust_relay_information: bool = setting(
        switch(),
        False,
        help="Whether a request may carry a relay's information (option 82) though no relay says it forwarded it; "
        "else it is not answered (RFC 3046).",
    )
    leasequery: tuple[IPv4Network, ...] = setting(
        listing(network()), (), help="Who may ask for leases (RFC 4388): networks, or addresses of relays."
    )
    offers_per_port: int = setting(
        whole(1, 1000000), 64, help="How many addresses may be on offer at one port of a switch, or one circuit."
    )
    offers_per_relay: int = setting(
        whole(1, 1000000), 4096, help="How many addresses may be on offer by one relay, or at one interface."
    )
    echo_client_system: bool = setting(
        switch(),
        False,
        help="Whether options 93 and 94 of a request come back in the reply, as the text of RFC 4578 has it.",
    )
    options: Options = setting(options(), (), help="Options of every machine.")
    allow: tuple[str, ...] = setting(
        listing(class_name()), (), help="Classes, known or unknown: others are not answered.  Empty allows everybody."
    )
    deny: tuple[str, ...] = setting(listing(class_name()), (), help="Classes, known or unknown, that are not answered.")
    classes: tuple[ClassSettings, ...] = setting(
        tables(ClassSettings),
        (),
        help="Machines that have something in common; all conditions that are given must hold.  Where a machine is of "
        "several classes, the later in the file wins.",
        name="class",
    )
    subnet: tuple[SubnetSettings, ...] = setting(tables(SubnetSettings), (), help="A network that is served.")

    def __post_init__(self) -> None:
        if self.proxy_port == self.port:
            raise Invalid("proxy_port", self.proxy_port, "must not be dhcp.port")
        if len(set(self.interface)) < len(self.interface):
            raise Invalid("interface", list(self.interface), "must name each interface once")
        if self.mode == "server" and not self.subnet:
            raise Invalid("mode", self.mode, "a server needs a [[dhcp.subnet]] with network and pool")
        fit.classes(self)
        fit.subnets(self)

    def mode_of(self, subnet: SubnetSettings) -> str:
        """How one of the subnets is served."""
        return subnet.mode or self.mode

    @property
    def modes(self) -> frozenset[str]:
        """The modes in which anything is served; empty when DHCP is off everywhere."""
        modes = {self.mode_of(subnet) for subnet in self.subnet}
        return frozenset((modes | {"proxy"} if self.mode == "proxy" else modes) - {"off"})
