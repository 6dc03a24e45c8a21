"""Asks the link whether an address is in use before it is given to anybody (RFC 2131 §2.2, RFC 5227 §2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.udp.deadlines import Deadlines
from pixelboot.udp.frame import arp_probe, read_arp_reply
from pixelboot.udp.link import Link

REMEMBERED = 10.0
"""Seconds for which an answer counts that came when nobody waited for it any more: a machine that is slow to answer
has the address all the same, and is found the next time."""

MOST_PROBES = 4096
"""Addresses that are asked for at one time, beyond which further ones are taken to be free; and how many are remembered
of those that were asked for lately."""

_MOST_USERS = 8
"""Link addresses that are remembered of those that say they have one address: some one may say so under many."""

Key = tuple[str, int]
"""An interface, and an address as a number."""


@dataclass(eq=False, slots=True)
class _Probe:
    """One address that is asked for, or was a moment ago."""

    key: Key
    waiting: list[tuple[Deferred[HardwareAddress | None], HardwareAddress | None]] = field(default_factory=list)
    users: list[HardwareAddress] = field(default_factory=list)
    forgotten_at: float = 0.0

    def user(self, but: HardwareAddress | None) -> HardwareAddress | None:
        """Who else has said that the address is his: the first one."""
        return next((user for user in self.users if user != but), None)


class Prober:
    """Asks for any number of addresses at the same time, on any number of links."""

    def __init__(self, clock: IReactorTime, links: Mapping[str, Link]) -> None:
        """`links` are those there are now, by the names of their interfaces; `heard` must be given what they hear."""
        self._links = links
        self._clock = clock
        self._probes: dict[Key, _Probe] = {}
        self._recent: dict[Key, _Probe] = {}
        self._deadlines: Deadlines[_Probe] = Deadlines(clock, self._expired)

    def in_use(
        self, interface: str, address: IPv4Address, within: float, but: HardwareAddress | None = None
    ) -> Deferred[HardwareAddress | None]:
        """Who on the link says within so many seconds that it has `address`; None when nobody does.

        Neither an answer of ours counts nor one of the link address `but`: the machine that is to get the address may
        still have it.  None at once where nobody can be asked: no privilege, no Ethernet, no such interface.  Who asks
        for an address that is asked for already gets the same answer, at the same time.
        """
        key = interface, int(address)
        recent = self._recent.get(key)
        if recent is not None and recent.users and self._clock.seconds() < recent.forgotten_at:
            user = recent.user(but)
            if user is not None:
                return succeed(user)
        probe = self._probes.get(key)
        if probe is None:
            link = self._links.get(interface)
            hwaddr = None if link is None else link.interface.hwaddr
            if link is None or hwaddr is None or within <= 0 or len(self._probes) >= MOST_PROBES:
                return succeed(None)
            if not link.send(arp_probe(address, hwaddr)):
                return succeed(None)
            probe = self._probes[key] = _Probe(key)
            self._deadlines.set(probe, self._clock.seconds() + within)
        answer: Deferred[HardwareAddress | None] = Deferred()
        probe.waiting.append((answer, but))
        return answer

    def heard(self, interface: str, frame: bytes) -> None:
        """Take a frame that came in by an interface."""
        try:
            address, hwaddr = read_arp_reply(frame)
        except Malformed:
            return
        if any(link.interface.hwaddr == hwaddr for link in self._links.values()):
            return
        key = interface, int(address)
        probe = self._probes.get(key) or self._recent.get(key)
        if probe is None or hwaddr in probe.users or len(probe.users) >= _MOST_USERS:
            return
        probe.users.append(hwaddr)
        answered = [answer for answer, but in probe.waiting if but != hwaddr]
        probe.waiting = [(answer, but) for answer, but in probe.waiting if but == hwaddr]
        if answered and not probe.waiting:
            self._deadlines.drop(probe)
            del self._probes[key]
        for answer in answered:
            answer.callback(hwaddr)

    def stop(self) -> None:
        """Forget everything; nobody's answer is waited for any more, so it is None."""
        for probe in list(self._probes.values()):
            self._deadlines.drop(probe)
            self._expired(probe, self._clock.seconds())
        self._recent.clear()

    def _expired(self, probe: _Probe, _: float) -> None:
        """Nobody has answered in time; who answers too late is remembered, as long as there is room."""
        del self._probes[probe.key]
        self._recent.pop(probe.key, None)
        if len(self._recent) >= MOST_PROBES:
            del self._recent[next(iter(self._recent))]
        self._recent[probe.key] = probe
        probe.forgotten_at = self._clock.seconds() + REMEMBERED
        waiting, probe.waiting = probe.waiting, []
        for answer, _but in waiting:
            answer.callback(None)
