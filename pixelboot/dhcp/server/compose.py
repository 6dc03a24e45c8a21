"""The replies of the address server: what a subnet gives to its machines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.boot.machine import Firmware
from pixelboot.boot.pxe import PxeSettings, vendor_options
from pixelboot.dhcp.compose import (
    HEAD,
    NOWHERE,
    Options,
    Ready,
    add_boot_file,
    add_boot_server,
    add_uuid,
    copy,
    ready,
    reply,
    usual_reply,
)
from pixelboot.dhcp.exchange import Exchange
from pixelboot.dhcp.message.options import IpxeOption, Option, encode, encoded_size
from pixelboot.dhcp.message.routes import with_default_route
from pixelboot.dhcp.message.wire import BROADCAST, Message, MessageType
from pixelboot.dhcp.network.scope import Parameters
from pixelboot.malformed import Malformed

INFINITE = 0xFFFFFFFF
"""A lease time without end (RFC 2131 §3.3)."""

_BLINK = 0.001
"""Seconds by which what is left of a lease may seem less than it is, through the rounding of instants."""

_REMEMBERED = 4096
"""For how many kinds of client the configured options are kept as they are sent."""

_NEEDFUL = (int(Option.SUBNET_MASK), int(Option.ROUTER))
"""What every machine gets, whether it asks for it or not, and first; the mask before the router (RFC 2132 §3.3)."""
_ON_REQUEST = frozenset({Option.CAPTIVE_PORTAL})
"""What only those get who list it, and nobody who lists nothing (RFC 8910 §2.1)."""
_PXELINUX = frozenset(range(Option.PXELINUX_CONFIGURATION_FILE, Option.PXELINUX_REBOOT_TIME + 1))
"""What counts only behind `Option.PXELINUX_MAGIC` (RFC 5071 §3)."""

_AT_ONCE = Ready({int(Option.RAPID_COMMIT): b""}, 2)
_NO_PROXYDHCP = encode({IpxeOption.NO_PROXYDHCP: b"\x01"})
_END = bytes((Option.END,))
_LEASE_TIME = int(Option.LEASE_TIME)
_ACK, _HTTP = MessageType.ACK, Firmware.HTTP  # found faster than the members of an enumeration
_PARAMETER_REQUEST_LIST = int(Option.PARAMETER_REQUEST_LIST)
_NAME_SERVERS = bytes((Option.DOMAIN_NAME_SERVER,))


class Manner(NamedTuple):
    """What holds for all replies of a site."""

    pxe: PxeSettings = PxeSettings()
    """The boot menu of PXE firmware."""

    echo_client_system: bool = False
    """Whether options 93 and 94 come back, as the text of RFC 4578 has it and no client wants it."""


PLAIN = Manner()


class Terms(NamedTuple):
    """What goes with an address."""

    parameters: Parameters
    """What the machine is given besides."""

    seconds: float
    """How long it may have it, `math.inf` for ever."""

    def until(self, expires_at: float, now: float) -> Terms:
        """The same of a lease that ends at `expires_at`: what is left of it.

        That is never more than would be given anew, nor less than nothing, whatever the clock did since.
        """
        left = expires_at - now + _BLINK
        return self if left >= self.seconds else Terms(self.parameters, max(left, 0.0))


def terms(exchange: Exchange, address: IPv4Address) -> Terms | None:
    """What goes with `address` for the sender of a request; None when it is of another link."""
    scope = exchange.scope
    subnet = scope.link.subnet_of(address)
    if subnet is None:
        return None
    parameters = scope.parameters(subnet)
    request = exchange.request
    if _LEASE_TIME in request.options:
        return Terms(parameters, lease_time(parameters, request.number(_LEASE_TIME)))
    return Terms(parameters, parameters.lease_time)


class _Given(NamedTuple):
    """The configured options as one kind of client gets them."""

    parameters: Parameters
    needful: int
    """Octets of those that nothing else may crowd out."""
    options: Ready
    usual: dict[int, bytes]
    """All options of a reply that grants the usual time, with nothing yet in those of `HEAD`."""
    size: int
    """Octets of these."""


def grant(
    exchange: Exchange,
    agreed: Terms,
    kind: MessageType,
    yiaddr: IPv4Address,
    manner: Manner = PLAIN,
    *,
    at_once: bool = False,
) -> Message:
    """An OFFER or ACK that gives the address `yiaddr` on these terms.

    `at_once` is for an ACK without an OFFER before it (RFC 4039).
    """
    parameters, seconds = agreed
    given = _given(exchange, parameters)
    # An ACK repeats the client's own address, an OFFER does not (RFC 2131 §4.3.1, table 3).
    ciaddr = exchange.request.ciaddr if kind is _ACK else NOWHERE
    if seconds == parameters.lease_time and not (at_once or manner.echo_client_system):
        usual = usual_reply(exchange, kind, given.usual, given.size, ciaddr, yiaddr)
        if usual is not None:
            return usual
    options = Options(exchange, kind, given.needful)
    if not options.put(times(agreed)):
        options.add(Option.LEASE_TIME, _whole(seconds).to_bytes(4))  # A client reckons T1 and T2 itself.
    if at_once:
        options.put(_AT_ONCE)
    _add_parameters(exchange, given, options, manner)
    return reply(exchange, options, ciaddr, yiaddr)


def inform(exchange: Exchange, parameters: Parameters, manner: Manner = PLAIN) -> Message:
    """The ACK to an INFORM: parameters without an address and without times (RFC 2131 §4.3.5)."""
    given = _given(exchange, parameters)
    options = Options(exchange, MessageType.ACK, given.needful)
    _add_parameters(exchange, given, options, manner)
    return reply(exchange, options, exchange.request.ciaddr)


def bootp(exchange: Exchange, parameters: Parameters, yiaddr: IPv4Address) -> Message:
    """The reply to a BOOTP request: as much of the parameters as its vendor field holds (RFC 1534 §2)."""
    given = _given(exchange, parameters)
    options = Options(exchange, None, given.needful)
    options.fill(given.options)
    return reply(exchange, options, exchange.request.ciaddr, yiaddr)


def refuse(exchange: Exchange, reason: str) -> Message:
    """A NAK: no address, no parameters, only who says so and why (RFC 2131 §4.3.1, table 3).

    Behind a relay it carries the broadcast flag, whatever the client's was (RFC 2131 §4.3.2).
    """
    options = Options(exchange, MessageType.NAK)
    options.add(Option.MESSAGE, reason.encode("ascii", "replace")[:255])
    refusal = copy(exchange, options)
    return refusal._replace(flags=refusal.flags | BROADCAST) if int(refusal.giaddr) else refusal


def lease_time(parameters: Parameters, asked: int | None) -> float:
    """How long a lease lasts, in seconds, for who asks for `asked` (option 51; None for no wish)."""
    if asked is None:
        return parameters.lease_time
    if asked == INFINITE:
        return math.inf if parameters.infinite else parameters.max_lease_time
    return min(max(float(asked), parameters.min_lease_time), parameters.max_lease_time)


def _add_parameters(exchange: Exchange, given: _Given, options: Options, manner: Manner) -> None:
    """What there is to boot, what comes back to the client, and what is configured."""
    boots = bool(exchange.assignment.boot_file)
    if boots:
        _add_boot(exchange, options, manner)
    add_uuid(exchange, options)
    if manner.echo_client_system:
        for code in (Option.CLIENT_ARCHITECTURE, Option.CLIENT_NETWORK_INTERFACE):
            options.add(code, exchange.request.options.get(code, b""))
    overload = exchange.quirks.overload
    options.fill(given.options, overload and not boots, overload)


def _add_boot(exchange: Exchange, options: Options, manner: Manner) -> None:
    """The boot file, and what its kind of firmware wants to read beside it.

    Option 60 is for UEFI HTTP boot, which does not see a reply without it, and others that want to read it.  To other
    PXE firmware it would say that there is more to ask at port 4011, where this reply says it all, unless there is a
    boot menu, of which it asks there.
    """
    quirks, machine = exchange.quirks, exchange.machine
    menu = quirks.pxe_menu and bool(manner.pxe.items(machine.architecture))
    vendor_class = quirks.vendor_class.encode("ascii") if quirks.vendor_class_from_server or menu else b""
    if not add_boot_file(exchange, options, encoded_size(vendor_class) if vendor_class else 0):
        return
    if vendor_class:
        options.add(Option.VENDOR_CLASS, vendor_class)
        vendor = encode(vendor_options(quirks, manner.pxe, machine.architecture, exchange.here))
        options.add(Option.VENDOR_SPECIFIC, vendor + _END if vendor else b"")
    if quirks.no_proxy_wait:
        # Nobody else gives boot files on this subnet: iPXE need not wait for a proxyDHCP server.
        options.add(Option.IPXE, _NO_PROXYDHCP)
    add_boot_server(exchange, options)


def times(agreed: Terms) -> Ready:
    """Options 51, 58 and 59 of a reply that grants this."""
    parameters, seconds = agreed
    return _times(_whole(seconds), parameters.renewal, parameters.rebinding)


def _whole(seconds: float) -> int:
    return INFINITE if seconds == math.inf else int(seconds)


@lru_cache(maxsize=_REMEMBERED)
def _times(seconds: int, renewal: float, rebinding: float) -> Ready:
    """See `times`: 58 and 59 where there is a time for each before the end."""
    values = {int(Option.LEASE_TIME): max(seconds, 0).to_bytes(4)}
    first, second = int(seconds * renewal), int(seconds * rebinding)
    if seconds != INFINITE and first < second < seconds:
        values[Option.RENEWAL_TIME] = first.to_bytes(4)
        values[Option.REBINDING_TIME] = second.to_bytes(4)
    return ready(values)


_known: dict[tuple[int, bytes | None], _Given] = {}
"""What `_given` found before.  It holds the parameters themselves, so that no others can have the same id."""


def _given(exchange: Exchange, parameters: Parameters) -> _Given:
    """The configured options that a client is given."""
    wanted = exchange.request.options.get(_PARAMETER_REQUEST_LIST)
    if wanted is not None and exchange.machine.firmware is _HTTP:
        wanted += _NAME_SERVERS  # whatever it lists: its URL may have a name
    key = (id(parameters), wanted)
    given = _known.get(key)
    if given is None:
        if len(_known) >= _REMEMBERED:
            _known.clear()
        given = _known[key] = _prepared(parameters, wanted)
    return given


def _prepared(parameters: Parameters, wanted: bytes | None) -> _Given:
    """The configured options of a client that lists the codes `wanted` (None: nothing)."""
    values = dict(_chosen(parameters, wanted))
    needful = sum(encoded_size(values[code]) for code in _NEEDFUL if code in values)
    options = ready(values)
    usual = times(Terms(parameters, parameters.lease_time))
    return _Given(parameters, needful, options, {**HEAD, **usual.values, **options.values}, usual.size + options.size)


def _chosen(parameters: Parameters, wanted: bytes | None) -> Iterator[tuple[int, bytes]]:
    """The configured options of a client that lists the codes `wanted` (None: nothing), the needful ones first.

    The others are in the order in which it lists them, so that what it wants most has the best chance to find room
    (RFC 2132 §9.8).  A boot file stands before them all, so that it is never the last, and with a NUL behind it.
    """
    options = dict(parameters.options)
    boot_file = options.pop(Option.BOOT_FILE, b"")
    if boot_file and (wanted is None or Option.BOOT_FILE in wanted):
        yield Option.BOOT_FILE, boot_file.rstrip(b"\0") + b"\0"
    if Option.ROUTER in options and Option.CLASSLESS_STATIC_ROUTE in options:
        options[Option.CLASSLESS_STATIC_ROUTE] = _whole_routes(options)
    for code in _NEEDFUL:
        if code in options:
            yield code, options.pop(code)
    if wanted is None:
        yield from ((code, options[code]) for code in sorted(options) if code not in _ON_REQUEST)
        return
    if Option.PXELINUX_MAGIC in options and not _PXELINUX.isdisjoint(wanted):
        yield Option.PXELINUX_MAGIC, options.pop(Option.PXELINUX_MAGIC)
    for code in dict.fromkeys(wanted):
        if code == Option.IPV6_ONLY_PREFERRED and parameters.ipv6_mostly is not None:  # RFC 8925
            yield code, parameters.ipv6_mostly
        elif code in options:
            yield code, options.pop(code)


def _whole_routes(options: dict[int, bytes]) -> bytes:
    """Option 121 with the router of option 3, which nobody reads who reads it (RFC 3442); raw octets as they are."""
    routes = options[Option.CLASSLESS_STATIC_ROUTE]
    try:
        return with_default_route(routes, IPv4Address(options[Option.ROUTER][:4]))
    except (Malformed, ValueError):
        return routes
