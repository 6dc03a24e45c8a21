"""What a server and the helper process that keeps its leases say to each other.

Each message is four octets with the length of the rest (big-endian), and a JSON array whose first item says what it is.

From the server::

    ["load"]                  send everything there is
    ["commit", number, rows]  make these rows durable; numbers go up

From the helper::

    ["ready", created]        the database is open; `created`: there was none before
    ["rows", rows]            some of what there is
    ["loaded"]                that was all
    ["saved", number]         every commit up to this number is durable
    ["failed", number, text]  of the commits that were not saved, none up to this number is; the helper ends
    ["unusable", text]        the database cannot be used; the helper ends

A row is ``[address, identity, hwaddr, state, started_at, expires_at, hostname]`` as the table ``lease`` has it, or
``[address]`` for an address of which nothing is known any more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from pixelboot.leases.lease import Lease, State
from pixelboot.malformed import Malformed

SIZE_LIMIT = 64 << 20
"""The largest message, in octets; a longer one is no message of ours."""

Row = Sequence[Any]
"""A row, see above."""

_STATES = {state.value: state for state in State}


def row_of(number: int, lease: Lease | None) -> Row:
    """The row of an address: of its lease, or of nothing."""
    if lease is None:
        return (number,)
    return (number, lease.identity, lease.hwaddr, lease.state, lease.started_at, lease.expires_at, lease.hostname)


def lease_of(row: Row) -> Lease:
    """The lease in a row; `Malformed` if there is none in it."""
    try:
        number, identity, hwaddr, state, started_at, expires_at, hostname = row
        began, ends = float(started_at), float(expires_at)
        return Lease(IPv4Address(number), identity, hwaddr, _STATES[state], began, ends, hostname)
    except (TypeError, ValueError, AttributeError, KeyError) as problem:
        raise Malformed(f"the row {str(row)[:200]} is no lease: {problem}") from problem


def encode(*message: Any) -> bytes:
    """A message as it goes through the pipe."""
    octets = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(octets).to_bytes(4, "big") + octets


class Messages:
    """Takes octets as they come out of the pipe, gives the messages in them."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def received(self, octets: bytes) -> list[list[Any]]:
        """Every message that is complete now.  Raises `Malformed` for what is no message; nothing comes after that."""
        self._octets += octets
        messages = []
        start = 0
        while len(self._octets) - start >= 4:
            end = start + 4 + int.from_bytes(self._octets[start : start + 4], "big")
            if end - start > SIZE_LIMIT:
                raise Malformed(f"a message of {end - start} octets")
            if end > len(self._octets):
                break
            messages.append(_decode(self._octets[start + 4 : end]))
            start = end
        del self._octets[:start]
        return messages


def _decode(octets: bytearray) -> list[Any]:
    try:
        message = json.loads(octets)
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"a message that is no JSON: {problem}") from problem
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        raise Malformed(f"a message that is no array with a word in front: {str(message)[:80]}")
    return message
