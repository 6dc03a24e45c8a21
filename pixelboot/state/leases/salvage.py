"""What can be read of a damaged lease database: every row on every page that still makes sense.

SQLite finds rows by way of other pages, and stops at the first that is damaged.  Here every page of the file, and of
its write-ahead log, is looked at by itself (https://www.sqlite.org/fileformat2.html §1.6, §2.1, §4.1): rows of leases,
of this schema and the one before, and batches of the journal, which have a checksum.  Old copies of a page are found as
well; of several rows of an address the one that tells the latest counts.  So nothing is lost that is still there; at
worst a machine is remembered that has another address by now, and keeps that one from others until it ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from struct import Struct, error, unpack_from
from typing import Any, NamedTuple

from pixelboot.leases.lease import State
from pixelboot.malformed import Malformed
from pixelboot.state.leases.loading import leases_of
from pixelboot.state.leases.wire import Row, changes_in

PAGE_SIZE = 4096
"""The size of a page, in octets, if the file does not say: SQLite's own choice."""

LARGEST = 4 << 20
"""The largest row that is believed in, in octets: a batch of 1000 leases has at most half of that."""

_LEAF = 13
_CELLS = Struct(">BHHHB")
_LOG_HEAD, _FRAME_HEAD = 32, 24
_NUMBERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Salvage(NamedTuple):
    """What was found."""

    rows: dict[int, Row]
    """The latest row of each address."""

    unreadable: int
    """Rows and batches of which a part was found, but that make no sense."""


def salvage(file: bytes, log: bytes) -> Salvage:
    """Read what can be read of a database and its write-ahead log, whatever octets these are."""
    size = int.from_bytes(file[16:18]) if len(file) >= 18 else 0
    size = 65536 if size == 1 else size
    if size < 512 or size & (size - 1):
        size = PAGE_SIZE
    found: dict[int, Row] = {}
    unreadable = 0
    pages = list(_pages(file, log, size))
    newest = dict(pages)
    for number, page in pages:
        for cell in _cells(page, 100 if number == 1 else 0):
            try:
                rows = _rows(page, cell, newest, size)
            except (Malformed, IndexError, error, UnicodeDecodeError):
                unreadable += 1
                continue
            for row in rows:
                before = found.get(row[0])
                if before is None or _told_at(before) <= _told_at(row):
                    found[row[0]] = row
    return Salvage(found, unreadable)


def _pages(file: bytes, log: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """The number of every page, and what it holds; those of the log, which are newer, after those of the file."""
    for at in range(0, len(file), size):
        yield 1 + at // size, file[at : at + size]
    for at in range(_LOG_HEAD, len(log), _FRAME_HEAD + size):
        yield int.from_bytes(log[at : at + 4]), log[at + _FRAME_HEAD : at + _FRAME_HEAD + size]


def _cells(page: bytes, start: int) -> Iterator[int]:
    """Where the cells of a leaf of a table are; none on a page that is something else."""
    if len(page) < start + _CELLS.size:
        return
    kind, _, count, _, _ = _CELLS.unpack_from(page, start)
    if kind != _LEAF:
        return
    first = start + _CELLS.size
    for place in range(first, min(first + 2 * count, len(page) - 1), 2):
        cell = int.from_bytes(page[place : place + 2])
        if cell >= first:
            yield cell


def _rows(page: bytes, at: int, newest: Mapping[int, bytes], size: int) -> list[Row]:
    """The rows of leases in one cell; none in that of another table.

    Raises `Malformed`, `IndexError`, `struct.error` or `UnicodeDecodeError` for what makes no sense.
    """
    length, at = _varint(page, at)
    number, at = _varint(page, at)
    if length > LARGEST:
        raise Malformed("a row that is too long")
    most = size - 35
    if length <= most:
        values = _record(page[at : at + length])
    else:
        least = (size - 12) * 32 // 255 - 23
        here = least + (length - least) % (size - 4)
        here = here if here <= most else least
        values = _record(page[at : at + here] + _overflow(page[at + here : at + here + 4], length - here, newest))
    if len(values) == 2 and isinstance(values[1], bytes):
        return [_sound(row) for _, row in changes_in(values[1]) if row is not None]
    if len(values) == 7:
        return [_sound((number, *values[1:], values[4], b"", b""))]
    if len(values) == 10:
        return [_sound((number, *values[1:]))]
    return []


def _sound(row: Row) -> Row:
    """The row, if it is one of a lease; `Malformed` if not."""
    number, identity, hwaddr, state, started_at, expires_at, hostname, renewed_at, client_id, circuit = row
    try:
        # SQLite stores a real without a fraction as an integer.
        began, ends, renewed = float(started_at), float(expires_at), float(renewed_at)
    except (TypeError, ValueError, OverflowError) as problem:
        raise Malformed(f"a row with an instant that is no number: {problem}") from problem
    sound = (number, identity, hwaddr, state, began, ends, hostname, renewed, client_id, circuit)
    (lease,) = leases_of([sound]).values()
    if lease.state is State.OFFERED or math.isnan(began) or math.isnan(ends) or math.isnan(renewed):
        raise Malformed("a row that is no lease")
    return sound


def _told_at(row: Row) -> float:
    """When something was said of the address last."""
    told: float = row[5] if row[3] in (State.RELEASED.value, State.EXPIRED.value) else row[7]
    return told


def _overflow(first: bytes, length: int, newest: Mapping[int, bytes]) -> bytes:
    """What does not fit on the page: a chain of pages, each of which begins with the number of the next."""
    octets = bytearray()
    page = newest.get(int.from_bytes(first), b"")
    while len(page) > 4 and len(octets) < length:
        octets += page[4:]
        page = newest.get(int.from_bytes(page[:4]), b"")
    return bytes(octets[:length])


def _varint(octets: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 octets, and where it ends."""
    value = 0
    for place in range(8):
        octet = octets[at + place]
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            return value, at + place + 1
    return value << 8 | octets[at + 8], at + 9


def _record(octets: bytes) -> list[Any]:
    """The values of a row (§2.1)."""
    end, at = _varint(octets, 0)
    kinds = []
    while at < end:
        kind, at = _varint(octets, at)
        kinds.append(kind)
    values: list[Any] = []
    for kind in kinds:
        size = (kind - 12) // 2 if kind >= 12 else 8 if kind == 7 else _NUMBERS.get(kind, 0)
        field = octets[at : at + size]
        if len(field) < size:
            raise Malformed("a row that ends too early")
        at += size
        if kind >= 12:
            values.append(field.decode() if kind % 2 else field)
        elif kind == 7:
            values.append(unpack_from(">d", field)[0])
        else:
            values.append({0: None, 8: 0, 9: 1}.get(kind, int.from_bytes(field, signed=True)))
    return values
