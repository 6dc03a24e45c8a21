"""Leases in JSON and CSV: written for other programs, and read again.

Both have the same names.  JSON has instants in seconds since 1970, null for never; CSV in ISO 8601, UTC, and ``never``.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from pixelboot.leases.foreign.imported import LATEST, Imported, latest
from pixelboot.leases.lease import Lease, State, check, kept, shown
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

COLUMNS = (
    "address",
    "state",
    "hwaddr",
    "hostname",
    "identity",
    "started_at",
    "renewed_at",
    "expires_at",
    "client_id",
    "circuit",
)
"""What is said of a lease, in the order of the columns; octets are in hexadecimal."""

_INSTANTS = frozenset({"started_at", "renewed_at", "expires_at"})
_FORMULA = ("=", "+", "-", "@", "'")
"""What a spreadsheet would take a text for a formula by; an apostrophe in front prevents it."""


def value_of(lease: Lease) -> dict[str, object]:
    """A lease as values that JSON can hold."""
    return {
        "address": str(lease.address),
        "state": lease.state.value,
        "hwaddr": lease.hwaddr,
        "hostname": lease.hostname,
        "identity": lease.identity,
        "started_at": lease.started_at,
        "renewed_at": lease.renewed_at,
        "expires_at": None if lease.expires_at == math.inf else lease.expires_at,
        "client_id": lease.client_id.hex(),
        "circuit": lease.circuit.hex(),
    }


def lease_of(value: object) -> Lease:
    """The lease that `value_of` made such values of; `Malformed` names what is wrong."""
    if not isinstance(value, Mapping):
        raise Malformed("a lease must be a JSON object")
    try:
        lease = Lease(
            address=IPv4Address(_text(value, "address")),
            identity=_text(value, "identity"),
            hwaddr=_text(value, "hwaddr", ""),
            state=_state(_text(value, "state")),
            started_at=_instant(value, "started_at", None),
            expires_at=_instant(value, "expires_at", math.inf),
            hostname=shown(_text(value, "hostname", "")),
            renewed_at=_instant(value, "renewed_at", _instant(value, "started_at", None)),
            client_id=kept(bytes.fromhex(_text(value, "client_id", ""))),
            circuit=kept(bytes.fromhex(_text(value, "circuit", ""))),
        )
    except Malformed:
        raise
    except ValueError as problem:  # of the address, or of octets
        raise Malformed(str(problem)) from None
    check(lease.identity, lease.hwaddr)
    return lease


def parse_json(octets: bytes) -> Imported:
    """The leases of ``{"leases": […]}``; `Malformed` says which is wrong, and how."""
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"not JSON: {problem}") from None
    leases = document.get("leases") if isinstance(document, dict) else None
    if not isinstance(leases, list):
        raise Malformed('expected {"leases": [ … ]}')
    return Imported(latest(_numbered("lease", enumerate(leases, 1))), ())


def parse_csv(octets: bytes) -> Imported:
    """The leases of a table with a line of column names; `Malformed` names the line, and what is wrong in it."""
    try:
        rows = csv.reader(io.StringIO(octets.decode("utf-8-sig"), newline=""), strict=True)
        names = next(rows, [])
        if missing := [name for name in ("address", "state", "identity", "started_at") if name not in names]:
            raise Malformed(f"line 1: expected the names of columns, among them {', '.join(missing)}")
        return Imported(latest(_numbered("line", _values(rows, names))), ())
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    except csv.Error as problem:
        raise Malformed(f"not CSV: {problem}") from None


def csv_lines(values: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """A table of leases, of such values as `value_of` makes, a line at a time."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for value in values:
        yield _taken(buffer)
        writer.writerow([_cell(name, value.get(name)) for name in COLUMNS])
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _cell(name: str, value: object) -> str:
    if name in _INSTANTS:
        return _iso(value)
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _iso(instant: object) -> str:
    if not isinstance(instant, int | float):
        return "never"
    if not 0 <= instant <= LATEST:
        return repr(float(instant))
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _values(rows: Any, names: list[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            raise Malformed(f"line {rows.line_num}: expected {len(names)} columns, found {len(row)}")
        value: dict[str, object] = {}
        for name, cell in zip(names, row, strict=True):
            value[name] = _when(rows.line_num, name, cell) if name in _INSTANTS else cell.removeprefix("'")
        yield rows.line_num, value


def _when(line: int, name: str, cell: str) -> float | None:
    if cell in ("", "never"):
        return None
    try:
        return float(cell)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(cell)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Malformed(f"line {line}: expected {name} as 2026-03-01T12:00:00Z, found {printable(cell, 60)}") from None


def _numbered(what: str, values: Iterable[tuple[int, object]]) -> Iterator[Lease]:
    for number, value in values:
        try:
            yield lease_of(value)
        except Malformed as problem:
            raise Malformed(f"{what} {number}: {problem}") from None


def _text(value: Mapping[str, object], name: str, default: str | None = None) -> str:
    text = value.get(name, default)
    if not isinstance(text, str):
        raise Malformed(f"{name} must be a text")
    return text


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise Malformed(f"state must be one of {', '.join(State)}, not {printable(text, 40)}") from None


def _instant(value: Mapping[str, object], name: str, never: float | None) -> float:
    instant = value.get(name)
    if instant is None and never is not None:
        return never
    if not isinstance(instant, int | float) or isinstance(instant, bool) or not 0 <= instant <= LATEST:
        raise Malformed(f"{name} must be seconds since 1970")
    return float(instant)
