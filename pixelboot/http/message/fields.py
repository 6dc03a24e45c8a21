"""The field values that pixelboot reads from requests, and the dates it writes.  Pure.

Every function takes any text and returns a value or raises `Malformed`, in time linear in the text's length.  Texts are
octets read as ISO 8859-1, one character an octet, as the headers come off the wire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pixelboot.malformed import Malformed

# RFC 9110 §14.1.1: int-range = first-pos "-" [ last-pos ], suffix-range = "-" suffix-length.
_RANGE = re.compile(r"(\d+)-(\d*)|-(\d+)", re.ASCII)
_MORE_DIGITS = 20
"""A number with more digits than this is larger than any file, and is read as `_HUGE`."""
_HUGE = 10**_MORE_DIGITS

# RFC 9110 §8.8.3: entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE, in a list with white space and empty elements.
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_COMMA = re.compile(r"[ \t]*(?:,[ \t]*)+")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
# RFC 9110 §5.6.7: what is written today, and the two obsolete forms that must be read.
_DATES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:{'|'.join(_DAYS)}), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# RFC 3986 §3.2.2 and §3.2.3, as far as letters go: a name or address, and a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[A-Fa-f0-9:.]+\])(?::\d*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """One range as asked for (RFC 9110 §14.1.1), in octets."""

    first: int | None
    """Position of the first octet; None of a suffix range."""

    last: int | None
    """Position of the last octet, None for the end; of a suffix range how many octets."""


@dataclass(frozen=True, slots=True)
class EntityTag:
    """One entity tag (RFC 9110 §8.8.3)."""

    opaque: str
    """What stands between the quotes."""

    weak: bool
    """Whether ``W/`` stands before it."""

    def strongly_equals(self, other: EntityTag) -> bool:
        """RFC 9110 §8.8.3.2: equal, and neither is weak."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def weakly_equals(self, other: EntityTag) -> bool:
        """RFC 9110 §8.8.3.2: equal, weak or not."""
        return self.opaque == other.opaque


def parse_range(value: str) -> tuple[RangeSpec, ...]:
    """The ranges of a ``Range`` field in octets, at least one; another unit is `Malformed` like any other error."""
    unit, equals, ranges = value.partition("=")
    if unit.lower() != "bytes" or not equals:
        raise Malformed("the range is not one in bytes")
    specs = tuple(_range_spec(part) for word in ranges.split(",") if (part := word.strip(" \t")))
    if not specs:
        raise Malformed("the range names none")
    return specs


def parse_entity_tag(value: str) -> EntityTag:
    """One entity tag, as the answer to a request carries it and ``If-Range`` may."""
    found = _TAG.fullmatch(value)
    if not found:
        raise Malformed("this is not an entity tag")
    return EntityTag(found[2], found[1] is not None)


def parse_entity_tags(value: str) -> tuple[EntityTag, ...] | None:
    """The tags of ``If-Match`` or ``If-None-Match``; None of ``*``, which means any at all."""
    if value.strip(" \t") == "*":
        return None
    tags = []
    at = _skip_commas(value, 0)
    while at < len(value):
        found = _TAG.match(value, at)
        if not found:
            raise Malformed("this is not a list of entity tags")
        tags.append(EntityTag(found[2], found[1] is not None))
        at = _skip_commas(value, found.end())
        if at == found.end() and at < len(value):
            raise Malformed("no comma stands between two entity tags")
    if not tags:
        raise Malformed("the list of entity tags is empty")
    return tuple(tags)


def parse_date(value: str, now: float) -> int:
    """An HTTP date in any of the three forms of RFC 9110 §5.6.7, in seconds since 1970.

    `now` settles the century of a two-digit year: what seems more than 50 years ahead is the past.
    """
    for pattern in _DATES:
        if found := pattern.fullmatch(value):
            break
    else:
        raise Malformed("this is not an HTTP date")
    year = int(found["year"])
    if len(found["year"]) == 2:
        this_year = (_EPOCH + timedelta(seconds=now)).year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    # A leap second is a legal time (§5.6.7) and unknown to the calendar: take the second before it.
    second = min(int(found["second"]), 59) if found["second"] == "60" else int(found["second"])
    try:
        month = _MONTHS.index(found["month"]) + 1
        at = datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        raise Malformed("there is no such date") from None
    return int((at - _EPOCH).total_seconds())


def format_date(at: float) -> str:
    """The preferred form of RFC 9110 §5.6.7; `at` in seconds since 1970, between the years 1 and 9999."""
    moment = _EPOCH + timedelta(seconds=int(at // 1))
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def check_host(version: str, hosts: tuple[str, ...]) -> None:
    """Raise `Malformed` unless a request of HTTP `version` has the one good ``Host`` it needs (RFC 9112 §3.2)."""
    if len(hosts) > 1:
        raise Malformed("more than one Host")
    if not hosts and version == "HTTP/1.1":
        raise Malformed("no Host")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise Malformed("the Host is neither a name nor an address")


def _range_spec(text: str) -> RangeSpec:
    found = _RANGE.fullmatch(text)
    if not found:
        raise Malformed("a range is neither first-last nor -length")
    first, last, suffix = found.groups()
    if suffix is not None:
        return RangeSpec(None, _number(suffix))
    spec = RangeSpec(_number(first), _number(last) if last else None)
    # Compared as digits, which may be too many for `_number` to tell apart.
    if last and _magnitude(first) > _magnitude(last):
        raise Malformed("a range ends before it begins")
    return spec


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return _HUGE if len(digits) > _MORE_DIGITS else int(digits or "0")


def _magnitude(digits: str) -> tuple[int, str]:
    digits = digits.lstrip("0")
    return len(digits), digits


def _skip_commas(value: str, at: int) -> int:
    """The position behind commas and white space; white space alone counts only at either end."""
    found = _COMMA.match(value, at)
    if found:
        return found.end()
    end = at
    while end < len(value) and value[end] in " \t":
        end += 1
    return end if at == 0 or end == len(value) else at
