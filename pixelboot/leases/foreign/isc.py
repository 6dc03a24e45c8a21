"""The lease file of ISC dhcpd, ``dhcpd.leases`` (dhcpd.leases(5); ``common/conflex.c`` and ``parse.c``).

It is a journal: of several entries of one address the last counts.  Statements that say nothing about leases of IPv4
are passed over, whatever is in them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import NamedTuple

from pixelboot.leases.foreign.imported import LATEST, Imported, identity, latest
from pixelboot.leases.lease import Lease, State, kept, shown
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

NOBODY = "isc:abandoned"
"""The identity of an abandoned lease that has none: nobody gets the address before its quarantine is over."""

# Nothing is given back: a comment never becomes a word, and nothing takes longer than its length.
_TOKEN = re.compile(r"""(?:\s|\#[^\n]*+)*+(?:("(?:[^"\\]|\\.)*+")|([{};,=])|([^\s{};,="\#]++))""", re.DOTALL)
_BLANK = re.compile(r"(?:\s|#[^\n]*+)*+")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_CONTROL = {"t": "\t", "r": "\r", "n": "\n", "b": "\b"}
_HWADDR = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){0,15}")
_UID = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2})*")
_DATE = re.compile(r"([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})")
_SECONDS = re.compile(r"[0-9]{1,15}")
_HTYPES = {"ethernet": 1, "token-ring": 6, "fddi": 8, "infiniband": 32}
_OTHERS = {"ia-na": "leases of DHCPv6", "ia-ta": "leases of DHCPv6", "ia-pd": "prefixes of DHCPv6"}
_FREE = {"free", "backup", "expired", "released", "reset"}


class _Word(NamedTuple):
    """One token."""

    text: str
    quoted: bool
    line: int

    def __str__(self) -> str:
        return f'"{printable(self.text, 60)}"' if self.quoted else printable(self.text, 60) or "the end of the file"


class _Words:
    """The tokens of a file, one after the other; behind the last there are empty ones."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def take(self) -> _Word:
        """The next one; `Malformed` for a quote that is never closed."""
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            blank = _BLANK.match(self._text, self._at)
            assert blank is not None  # it matches nothing, too
            self._line += self._text.count("\n", self._at, blank.end())
            self._at = blank.end()
            if self._at < len(self._text):
                raise Malformed(f"line {self._line}: expected the end of the text in quotes, found that of the file")
            return _Word("", False, self._line)
        start = found.start(found.lastindex or 0)
        self._line += self._text.count("\n", self._at, start)
        word = _Word(found[found.lastindex or 0], bool(found[1]), self._line)
        self._line += self._text.count("\n", start, found.end())
        self._at = found.end()
        return _Word(_unquoted(word.text), True, word.line) if word.quoted else word

    def expect(self, text: str) -> None:
        """Take this one; `Malformed` for any other."""
        word = self.take()
        if word.quoted or word.text != text:
            raise _wrong(word, text)

    def matching(self, form: re.Pattern[str], what: str) -> re.Match[str]:
        """Take one of this form; `Malformed` for any other."""
        word = self.take()
        found = None if word.quoted else form.fullmatch(word.text)
        if found is None:
            raise _wrong(word, what)
        return found

    def rest(self, first: _Word) -> None:
        """Take what is left of a statement that begins with `first`: to its semicolon, or the end of its block."""
        depth = 0
        word = first
        while True:
            if not word.quoted:
                depth += (word.text == "{") - (word.text == "}")
                if depth == 0 and word.text in (";", "}"):
                    return
                if depth < 0 or not word.text:
                    raise _wrong(word, f"the end of what begins with {first} in line {first.line}")
            word = self.take()


class _Entry:
    """What one entry says."""

    def __init__(self, address: IPv4Address) -> None:
        self.address = address
        self.starts: float | None = None
        self.ends: float | None = None
        self.state = "active"
        self.htype = 1
        self.hwaddr = b""
        self.client_id = b""
        self.hostname = ""


def parse(octets: bytes, now: float, quarantine: float) -> Imported:
    """The leases of a file; `Malformed` names the line, and what should be there.

    `now` in seconds since 1970; an abandoned lease is in quarantine for `quarantine` seconds from then.
    """
    words = _Words(octets.decode("utf-8", "surrogateescape"))
    entries: dict[IPv4Address, _Entry] = {}
    passed: Counter[str] = Counter()
    while (word := words.take()).text or word.quoted:
        if not word.quoted and word.text == "lease":
            entry = _entry(words)
            entries.pop(entry.address, None)
            entries[entry.address] = entry
            continue
        if word.quoted or word.text in "{};,=":
            raise _wrong(word, "a statement, such as lease")
        passed[_OTHERS.get(word.text, "states of failover" if word.text == "failover" else "")] += 1
        words.rest(word)
    leases = []
    for entry in entries.values():
        lease = _lease(entry, now, quarantine)
        if lease is not None:
            leases.append(lease)
        elif entry.state not in _FREE:
            passed["leases without hardware address and client identifier"] += 1
    notes = [f"passed over: {count} {what}" for what, count in passed.items() if what]
    return Imported(latest(leases), tuple(notes))


def _entry(words: _Words) -> _Entry:
    """One entry, behind the word ``lease``."""
    word = words.take()
    try:
        entry = _Entry(IPv4Address(word.text))
    except ValueError:
        raise _wrong(word, "an IPv4 address") from None
    words.expect("{")
    while (word := words.take()).quoted or word.text != "}":
        if word.quoted or not word.text or word.text in "{;,=":
            raise _wrong(word, "a statement or the end of the lease")
        if word.text == "starts":
            entry.starts = _instant(words)
        elif word.text == "ends":
            entry.ends = _instant(words)
        elif word.text == "binding":
            words.expect("state")
            entry.state = words.take().text
        elif word.text == "abandoned":
            entry.state = "abandoned"
        elif word.text == "hardware":
            entry.htype = _HTYPES.get(words.take().text, 0)
            entry.hwaddr = _octets(words.matching(_HWADDR, "a hardware address")[0])
        elif word.text == "uid":
            entry.client_id = _client_id(words)
        elif word.text in ("client-hostname", "hostname"):
            entry.hostname = _quoted(words).decode("utf-8", "replace")
        else:
            words.rest(word)
            continue
        words.expect(";")
    return entry


def _lease(entry: _Entry, now: float, quarantine: float) -> Lease | None:
    """What an entry comes to; None where it says nothing that is worth to be known."""
    who = identity(entry.htype, entry.hwaddr if entry.htype else b"", kept(entry.client_id))
    starts = min(now, now if entry.starts is None else entry.starts)
    ends = math.inf if entry.ends is None else entry.ends
    if entry.state == "abandoned":
        state, starts, ends = State.DECLINED, now, now + quarantine
        who = who or NOBODY
    elif entry.state in _FREE:
        state, ends = State.RELEASED if entry.state == "released" else State.EXPIRED, min(now, ends)
    else:
        state = State.BOUND if ends > now else State.EXPIRED
    if not who:
        return None
    return Lease(
        address=entry.address,
        identity=who,
        hwaddr=entry.hwaddr.hex(":"),
        state=state,
        started_at=min(starts, ends),
        expires_at=ends,
        hostname=shown(entry.hostname),
        renewed_at=min(starts, ends),
        client_id=kept(entry.client_id),
    )


def _instant(words: _Words) -> float:
    """An instant: ``never``, ``epoch SECONDS``, or ``WEEKDAY YEAR/MONTH/DAY HOUR:MINUTE:SECOND`` in UTC."""
    word = words.take()
    if not word.quoted and word.text == "never":
        return math.inf
    if not word.quoted and word.text == "epoch":
        seconds = words.take()
        if seconds.quoted or not _SECONDS.fullmatch(seconds.text) or float(seconds.text) > LATEST:
            raise _wrong(seconds, "seconds since 1970")
        return float(seconds.text)
    if word.quoted or word.text not in {"0", "1", "2", "3", "4", "5", "6"}:
        raise _wrong(word, "a weekday from 0 to 6, epoch or never")
    date = words.matching(_DATE, "a date such as 2026/03/01")
    time = words.matching(_TIME, "a time such as 12:00:00")
    try:
        return datetime(*map(int, (*date.groups(), *time.groups())), tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    except ValueError:
        raise Malformed(f"line {word.line}: expected a date, found {date[0]} {time[0]}") from None


def _client_id(words: _Words) -> bytes:
    word = words.take()
    if word.quoted:
        return word.text.encode("utf-8", "surrogateescape")
    if not _UID.fullmatch(word.text):
        raise _wrong(word, "a client identifier")
    return _octets(word.text)


def _quoted(words: _Words) -> bytes:
    word = words.take()
    if not word.quoted:
        raise _wrong(word, "a text in quotes")
    return word.text.encode("utf-8", "surrogateescape")


def _unquoted(text: str) -> str:
    """What stands between quotes; an octet that is no UTF-8 becomes a lone surrogate."""

    def meant(found: re.Match[str]) -> str:
        if found[3]:
            return _CONTROL.get(found[3], found[3])
        number = int(found[1], 8) if found[1] else int(found[2], 16)
        return chr(number) if number < 0x80 else bytes([number & 0xFF]).decode("utf-8", "surrogateescape")

    return _ESCAPE.sub(meant, text[1:-1])


def _octets(text: str) -> bytes:
    return bytes(int(each, 16) for each in text.split(":"))


def _wrong(word: _Word, expected: str) -> Malformed:
    return Malformed(f"line {word.line}: expected {expected}, found {word}")
