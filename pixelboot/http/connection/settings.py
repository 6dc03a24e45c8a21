"""What connections may take, ``[http.limits]``."""

from __future__ import annotations

from dataclasses import dataclass

from pixelboot.config import seconds, setting, whole
from pixelboot.http.message.request import Limits
from pixelboot.library.settings import size_in_octets

FASTEST = 1 << 40
"""Octets a second; no link is faster."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How many connections there may be, how long they may take, and how much."""

    connections: int = setting(
        whole(1, 1_000_000),
        4096,
        help="Connections at once. For one more, the one is closed that has waited longest for its next request; where "
        "none waits, the request is answered with 503. The process needs as many file descriptors, and 512 more.",
    )
    connections_per_client: int = setting(
        whole(1, 1_000_000), 512, help="Connections at once of one address; a request on one more is answered with 503."
    )
    requests: int = setting(
        whole(1, 1_000_000_000), 100_000, help="Requests of one connection; then it is closed behind the answer."
    )
    request_time: float = setting(
        seconds(1, 3600), 60.0, help="How long a whole request may take, from its first octet, however it drips."
    )
    idle_time: float = setting(
        seconds(1, 3600), 60.0, help="How long a connection may wait before a request, or for the next one."
    )
    stall_time: float = setting(
        seconds(1, 3600), 60.0, help="How long a client may take nothing of an answer that is sent to it."
    )
    head: int = setting(size_in_octets(1024, 1 << 20), 16384, help="The octets of a request's first line and fields.")
    fields: int = setting(whole(10, 10_000), 100, help="The fields of a request.")
    body: int = setting(
        size_in_octets(0, 1 << 20), 65536, help="The octets of a request's body. Nothing that HTTP serves reads one."
    )
    bandwidth: int = setting(
        size_in_octets(0, FASTEST),
        0,
        help="The octets a second that all answers together may take; 0 means as many as there can be.",
    )
    bandwidth_per_client: int = setting(
        size_in_octets(0, FASTEST),
        0,
        help="The octets a second that the answers to one address may take; 0 means as many as there can be.",
    )

    @property
    def request(self) -> Limits:
        """How large a request may be."""
        return Limits(self.head, self.fields, self.body)
