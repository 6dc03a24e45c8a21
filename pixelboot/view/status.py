"""How a running server is, as values that JSON can hold: what ``pixelboot status`` shows."""

from __future__ import annotations

import heapq
import math
import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from pixelboot import __version__
from pixelboot.boot.seam import Choices, ContainerStore
from pixelboot.dhcp.neighbours import Neighbour
from pixelboot.dhcp.network.scope import Link
from pixelboot.dhcp.service import DhcpService
from pixelboot.http.endpoint.certificate import Certificate
from pixelboot.http.service import HttpService
from pixelboot.leases.lease import Lease, Pool, State
from pixelboot.library.catalog import Container
from pixelboot.library.library import Library
from pixelboot.site import Site
from pixelboot.tftp.service import TftpService
from pixelboot.view.reply import Turn

MOST_LEASES = 100
"""Leases that are told one by one, the first by address."""

MOST_CONTAINERS = 100
"""Containers that are told one by one, the first by file name.  All ten thousand would keep the server busy."""

SLICE = 2000
"""Leases that are counted in one go, which takes a millisecond or two."""

Line = dict[str, object]
"""A service, or a part of one: ``name``, ``listening`` (where) and ``about`` (what there is to say)."""

Status = dict[str, Any]
"""A piece of the whole; what two pieces have under the same key is added up."""

_PROXY = "says what to boot, gives no addresses"


async def describe_dhcp(service: DhcpService, mode: str, turn: Turn) -> Status:
    """The DHCP service: a line an interface and a network, the leases as far as `MOST_LEASES`, and other servers.

    `mode` is how networks are served that the settings do not name.  The reactor has a `turn` before every `SLICE`.
    """
    links = service.network.links
    census = _Census(links)
    leases = () if service.store is None else await service.store.list()
    for at in range(0, len(leases), SLICE):
        await turn()
        census.add(leases[at : at + SLICE])
    lines = [*_troubles(service), *_places(service), *map(_link, links, census.tallies)]
    if mode == "proxy":
        lines.append({"name": "dhcp proxy", "listening": "every other network" if links else "", "about": _PROXY})
    return {
        "services": lines,
        "leases": [_lease(each) for _, each in census.first],
        "lease_counts": Counter({str(state): count for state, count in census.states.items()}),
        "neighbours": [_neighbour(each) for each in service.neighbours],
    }


async def describe_tftp(service: TftpService, root: str) -> Status:
    """The TFTP service: a line for each address that it listens at, and for each folder that may be written to."""
    serves = f"{root} and the packaged loaders" if root else "the packaged loaders"
    running = service.transfers
    about = f"{running} {'transfer' if running == 1 else 'transfers'}, serves {serves}"
    lines = []
    for address, port, data_port in service.listening:
        sends = f"files from udp {data_port}" if data_port != port else "files from the same port"
        lines.append(
            {"name": service.name, "listening": f"{address} udp {port}", "about": f"{sends}{about and ', '}{about}"}
        )
        about = ""  # They are the same transfers for all addresses.
    lines += [{"name": f"{service.name} write", "listening": "", "about": folder} for folder in service.writable]
    return {"services": lines}


async def describe_http(
    service: HttpService, library: Library, site: Site, store: ContainerStore | None = None
) -> Status:
    """The HTTP service, a line for each place, the containers as far as `MOST_CONTAINERS`, and how many of each state.

    `store` says what the operator has decided about them.
    """
    choices = Choices() if store is None else await store.choices()
    count = service.connections
    about = f"{count} {'connection' if count == 1 else 'connections'}, serves {', '.join(site.roots)}"
    lines: list[Line] = []
    for place in service.places:
        told = [] if place.certificate is None else [_certificate(place.certificate)]
        told += [] if lines else [about]  # They are the same connections and folders for all places.
        lines.append({"name": service.name, "listening": str(place), "about": ", ".join(told)})
    return {
        "services": lines or [{"name": service.name, "listening": "nowhere", "about": about}],
        "containers": [_container(each, choices) for each in library.containers[:MOST_CONTAINERS]],
        "container_counts": Counter(map(attrgetter("state"), library.containers)),
    }


def describe_process(state: str, uptime: float, counts: Mapping[str, int]) -> Status:
    """What the process itself can say; `uptime` in seconds."""
    return {
        "version": __version__,
        "pid": os.getpid(),
        "state": state,
        "uptime": uptime,
        "counts": dict(counts),
        "services": [],
        "containers": [],
        "container_counts": Counter(),
        "leases": [],
        "lease_counts": Counter(),
        "neighbours": [],
    }


class _Tally:
    """What the addresses of a link are used for; addresses are numbers here."""

    def __init__(self, pool: Pool) -> None:
        self.used: Counter[State] = Counter()
        """How many of the pool are in each state."""
        self.kept = 0
        """Leased of its networks, but not of the pool: those of hosts, and of a pool that was larger once."""
        self._ranges = [(int(first), int(last)) for first, last in pool.ranges]
        self._networks = [(int(each.network_address), int(each.broadcast_address)) for each in pool.networks]
        # Those that are reserved lie in the ranges, all of them (see `pixelboot.dhcp.network.links.link`).
        self._reserved = frozenset(map(int, pool.reserved))
        self.size = sum(last - first + 1 for first, last in self._ranges) - len(self._reserved)
        """How many addresses the pool has."""

    def add(self, state: State, numbers: Sequence[int]) -> None:
        """Count these addresses of one state, which are in ascending order."""
        used = 0
        for span in self._ranges:
            found = numbers[_within(numbers, span)]
            used += len(found) - (len(self._reserved.intersection(found)) if found and self._reserved else 0)
        self.used[state] += used
        if state is State.BOUND:
            self.kept += sum(len(numbers[_within(numbers, span)]) for span in self._networks) - used


class _Census:
    """All leases, counted a part at a time."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.states: Counter[State] = Counter()
        """How many there are in each state."""
        self.first: list[tuple[int, Lease]] = []
        """The first by address, with that as a number."""
        self.tallies = [_Tally(link.pool) for link in links]
        """What the addresses of each link are used for."""

    def add(self, leases: Sequence[Lease]) -> None:
        """Count these, of which none was counted before."""
        numbered = [(int(lease.address), lease) for lease in leases]
        self.states.update([lease.state for lease in leases])
        self.first = heapq.nsmallest(MOST_LEASES, [*self.first, *numbered])
        for state in (State.BOUND, State.OFFERED, State.DECLINED):
            if found := sorted([number for number, lease in numbered if lease.state is state]):
                for tally in self.tallies:
                    tally.add(state, found)


def _within(numbers: Sequence[int], span: tuple[int, int]) -> slice:
    """Which of the `numbers`, that are in ascending order, lie in the span, whose ends belong to it."""
    return slice(bisect_left(numbers, span[0]), bisect_right(numbers, span[1]))


def _troubles(service: DhcpService) -> Iterator[Line]:
    """What stands in the way of every lease."""
    if service.store is not None and (trouble := service.store.trouble):
        yield {"name": service.name, "listening": "no leases", "about": f"gives no leases {trouble}"}


def _places(service: DhcpService) -> Iterator[Line]:
    """The interfaces that are served, and those that should be."""
    opening = service.gives_addresses and service.store is None
    numbers = dict.fromkeys(port.number for port in service.listening.ports)
    for name, each in service.listening.interfaces.items():
        about = "opening its leases" if opening else f"as {', '.join(map(str, each.addresses))}"
        yield {"name": service.name, "listening": f"{name} udp {', '.join(map(str, numbers))}", "about": about}
    for name, reason in service.listening.waiting.items():
        yield {"name": service.name, "listening": name, "about": f"waiting: {reason}"}
    if not service.listening.interfaces and not service.listening.waiting:
        yield {"name": service.name, "listening": "nowhere", "about": "no interface has an address in a subnet"}


def _link(link: Link, tally: _Tally) -> Line:
    """A link in a line: what it is called, and what its addresses are used for."""
    networks = link.pool.name
    called = networks if link.name == networks else f"{link.name}: {networks}"
    about = _PROXY
    if link.mode == "server":
        kept = f", and {tally.kept} outside the pool" if tally.kept else ""
        others = (tally.used[State.OFFERED], "offered"), (tally.used[State.DECLINED], "in quarantine")
        rest = ", ".join(f"{count} {what}" for count, what in others if count)
        about = f"{tally.used[State.BOUND]} of {tally.size} addresses leased{kept}{rest and '; '}{rest}"
    return {"name": f"dhcp {link.mode}", "listening": called, "about": about}


def _certificate(certificate: Certificate) -> str:
    """What there is to say of a certificate."""
    trouble = f" (a new one is not taken: {certificate.trouble})" if certificate.trouble else ""
    return f"certificate until {certificate.pair.until}{trouble}"


def _neighbour(neighbour: Neighbour) -> dict[str, object]:
    return {
        "address": str(neighbour.address),
        "cards": list(map(str, neighbour.cards)),
        "places": list(neighbour.places),
        "gives": sorted(map(str, neighbour.gives)),
        "first_seen_at": neighbour.first_seen_at,
        "last_seen_at": neighbour.last_seen_at,
        "times": neighbour.times,
        "expected": neighbour.expected,
    }


def _lease(lease: Lease) -> dict[str, object]:
    return {
        "address": str(lease.address),
        "identity": lease.identity,
        "hwaddr": lease.hwaddr,
        "hostname": lease.hostname,
        "state": str(lease.state),
        "started_at": lease.started_at,
        "expires_at": None if math.isinf(lease.expires_at) else lease.expires_at,
    }


def _container(container: Container, choices: Choices) -> dict[str, object]:
    settings = choices.of(container.id)
    return {
        "id": container.id,
        "file": container.file_name,
        "name": settings.name or container.name,
        "size": container.size,
        "state": container.state,
        "reason": container.reason,
        "enabled": settings.enabled,
    }
