"""What a helper sends of its file, as it comes: the table first, and then the journal over it."""

from __future__ import annotations

from collections.abc import Callable

from pixelboot.leases.lease import Lease
from pixelboot.malformed import Malformed
from pixelboot.state.leases import wire


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

    def add(self, rows: list[wire.Row]) -> None:
        """Some rows of the table, or what takes their place."""
        try:
            self._leases.update(wire.leases_of(rows))
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
