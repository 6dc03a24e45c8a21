"""From a request to its scope: the link it came from, the host that sent it, and whether it may have anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address

from pixelboot.boot.machine import Machine
from pixelboot.datagram import Arrival
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.message.wire import Message
from pixelboot.dhcp.network.classes import Classes
from pixelboot.dhcp.network.hosts import Hosts
from pixelboot.dhcp.network.links import Links, link, nowhere, subnets
from pixelboot.dhcp.network.scope import Link, Scope, Subnet
from pixelboot.dhcp.settings import fit
from pixelboot.dhcp.settings.client_class import KNOWN, UNKNOWN
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.dhcp.settings.host import HostSettings

_SUBNET_SELECTION = int(Option.SUBNET_SELECTION)
"""A plain number is looked up faster than the member of an enumeration."""
_REMEMBERED = 4096
"""How many combinations of link and classes the judgement is kept of."""
_LONGEST_CLIENT_ID = 255


class Network:
    """The networks of a site, as its settings describe them.

    Raises `pixelboot.config.ConfigError` for hosts that do not fit the subnets, or each other.
    """

    def __init__(self, settings: DhcpSettings, hosts: Sequence[HostSettings] = ()) -> None:
        fit.hosts(settings, hosts)
        self._settings = settings
        self._hosts = Hosts(hosts)
        self._classes = Classes(settings.classes)
        self._all_alike = not hosts and not settings.classes
        self._kept = frozenset(host.address for host in hosts if host.address is not None)
        self._groups = subnets(settings)
        self._nowhere = nowhere()
        lists = [settings.allow, settings.deny, *(each.allow + each.deny for each in settings.subnet)]
        self._open = not any(lists)
        self._own: frozenset[IPv4Address] | None = None
        self.own(())

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that are served, in the order of the settings."""
        return self._links.all

    def own(self, addresses: Collection[IPv4Address]) -> None:
        """Say which addresses this server has now: they are never given out."""
        own = frozenset(addresses)
        if own == self._own:
            return
        self._own = own
        reserved = own | self._kept
        modes = [self._settings.mode_of(group[0].settings) for group in self._groups]
        served = [link(group, mode, reserved) for group, mode in zip(self._groups, modes, strict=True) if mode != "off"]
        unserved = [each for group, mode in zip(self._groups, modes, strict=True) if mode == "off" for each in group]
        self._links = Links(served, unserved)
        self._judged: dict[tuple[Link, tuple[str, ...], bool], tuple[Link, str]] = {}

    def at(self, addresses: Iterable[IPv4Address]) -> Link | None:
        """The link that is served at an interface with these addresses; None where none is."""
        place = self._links.at(addresses)
        return place if isinstance(place, Link) else None

    def scope(
        self, request: Message, machine: Machine, relay: RelayInformation | None, arrival: Arrival
    ) -> Scope | str:
        """Where `request` belongs; a text that says why, as the rest of a sentence, if nobody here is responsible.

        `relay` is what relays added to it (option 82), if that is believed.
        """
        place = self._place(request, relay, arrival)
        if isinstance(place, str):
            return place
        known = self._hosts.find(request, machine, relay)
        classes = self._classes.of(request, machine)
        place, refusal = (place, "") if self._open else self._admitted(place, classes, known is not None)
        if known is None:
            return Scope(place, None, classes, _identity(place.identity, request, machine), None, refusal)
        host = known.host
        if host.ignore:
            refusal = "it is a host that is to be ignored"
        fixed = host.address
        if fixed is None or place.subnet_of(fixed) is None:
            return Scope(place, host, classes, _identity(place.identity, request, machine), None, refusal)
        return Scope(place, host, classes, known.identity, fixed, refusal)

    def is_alike(self, scope: Scope, request: Message, machine: Machine, relay: RelayInformation | None) -> bool:
        """Whether `scope` is that of this request, too, but for the identity.

        It is that of a machine that the settings do not name, which says the same of its kind, and is in the same
        place.
        """
        if self._all_alike:
            return True
        return self._hosts.find(request, machine, relay) is None and self._classes.of(request, machine) == scope.classes

    def _place(self, request: Message, relay: RelayInformation | None, arrival: Arrival) -> Link | str:
        """The link that a request is from: as a relay says, as the client says, by the relay, or by the interface."""
        links, giaddr = self._links, request.giaddr
        if int(giaddr) and not links.is_of_a_machine(giaddr):
            # The reply would go there, whatever link the sender chooses: to everybody at once, or to nobody.
            return f"it came by the relay {giaddr}, which no machine can be"
        if relay is not None and relay.link_selection is not None:  # RFC 3527
            return self._selected(relay.link_selection)
        if _SUBNET_SELECTION in request.options:  # RFC 3011
            selected = request.address(_SUBNET_SELECTION)
            return self._selected(selected) if selected is not None else "its subnet selection is no address"
        if int(giaddr):
            return links.behind(giaddr) or self._foreign(f"it came by the relay {giaddr}, whose subnet")
        if not arrival.to_everybody and int(request.ciaddr) and int(request.ciaddr) == int(arrival.source):
            return links.of(request.ciaddr) or self._foreign(f"the network of its address {request.ciaddr}")
        place = links.of(arrival.local) or links.at(arrival.addresses)
        return place or self._foreign(f"the network at {arrival.interface}")

    def _selected(self, address: IPv4Address) -> Link | str:
        """The link of a subnet that is asked for by name: nobody is given anything of another."""
        if not self._groups and self._settings.mode == "proxy":
            return self._nowhere
        return self._links.of(address) or f"the subnet {address} that it asks for is not served"

    def _foreign(self, what: str) -> Link | str:
        """Where no subnet of ours is: a proxy serves that too, unless it is told otherwise."""
        return self._nowhere if self._settings.mode == "proxy" else f"{what} is not served"

    def _admitted(self, place: Link, classes: tuple[str, ...], known: bool) -> tuple[Link, str]:
        """The link with those of its subnets that such machines are allowed in, or why there are none."""
        key = (place, classes, known)
        judged = self._judged.get(key)
        if judged is None:
            if len(self._judged) >= _REMEMBERED:
                self._judged.clear()
            judged = self._judged[key] = self._judge(place, classes, known)
        return judged

    def _judge(self, place: Link, classes: tuple[str, ...], known: bool) -> tuple[Link, str]:
        names = {*classes, KNOWN if known else UNKNOWN}
        refusal = _objection("dhcp", self._settings.allow, self._settings.deny, names)
        if refusal:
            return place, refusal
        reasons = [_objection(f"{on.network}", on.settings.allow, on.settings.deny, names) for on in place.subnets]
        allowed = tuple(subnet for subnet, reason in zip(place.subnets, reasons, strict=True) if not reason)
        if len(allowed) == len(place.subnets):
            return place, ""
        if not allowed:
            return place, "; ".join(dict.fromkeys(reasons))
        return self._narrowed(place, allowed), ""

    def _narrowed(self, place: Link, allowed: tuple[Subnet, ...]) -> Link:
        """The link as if it had these subnets alone; the same value whoever asks, for a store keeps its pools."""
        for judged, _ in self._judged.values():
            if judged.subnets == allowed:
                return judged
        return link(allowed, place.mode, (self._own or frozenset()) | self._kept)


def _objection(where: str, allow: Collection[str], deny: Sequence[str], names: Collection[str]) -> str:
    """Why machines with these `names` get nothing; empty if they may."""
    denied = next((each for each in deny if each in names), None)
    if denied is not None:
        return f'{where} denies "{denied}"'
    if allow and not any(each in names for each in allow):
        return f"{where} allows " + ", ".join(f'"{each}"' for each in allow) + " alone"
    return ""


def _identity(policy: str, request: Message, machine: Machine) -> str:
    """The key of the lease of a machine that no address is kept for.

    ``chaddr`` is `Machine.identity`, a departure from RFC 2131 §4.2 that is made for netboot, see
    `pixelboot.dhcp.client`; ``client-id`` is what the RFC demands: option 61 as it is sent, octet by octet (RFC 4361
    asks for no more), and the hardware address where it is missing.
    """
    if policy == "client-id":
        client_id = request.options.get(Option.CLIENT_IDENTIFIER, b"")
        if 2 <= len(client_id) <= _LONGEST_CLIENT_ID:
            return f"id:{client_id.hex()}"
    elif policy == "uuid" and machine.uuid is not None:
        return f"uuid:{machine.uuid.hex()}"
    return machine.identity
