"""The names of options, and what values they have: what an operator may configure, and how people are shown options.

The names are those of ISC dhcpd and Kea, without ``dhcp-`` in front; a few of other servers mean the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pixelboot.dhcp.message import routes, values, vendor
from pixelboot.dhcp.message.values import ADDRESS, ADDRESSES, BINARY, FLAG, NAME, TEXT, Kind, among, list_of, whole
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.malformed import Malformed

LARGEST = 1024
"""Octets of a value; what is larger would not fit into a datagram beside what a reply must hold."""

_FOR_EVER = 0xFFFFFFFF


class Known(NamedTuple):
    """An option that has a name."""

    code: int
    """Its number, 1 to 254."""

    name: str
    """How the settings call it."""

    kind: Kind
    """What values it has."""

    reserved: str = ""
    """Why nobody may configure it; empty if one may."""


def _show_duration(value: bytes) -> str:
    words = _U32.show(value)
    return "for ever" if int.from_bytes(value) == _FOR_EVER else f"{words} s"


def _show_message_type(value: bytes) -> str:
    number = int(whole(1).show(value))
    return MessageType(number).name if number in set(MessageType) else str(number)


def _show_codes(value: bytes) -> str:
    return ", ".join(map(name_of, value))


_U16, _U32, _SECONDS = whole(2), whole(4), whole(4, unit="s")
_SIZE, _TTL = whole(2, 68), whole(1, 1)
_DURATION = Kind(_SECONDS.allowed, _SECONDS.encode, _show_duration)
_MESSAGE_TYPE = Kind("a message type", BINARY.encode, _show_message_type)
_CODES = Kind("codes of options", BINARY.encode, _show_codes)

_CLIENT = "only clients send it"
_COMPUTED = "pixelboot computes it for every answer"
_QUERY = "it is part of LEASEQUERY"

_TABLE = (
    Known(1, "subnet-mask", values.NETMASK),
    Known(2, "time-offset", whole(4, -(1 << 31), unit="s")),
    Known(3, "routers", ADDRESSES),
    Known(4, "time-servers", ADDRESSES),
    Known(5, "name-servers", ADDRESSES),
    Known(6, "domain-name-servers", ADDRESSES),
    Known(7, "log-servers", ADDRESSES),
    Known(8, "cookie-servers", ADDRESSES),
    Known(9, "lpr-servers", ADDRESSES),
    Known(10, "impress-servers", ADDRESSES),
    Known(11, "resource-location-servers", ADDRESSES),
    Known(12, "host-name", NAME),
    Known(13, "boot-size", _U16),
    Known(14, "merit-dump", TEXT),
    Known(15, "domain-name", NAME),
    Known(16, "swap-server", ADDRESS),
    Known(17, "root-path", TEXT),
    Known(18, "extensions-path", TEXT),
    Known(19, "ip-forwarding", FLAG),
    Known(20, "non-local-source-routing", FLAG),
    Known(21, "policy-filter", routes.FILTERS),
    Known(22, "max-dgram-reassembly", whole(2, 576)),
    Known(23, "default-ip-ttl", _TTL),
    Known(24, "path-mtu-aging-timeout", _SECONDS),
    Known(25, "path-mtu-plateau-table", list_of(_SIZE, 2, "them")),
    Known(26, "interface-mtu", _SIZE),
    Known(27, "all-subnets-local", FLAG),
    Known(28, "broadcast-address", ADDRESS),
    Known(29, "perform-mask-discovery", FLAG),
    Known(30, "mask-supplier", FLAG),
    Known(31, "router-discovery", FLAG),
    Known(32, "router-solicitation-address", ADDRESS),
    Known(33, "static-routes", routes.HOST_ROUTES),
    Known(34, "trailer-encapsulation", FLAG),
    Known(35, "arp-cache-timeout", _SECONDS),
    Known(36, "ieee802-3-encapsulation", FLAG),
    Known(37, "default-tcp-ttl", _TTL),
    Known(38, "tcp-keepalive-interval", _SECONDS),
    Known(39, "tcp-keepalive-garbage", FLAG),
    Known(40, "nis-domain", TEXT),
    Known(41, "nis-servers", ADDRESSES),
    Known(42, "ntp-servers", ADDRESSES),
    Known(43, "vendor-encapsulated-options", vendor.SUB_OPTIONS),
    Known(44, "netbios-name-servers", ADDRESSES),
    Known(45, "netbios-dd-server", ADDRESSES),
    Known(46, "netbios-node-type", among(1, 2, 4, 8)),
    Known(47, "netbios-scope", TEXT),
    Known(48, "font-servers", ADDRESSES),
    Known(49, "x-display-manager", ADDRESSES),
    Known(50, "requested-address", ADDRESS, _CLIENT),
    Known(51, "lease-time", _DURATION, 'it is what "lease_time" says'),
    Known(52, "option-overload", whole(1), _COMPUTED),
    Known(53, "message-type", _MESSAGE_TYPE, _COMPUTED),
    Known(54, "server-identifier", ADDRESS, _COMPUTED),
    Known(55, "parameter-request-list", _CODES, _CLIENT),
    Known(56, "message", TEXT, _COMPUTED),
    Known(57, "max-message-size", _U16, _CLIENT),
    Known(58, "renewal-time", _DURATION, 'it is what "renewal" says'),
    Known(59, "rebinding-time", _DURATION, 'it is what "rebinding" says'),
    Known(60, "vendor-class-identifier", TEXT, "boot clients, which look for it, are sent it anyway"),
    Known(61, "client-identifier", BINARY, _CLIENT),
    Known(64, "nisplus-domain", TEXT),
    Known(65, "nisplus-servers", ADDRESSES),
    Known(66, "tftp-server-name", TEXT),
    Known(67, "boot-file-name", TEXT),
    Known(68, "mobile-ip-home-agents", ADDRESSES),
    Known(69, "smtp-servers", ADDRESSES),
    Known(70, "pop-servers", ADDRESSES),
    Known(71, "nntp-servers", ADDRESSES),
    Known(72, "www-servers", ADDRESSES),
    Known(73, "finger-servers", ADDRESSES),
    Known(74, "irc-servers", ADDRESSES),
    Known(75, "streettalk-servers", ADDRESSES),
    Known(76, "streettalk-directory-assistance-servers", ADDRESSES),
    Known(77, "user-class", vendor.UNTYPED, _CLIENT),
    Known(78, "slp-directory-agent", BINARY),
    Known(79, "slp-service-scope", BINARY),
    Known(80, "rapid-commit", BINARY, 'it is what "rapid_commit" says'),
    Known(81, "fqdn", BINARY, "it answers what a client asks to have registered, and pixelboot registers no names"),
    Known(82, "relay-agent-information", vendor.SUB_OPTIONS, "only relays send it"),
    Known(83, "isns", BINARY),
    Known(85, "nds-servers", ADDRESSES),
    Known(86, "nds-tree-name", TEXT),
    Known(87, "nds-context", TEXT),
    Known(88, "bcms-controller-names", values.PLAIN_NAMES),
    Known(89, "bcms-controllers", ADDRESSES),
    Known(90, "authentication", BINARY, "it signs one message"),
    Known(91, "client-last-transaction-time", _SECONDS, _QUERY),
    Known(92, "associated-ip", ADDRESSES, _QUERY),
    Known(93, "client-architecture", list_of(_U16, 2, "them"), _CLIENT),
    Known(94, "client-network-interface", BINARY, _CLIENT),
    Known(95, "ldap-url", values.URI),
    Known(97, "client-uuid", BINARY, _CLIENT),
    Known(98, "uap-servers", TEXT),
    Known(99, "geoconf-civic", BINARY),
    Known(100, "posix-timezone", TEXT),
    Known(101, "tzdb-timezone", TEXT),
    Known(108, "ipv6-only-preferred", _SECONDS),
    Known(112, "netinfo-servers", ADDRESSES),
    Known(113, "netinfo-tag", TEXT),
    Known(114, "captive-portal", values.URI),
    Known(116, "auto-configure", among(0, 1)),
    Known(117, "name-service-search", list_of(_U16, 2, "them")),
    Known(118, "subnet-selection", ADDRESS, _CLIENT),
    Known(119, "domain-search", values.NAMES),
    Known(120, "sip-servers", values.SIP),
    Known(121, "classless-static-route", routes.ROUTES),
    Known(122, "cablelabs-client-configuration", BINARY),
    Known(123, "geoconf", BINARY),
    Known(124, "vendor-identifying-class", vendor.CLASSES),
    Known(125, "vendor-identifying-options", vendor.VENDOR_OPTIONS),
    Known(136, "pana-agents", ADDRESSES),
    Known(137, "lost-server", values.ENCODED_NAME),
    Known(138, "capwap-controllers", ADDRESSES),
    Known(141, "sip-user-agent-domains", values.PLAIN_NAMES),
    Known(142, "andsf-servers", ADDRESSES),
    Known(143, "sztp-redirect", values.URIS),
    Known(145, "forcerenew-nonce-capable", BINARY, "pixelboot sends no FORCERENEW"),
    Known(150, "tftp-server-addresses", ADDRESSES),
    Known(151, "status-code", BINARY, _QUERY),
    Known(152, "base-time", BINARY, _QUERY),
    Known(153, "start-time-of-state", BINARY, _QUERY),
    Known(154, "query-start-time", BINARY, _QUERY),
    Known(155, "query-end-time", BINARY, _QUERY),
    Known(156, "dhcp-state", BINARY, _QUERY),
    Known(157, "data-source", BINARY, _QUERY),
    Known(161, "mud-url", values.URI, _CLIENT),
    Known(175, "ipxe", vendor.SUB_OPTIONS, "iPXE, which looks for it, is sent it anyway"),
    Known(208, "pxelinux-magic", values.MAGIC),
    Known(209, "pxelinux-configuration-file", TEXT),
    Known(210, "pxelinux-path-prefix", TEXT),
    Known(211, "pxelinux-reboot-time", _SECONDS),
    Known(213, "access-network-domain", values.ENCODED_NAME),
    Known(249, "ms-classless-static-route", routes.ROUTES),
    Known(252, "web-proxy-auto-discovery", TEXT),
)

OPTIONS: Mapping[int, Known] = MappingProxyType({known.code: known for known in _TABLE})
"""Every option that has a name, by code."""

_OTHER_NAMES = {
    "netmask": 1,
    "router": 3,
    "dns-server": 6,
    "dns-servers": 6,
    "hostname": 12,
    "domain": 15,
    "mtu": 26,
    "broadcast": 28,
    "static-route": 33,
    "ntp-server": 42,
    "vendor-specific": 43,
    "tftp-server": 66,
    "bootfile-name": 67,
    "filename": 67,
    "pcode": 100,
    "tcode": 101,
    "v6-only-preferred": 108,
    "v4-captive-portal": 114,
    "sip-server": 120,
    "rfc3442-classless-static-routes": 121,
    "classless-static-routes": 121,
    "vivco": 124,
    "vivso": 125,
    "tftp-server-address": 150,
    "wpad": 252,
}
"""What dnsmasq, ISC dhcpd and Kea call some of them."""

_CODES_BY_NAME = _OTHER_NAMES | {known.name: known.code for known in _TABLE}


def code_of(name: str) -> int:
    """The code of an option by its name or by the number itself in words; `Malformed` if it may not be configured."""
    if re.fullmatch(r"[1-9][0-9]{0,2}", name) and int(name) < 255:
        code = int(name)
    else:
        plain = name.lower().replace("_", "-")
        if plain not in _CODES_BY_NAME:
            raise Malformed(f"must be the name of an option, or its number from 1 to 254{_guess(plain)}")
        code = _CODES_BY_NAME[plain]
    known = OPTIONS.get(code)
    if known and known.reserved:
        raise Malformed(f"option {code}, {known.name}, cannot be configured: {known.reserved}")
    return code


def parse(name: str, value: object) -> tuple[int, bytes]:
    """The code and the octets of an option in the settings.

    The value is what the option's kind allows, or octets as ``hex:0a0b`` for any option.  An option without a name has
    no type: it is a text, octets, or a list of addresses.

    :raises Malformed: the name means no option that may be configured, or the value is not what it must be.
    """
    code = code_of(name)
    kind = OPTIONS[code].kind if code in OPTIONS else vendor.UNTYPED
    try:
        octets = vendor.from_hex(value)
        if octets is None:
            octets = kind.encode(value)
    except Malformed as error:
        raise Malformed(f"must be {kind.allowed}, {error}") from None
    if len(octets) > LARGEST:
        raise Malformed(f"must fit into a datagram: {len(octets)} octets are more than {LARGEST}")
    return code, octets


def show(code: int, value: bytes) -> str:
    """The value of an option for a person; as text or hex where it is none of its kind, or has no kind."""
    if not value:
        return "(empty)"
    if code in OPTIONS:
        try:
            return OPTIONS[code].kind.show(value)
        except Malformed:
            return values.show_hex(value)
    return vendor.show_octets(value)


def name_of(code: int) -> str:
    """The name of an option, or its code in digits where it has none."""
    return OPTIONS[code].name if code in OPTIONS else str(code)


def _guess(name: str) -> str:
    close = difflib.get_close_matches(name, _CODES_BY_NAME, 1)
    return f"; did you mean {close[0]}?" if close else ""
