"""How a running server is, as values that JSON can hold: what ``pixelboot status`` shows."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from pixelboot import __version__
from pixelboot.boot.seam import Choices, ContainerStore
from pixelboot.dhcp.proxy.service import ProxyService
from pixelboot.dhcp.server.compose import Scope
from pixelboot.dhcp.server.service import DhcpService
from pixelboot.http.service import HttpService
from pixelboot.leases.lease import Lease, State
from pixelboot.library.catalog import Container
from pixelboot.library.library import Library
from pixelboot.site import Site
from pixelboot.tftp.service import TftpService

MOST_CONTAINERS = 100
"""Containers that are told one by one, the first by file name.  All ten thousand would keep the server busy."""

Status = dict[str, Any]
"""A piece of the whole; what two pieces have under the same key is added up."""


async def describe_dhcp(service: DhcpService, scope: Scope) -> Status:
    """The DHCP service in a line, and all its leases by address."""
    leases = [] if service.store is None else sorted(await service.store.list(), key=lambda lease: lease.address)
    bound = sum(lease.state is State.BOUND for lease in leases)
    about = f"{bound} of {scope.pool.size} addresses of {scope.pool.network} leased"
    if service.store is None:
        about = "opening its leases"
    elif problem := service.port.problem:
        about = f"answers nobody: {problem}"
    line = {"name": service.name, "listening": str(service.port), "about": about}
    return {"services": [line], "leases": [_lease(each) for each in leases]}


async def describe_proxy(service: ProxyService) -> Status:
    """The proxy in a line: it has nothing of its own but its ports."""
    problem = next((port.problem for port in service.ports if port.problem), "")
    alone = len(service.ports) > 1
    about = "says what to boot, gives no addresses" if alone else "answers firmware that asks here, too"
    if problem:
        about = f"answers nobody: {problem}"
    first, *others = service.ports
    listening = ", ".join([str(first), *(str(port.number) for port in others)])
    line = {"name": service.name, "listening": listening, "about": about}
    return {"services": [line]}


async def describe_tftp(service: TftpService, root: str) -> Status:
    """The TFTP service in a line."""
    serves = f"{root} and the packaged loaders" if root else "the packaged loaders"
    about = f"{service.transfers} transfers, serves {serves}"
    return {"services": [{"name": service.name, "listening": f"udp {service.port}", "about": about}]}


async def describe_http(
    service: HttpService, library: Library, site: Site, store: ContainerStore | None = None
) -> Status:
    """The HTTP service in a line, the containers as far as `MOST_CONTAINERS`, and how many there are in each state.

    `store` says what the operator has decided about them.
    """
    choices = Choices() if store is None else await store.choices()
    at = site.http.listen if service.port is None else f"tcp {service.port}"
    about = f"{service.connections} connections, serves {', '.join(site.roots)}"
    line = {"name": service.name, "listening": at, "about": about}
    return {
        "services": [line],
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
