"""Relay agents on the router (`lab.network.router`): ISC's dhcrelay, and dnsmasq, which can be one too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from lab.needs import program
from lab.network.namespace import SERVER_ADDRESS
from lab.network.router import FAR_ADDRESS, FAR_BRIDGE, Router
from lab.process import Process
from lab.servers.reference import PLAIN


@contextmanager
def dhcrelay(router: Router) -> Iterator[Process]:
    """Relay while the block lasts; what it forwards says where it came from (option 82, RFC 3046).

    :raises lab.process.LabError: if it does not start.
    """
    words = ("-4", "-d", "--no-pid", "-a", "-id", FAR_BRIDGE, "-iu", "eth0", SERVER_ADDRESS)
    with router.home.start("dhcrelay", program("dhcrelay"), *words) as process:
        process.wait_for("Sending on   Socket/fallback", 10.0)
        yield process


@contextmanager
def dnsmasq(router: Router) -> Iterator[Process]:
    """Relay while the block lasts.

    :raises lab.process.LabError: if it does not start.
    """
    words = (*PLAIN, f"--interface={FAR_BRIDGE}", "--interface=eth0", f"--dhcp-relay={FAR_ADDRESS},{SERVER_ADDRESS}")
    with router.home.start("dnsmasq", program("dnsmasq"), *words) as process:
        process.wait_for("DHCP relay from", 10.0)
        yield process


RELAYS: Mapping[str, Callable[[Router], AbstractContextManager[Process]]] = {"dhcrelay": dhcrelay, "dnsmasq": dnsmasq}
"""By the name of the program."""
