"""The leases on the control channel: listed, set free, and taken over from another server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar
from urllib.parse import unquote

from twisted.web.server import Request

from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.foreign.own import lease_of, value_of
from pixelboot.leases.lease import Lease, State
from pixelboot.leases.seam import LeaseStore, StoreFailed
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome, printable
from pixelboot.view.adoption import Adoption
from pixelboot.view.reply import Answer, Streamed, Told, Turn, body_of

ALL = b"/api/v1/leases"

SLICE = 100
"""Leases that are looked at in one go, which takes a millisecond or two."""

WAY = "the control channel"


@dataclass(frozen=True, slots=True)
class LeaseFreed(Outcome):
    """The operator set an address free."""

    service: ClassVar[str] = "leases"

    address: IPv4Address
    """The address."""

    holder: str
    """Who had it."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.address} is free: it is taken from {printable(self.holder)} (by {WAY})"


@dataclass(frozen=True, slots=True)
class QuarantineEnded(Outcome):
    """The operator took an address out of quarantine; that is on disk."""

    service: ClassVar[str] = "leases"

    address: IPv4Address
    """The address."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.address} is free: it is taken out of quarantine (by {WAY})"


@dataclass(frozen=True, slots=True)
class LeasesAdopted(Outcome):
    """Leases of another server were taken over; they are on disk."""

    service: ClassVar[str] = "leases"
    rest: ClassVar[float] = 10.0

    taken: int
    """How many."""

    skipped: int
    """How many were not taken, of those that were brought at once."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.taken} leases were taken over, {self.skipped} were not (by {WAY})"


class LeasesView:
    """Everything at ``/api/v1/leases``."""

    def __init__(
        self,
        store: Callable[[], LeaseStore | None],
        adoption: Adoption,
        wall: Callable[[], float],
        turn: Turn,
        report: Callable[[Outcome], None],
    ) -> None:
        """`store` is None while it is not open yet; `wall` is the time of day, in seconds since 1970."""
        self._store = store
        self._adoption = adoption
        self._wall = wall
        self._turn = turn
        self._report = report

    def at(self, path: bytes) -> Told | None:
        """What is at this path, if anything is."""
        if path == ALL:
            return Told(get=self._list, post=self._adopt)
        above, _, name = path.rpartition(b"/")
        if above != ALL or not name:
            return None
        of = unquote(name.decode("latin-1"), errors="replace")
        return Told(get=lambda _: self._one(of), delete=lambda _: self._release(of))

    async def _list(self, request: Request) -> Answer:
        """All leases that are asked for, in no order, a line each; how many there are stands behind the last."""
        wanted = Filter.read(request.args or {})
        store = self._store()
        if store is None:
            return _OPENING
        return 200, Streamed(_pieces(await store.list(), wanted), self._turn)

    async def _one(self, of: str) -> Answer:
        address, store = _address(of), self._store()
        if store is None:
            return _OPENING
        lease = await store.at(address)
        return (404, {"error": f"nothing is known of {address}"}) if lease is None else (200, value_of(lease))

    async def _release(self, of: str) -> Answer:
        """Set an address free, whoever has it, or nobody until a quarantine is over."""
        address, store = _address(of), self._store()
        if store is None:
            return _OPENING
        lease, now = await store.at(address), self._wall()
        if lease is None:
            return 404, {"error": f"nothing is known of {address}: it is free"}
        if lease.state is State.DECLINED:
            return await self._readmit(store, lease, now)
        if lease.state is State.BOUND:
            freed = await store.release(lease.identity, address, now)
        elif lease.state is State.OFFERED:
            freed = await store.withdraw(lease.identity, now)
        else:
            return 200, {"before": value_of(lease), "freed": False}
        if freed is not None:
            self._report(LeaseFreed(address, lease.hwaddr or lease.identity))
        return 200, {"before": value_of(lease), "freed": freed is not None}

    async def _readmit(self, store: LeaseStore, lease: Lease, now: float) -> Answer:
        """End a quarantine."""
        try:
            ended = await store.readmit(lease.address, now)
        except StoreFailed as problem:
            return 503, {"error": f"{lease.address} was in quarantine, which may go on: {problem}"}
        if ended is not None:
            self._report(QuarantineEnded(lease.address))
        return 200, {"before": value_of(lease), "freed": ended is not None}

    async def _adopt(self, request: Request) -> Answer:
        """Take over leases; those that cannot be are told one by one, and change nothing.

        What is asked with ``?dry-run=yes`` changes nothing at all.
        """
        body, store = body_of(request), self._store()
        brought = body.get("leases")
        if set(body) != {"leases"} or not isinstance(brought, list):
            raise Malformed('the body must be {"leases": [ … ]}')
        leases = [lease_of(each) for each in brought]
        if store is None:
            return _OPENING
        now, skipped, fit, known = self._wall(), list[tuple[IPv4Address, str]](), list[Lease](), 0
        for lease in leases:
            placed = self._adoption.placed(lease)
            reason = placed if isinstance(placed, str) else await _conflict(store, placed, now)
            if reason is None:
                known += 1
            elif reason:
                skipped.append((lease.address, reason))
            elif not isinstance(placed, str):
                fit.append(placed)
        taken = len(fit)
        if fit and (request.args or {}).get(b"dry-run") != [b"yes"]:
            try:
                taken = await store.adopt(fit, now)
            except StoreFailed as problem:
                return 503, {"error": f"they cannot be written: {problem}"}
            for lease in fit if taken < len(fit) else ():
                there = await store.at(lease.address)
                if there is None or there.identity != lease.identity:
                    skipped.append((lease.address, "its machine has another address"))
            self._report(LeasesAdopted(taken, len(skipped)))
        told = [{"address": str(address), "reason": reason} for address, reason in skipped]
        return 200, {"taken": taken, "known": known, "skipped": told}


_OPENING: Answer = (503, {"error": "the leases are not open yet; try again"})


async def _conflict(store: LeaseStore, lease: Lease, now: float) -> str | None:
    """Why a lease cannot be taken over; empty when it can, None when it was before."""
    there = await store.at(lease.address)
    if there is not None and there.identity == lease.identity and there.state is not State.OFFERED:
        return None
    if there is not None and there.state in (State.BOUND, State.OFFERED):
        return f"it is {there.state.value} to {there.hwaddr or there.identity} here"
    if there is not None and there.state is State.DECLINED:
        return "it is in quarantine here"
    if there is not None and not (lease.state is State.BOUND and lease.expires_at > now):
        return f"{there.hwaddr or there.identity} had it here last"
    if lease.state is State.OFFERED:
        return "it is only on offer"
    if lease.state is State.DECLINED:
        return "its quarantine is over" if lease.expires_at <= now else ""
    other = await store.find(lease.identity)
    if other is not None and other.address != lease.address:
        return f"its machine has {other.address} here"
    return ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which leases are asked for: those that are everything that is said."""

    states: frozenset[str] = frozenset()
    """The states; empty for any."""

    network: IPv4Network | None = None
    """The network; None for any."""

    addresses: frozenset[IPv4Address] = frozenset()
    """The addresses; empty for any."""

    mac: str = ""
    """The hardware address, or how it begins; empty for any."""

    name: str = ""
    """The name that the machine gives itself, with ``*`` and ``?``, in lower case; empty for any."""

    identity: str = ""
    """The key of the machine; empty for any."""

    @classmethod
    def read(cls, arguments: Mapping[bytes, Sequence[bytes]]) -> Filter:
        """From the query of a URL; `Malformed` for what cannot be asked for."""
        said = {
            name.decode("latin-1"): [each.decode("utf-8", "replace") for each in arguments[name]] for name in arguments
        }
        if unknown := said.keys() - {"state", "network", "address", "mac", "name", "identity"}:
            raise Malformed(f"leases are not looked for by {', '.join(sorted(unknown))}")
        last = {name: values[-1] for name, values in said.items()}
        for state in said.get("state", []):
            if state not in set(State):
                raise Malformed(f"state must be one of {', '.join(State)}, not {printable(state, 40)}")
        return cls(
            frozenset(said.get("state", [])),
            _network(last["network"]) if "network" in last else None,
            frozenset(map(_address, said.get("address", []))),
            _prefix(last["mac"]) if "mac" in last else "",
            last.get("name", "").lower(),
            last.get("identity", ""),
        )

    def fits(self, lease: Lease) -> bool:
        """Whether this lease is asked for."""
        return (
            (not self.states or lease.state.value in self.states)
            and (self.network is None or lease.address in self.network)
            and (not self.addresses or lease.address in self.addresses)
            and lease.hwaddr.startswith(self.mac)
            and (not self.name or fnmatchcase(lease.hostname.lower(), self.name))
            and (not self.identity or lease.identity == self.identity)
        )


def _pieces(leases: Sequence[Lease], wanted: Filter) -> Iterator[bytes]:
    """The JSON of those that are asked for, a slice at a time."""
    yield b'{"leases": [\n'
    count = 0
    for start in range(0, len(leases), SLICE):
        found = [json.dumps(value_of(lease)) for lease in leases[start : start + SLICE] if wanted.fits(lease)]
        text = ",\n".join(found)
        yield f"{',' if count and found else ''}{text}".encode()
        count += len(found)
    yield f'\n], "count": {count}}}\n'.encode()


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise Malformed(f"{text[:40]!r} is not an address like 10.77.0.5") from None


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError:
        raise Malformed(f"{text[:40]!r} is not a network like 10.77.0.0/24") from None


def _prefix(text: str) -> str:
    """A hardware address, or its first octets."""
    return str(HardwareAddress.parse(text.rstrip(":-")))
