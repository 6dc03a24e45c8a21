"""The lease file of dnsmasq, as its ``lease.c`` writes and reads it.

A line is a lease: when it ends, in seconds since 1970 (0: never), the hardware address, with ``TT-`` in front where its
type is not Ethernet's, the address, the name or ``*``, the client identifier in hexadecimal or ``*``.  Behind a line
``duid …`` there are the leases of DHCPv6.  A dnsmasq that was built for machines without a clock writes how long each
lease lasts instead of when it ends.
"""

from __future__ import annotations

import math
import re
from ipaddress import IPv4Address, IPv6Address

from pixelboot.leases.foreign.imported import LATEST, Imported, identity, latest
from pixelboot.leases.lease import Lease, State, kept, shown
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

DURATION = 1e9
"""Seconds: what is less cannot be an instant, for dnsmasq is younger than 2001."""

_END = re.compile(r"[0-9]{1,19}")
_HWADDR = re.compile(r"(?:([0-9A-Fa-f]{2})-)?((?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,15})?)")
_OCTETS = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2})*")
_ETHERNET = 1


def parse(octets: bytes, now: float) -> Imported:
    """The leases of a file; `Malformed` names the line, and what should be there.  `now` in seconds since 1970."""
    leases: list[Lease] = []
    others = durations = nameless = 0
    for number, line in enumerate(octets.decode("utf-8", "replace").split("\n"), 1):
        words = line.split()
        if not words or words[0] == "duid":
            continue
        if len(words) != 5:
            raise Malformed(f"line {number}: expected five words, found {len(words)}: {printable(line, 60)}")
        if _is_ipv6(words[2]):
            others += 1
            continue
        durations += 0 < _end(number, words[0]) < DURATION
        lease = _lease(number, words, now)
        if lease is None:
            nameless += 1
        else:
            leases.append(lease)
    notes = []
    if others:
        notes.append(f"passed over: {others} leases of DHCPv6")
    if nameless:
        notes.append(f"passed over: {nameless} leases without hardware address and client identifier")
    if durations:
        notes.append(f"{durations} leases say how long they last, and not when they end: they begin now")
    return Imported(latest(leases), tuple(notes))


def _lease(number: int, words: list[str], now: float) -> Lease | None:
    """The lease of one line; None where nobody can be known again by it."""
    end, hwaddr, address, name, client_id = words
    found = _HWADDR.fullmatch(hwaddr)
    if found is None:
        raise Malformed(f"line {number}: expected a hardware address, found {printable(hwaddr, 60)}")
    octets = bytes.fromhex(found[2].replace(":", ""))
    if client_id != "*" and not _OCTETS.fullmatch(client_id):
        raise Malformed(f"line {number}: expected a client identifier or *, found {printable(client_id, 60)}")
    identifier = b"" if client_id == "*" else bytes(int(each, 16) for each in client_id.split(":"))
    who = identity(int(found[1] or "01", 16) or _ETHERNET, octets, kept(identifier))
    if not who:
        return None
    at = _end(number, end)
    ends_at = math.inf if at == 0 else now + at if at < DURATION else at
    state = State.BOUND if ends_at > now else State.EXPIRED
    given_at = min(now, ends_at)
    return Lease(
        address=_address(number, address),
        identity=who,
        hwaddr=octets.hex(":"),
        state=state,
        started_at=given_at,
        expires_at=ends_at,
        hostname="" if name == "*" else shown(name),
        renewed_at=given_at,
        client_id=kept(identifier),
    )


def _end(number: int, word: str) -> float:
    if not _END.fullmatch(word) or float(word) > LATEST:
        raise Malformed(f"line {number}: expected when the lease ends, in seconds, found {printable(word, 60)}")
    return float(word)


def _address(number: int, word: str) -> IPv4Address:
    try:
        return IPv4Address(word)
    except ValueError:
        raise Malformed(f"line {number}: expected an address, found {printable(word, 60)}") from None


def _is_ipv6(word: str) -> bool:
    try:
        IPv6Address(word)
    except ValueError:
        return False
    return True
