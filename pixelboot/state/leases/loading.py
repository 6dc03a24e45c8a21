"""What a helper sends of its file, as it comes: the table first, and then the journal over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from itertools import chain

from pixelboot.leases.lease import Lease, State
from pixelboot.malformed import Malformed
from pixelboot.state.leases import wire
from pixelboot.state.leases.wire import Row

_STATES = {state.value: state for state in State}
_TYPES = (int, str, str, str, float, float, str, float, bytes, bytes)
_NO_OTHERS: list[set[type]] = [set() for _ in _TYPES]


class OnDisk:
    """The leases on disk, by the numbers of their addresses.  What is no lease is left out and complained of."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._leases: dict[int, Lease] = {}

    def take(self) -> dict[int, Lease]:
        """What there is; and begin anew."""
        leases, self._leases = self._leases, {}
        return leases

    def differing(self, known: dict[int, Lease]) -> dict[int, Lease | None]:
        """What has to be written so that there is on disk what is `known`; and begin anew."""
        leases = self.take()
        differing: dict[int, Lease | None] = {number: None for number in leases if number not in known}
        differing |= {number: lease for number, lease in known.items() if leases.get(number) != lease}
        return differing

    def add(self, rows: list[Row]) -> None:
        """Some rows of the table, or what takes their place."""
        try:
            self._leases.update(leases_of(rows))
        except Malformed as problem:
            if len(rows) == 1:
                self._complain(f"{problem}; it is left out")
                return
            half = len(rows) // 2
            self.add(rows[:half])
            self.add(rows[half:])

    def replay(self, octets: bytes) -> None:
        """A batch of the journal."""
        try:
            changes = wire.changes_in(octets)
        except Malformed as problem:
            self._complain(f"a part of the journal cannot be read: {problem}")
            return
        rows = []
        for number, row in changes:
            # An address comes once in a batch.
            if row is None:
                self._leases.pop(number, None)
            else:
                rows.append(row)
        if rows:
            self.add(rows)


def row_of(lease: Lease) -> Row:
    """The row of a lease."""
    return (int(lease.address), *lease[1:3], lease.state.value, *lease[4:])


def leases_of(some: Sequence[Row]) -> dict[int, Lease]:
    """The lease in each row, by its address; `Malformed` if one is none."""
    # A column at a time, and hardly a loop of Python's: of 100,000 rows that is a third of a second less.
    try:
        columns = list(zip(*some, strict=True)) if some else [()] * len(_TYPES)
        if [{*map(type, column)} - {kind} for column, kind in zip(columns, _TYPES, strict=True)] != _NO_OTHERS:
            raise ValueError("a column of another type")
        numbers, identities, hwaddrs, states, *times_and_name, client_ids, circuits = columns
        started, ended, hostnames, told = times_and_name
        if not all(identities) or not all(map(str.isprintable, chain(identities, hwaddrs, hostnames))):
            raise ValueError("a text that does not print")
        addresses = map(IPv4Address, numbers)
        held = map(_STATES.__getitem__, states)
        # A lease that was not renewed has one instant for both, which is 32 octets.
        renewed = [began if began == at else at for began, at in zip(started, told, strict=True)]
        values = zip(
            *(addresses, identities, hwaddrs, held, started, ended, hostnames, renewed, client_ids, circuits),
            strict=True,
        )
        return dict(zip(numbers, map(Lease._make, values), strict=True))
    except (ValueError, KeyError) as problem:
        where = f"among {len(some)} rows from {str(some[0])[:200]}"
        raise Malformed(f"{where} is one that is no lease: {problem}") from problem
