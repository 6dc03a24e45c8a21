"""Requests out of the octets of a connection (RFC 9112).  Pure, and the only parser on its connection.

Strict where leniency lets two parsers see two requests (RFC 9112 §11.2): lines end with CR LF alone, a field is not
folded and has no white space before its colon, there is one way to tell the length of a body, and no control character
stands anywhere.  All firmware and every boot loader keeps to that.

Whatever comes gives requests or `Rejected`, in time linear in its length, and never holds more than `Limits` say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pixelboot.http.message.fields import check_host
from pixelboot.http.message.target import Target, parse_target
from pixelboot.malformed import Malformed


class Rejected(Malformed):
    """What came is no request that can be answered; nothing behind it on its connection can be understood."""

    def __init__(self, status: int, reason: str) -> None:
        """`status` is what to answer with, `reason` why, as a line of text."""
        super().__init__(reason)
        self.status = status


class Limits(NamedTuple):
    """How large a request may be."""

    head: int = 16384
    """Octets of its first line and its fields together."""

    fields: int = 100
    """How many fields."""

    body: int = 65536
    """Octets of its body."""

    line: int = 8192
    """Octets of its first line."""


class Request:
    """One request, whole."""

    __slots__ = ("_target", "body", "expects", "fields", "method", "stays", "target", "version")

    def __init__(self, method: str, target: str, version: int, fields: Mapping[str, Sequence[str]]) -> None:
        self.method = method
        """The method, as sent."""
        self.target = target
        """What it asks for, as sent."""
        self.version = version
        """The minor version: 0 of HTTP/1.0, 1 of HTTP/1.1 and what may come after."""
        self.fields = fields
        """The values of each field in the order received, by its name in lower-case letters."""
        self.body = b""
        """Its body, decoded where it came in chunks."""
        self.stays = False
        """Whether the connection stays open behind it (RFC 9112 §9.3); HTTP/1.0 never asks for that here."""
        self.expects = False
        """Whether the client waits for word (100) before it sends the body."""
        self._target: Target | None = None

    def values(self, name: str) -> Sequence[str]:
        """The values of the field with this name in lower-case letters, as ISO 8859-1."""
        return self.fields.get(name, ())

    @property
    def parsed(self) -> Target:
        """The target taken apart; `Malformed` when it is none (see `parse_target`)."""
        if self._target is None:
            self._target = parse_target(self.target)
        return self._target


_CHUNKED = -1
_NOTHING: Sequence[str] = ()
_LINE_END = b"\r\n"
_HEAD_END = b"\r\n\r\n"

# RFC 9112 §3: one space between method, target and version.
_FIRST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)", re.ASCII)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(r"\d{1,19}", re.ASCII)
# RFC 9112 §7.1: a size, and extensions, which nobody uses and which have to be skipped.
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_LONGEST_CHUNK_LINE = 256
_LONGEST_KEPT = 256
_EMPTY_LINES = 2


class RequestParser:
    """The requests of one connection: `feed` it what comes in, and take from it what there is with `next`."""

    __slots__ = ("_body", "_buffer", "_empty_lines", "_left", "_limits", "_request", "_searched", "_state")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._empty_lines = 0
        self._request: Request | None = None  # whose body is being read
        self._body = bytearray()
        self._left = 0
        self._state = self._read_head

    def feed(self, octets: bytes) -> None:
        """Take what came in."""
        self._buffer += octets

    @property
    def waiting(self) -> int:
        """How many octets there are that belong to no request yet."""
        return len(self._buffer)

    @property
    def begun(self) -> bool:
        """Whether a part of a request is there."""
        return bool(self._buffer) or self._request is not None

    @property
    def expecting(self) -> bool:
        """Whether the client was not told yet that it may send the body it announced; asking tells it."""
        request = self._request
        if request is None or not request.expects:
            return False
        request.expects = False
        return not self._buffer  # RFC 9110 §10.1.1: no need to when it is on its way already

    def next(self) -> Request | None:
        """The next request, or None when there is no whole one.

        :raises Rejected: when there never will be one; the connection is to be closed then.
        """
        while self._buffer:
            state = self._state
            request = state()
            if request is not None:
                return request
            if self._state == state:
                return None
        return None

    def _read_head(self) -> Request | None:
        """State: nothing of the request has been understood."""
        buffer = self._buffer
        if buffer[0] == 13:
            # RFC 9112 §2.2: some clients send an empty line behind the body of the request before.
            if len(buffer) == 1:
                return None
            if buffer[1] == 10 and self._empty_lines < _EMPTY_LINES:
                self._empty_lines += 1
                del buffer[:2]
                return self._read_head() if buffer else None
            raise Rejected(400, "the request does not begin with a request line")
        limits = self._limits
        end = buffer.find(_HEAD_END, self._searched)
        if end < 0 or end > limits.head:
            self._check_sizes()
            self._searched = max(0, len(buffer) - 3)
            return None
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        self._searched = self._empty_lines = 0
        request, length = self._understood(head)
        if not length:
            return request
        self._request = request
        self._body = bytearray()
        self._left = length
        self._state = self._read_chunk_size if length == _CHUNKED else self._read_body
        return None

    def _check_sizes(self) -> None:
        """Refuse a head that is too long before the end of it has come."""
        line = self._buffer.find(_LINE_END, 0, self._limits.line + 2)
        if line < 0 and len(self._buffer) > self._limits.line + 1:
            raise Rejected(414, "the first line of the request is too long")
        if len(self._buffer) > self._limits.head:
            raise Rejected(431, "the fields of the request are too long")

    def _understood(self, head: bytes) -> tuple[Request, int]:
        """A head as a request, and the length of its body, `_CHUNKED` of one whose length nobody knows."""
        first, *lines = head.split(_LINE_END)
        limits = self._limits
        if len(first) > limits.line:
            raise Rejected(414, "the first line of the request is too long")
        if len(lines) > limits.fields:
            raise Rejected(431, f"the request has more than {limits.fields} fields")
        method, target, version = _first_line(first) if len(first) <= _LONGEST_KEPT else _read_first_line(first)
        fields: dict[str, Sequence[str]] = {}
        for line in lines:
            name, values = _field(line) if len(line) <= _LONGEST_KEPT else _read_field(line)
            fields[name] = (*fields[name], *values) if name in fields else values
        try:
            check_host("HTTP/1.1" if version else "HTTP/1.0", tuple(fields.get("host", _NOTHING)))
        except Malformed as problem:
            raise Rejected(400, str(problem)) from None
        request = Request(method, target, version, fields)
        if "connection" in fields:
            options = {option.strip().lower() for line in fields["connection"] for option in line.split(",")}
            request.stays = version == 1 and "close" not in options
        else:
            request.stays = version == 1
        if "expect" in fields:
            request.expects = _expects(fields["expect"]) and version == 1
        if "content-length" in fields or "transfer-encoding" in fields:
            return request, self._body_length(version, fields)
        return request, 0

    def _body_length(self, version: int, fields: Mapping[str, Sequence[str]]) -> int:
        """RFC 9112 §6.3, without what is only there for broken senders."""
        lengths, codings = fields.get("content-length", _NOTHING), fields.get("transfer-encoding", _NOTHING)
        if codings:
            if lengths:
                raise Rejected(400, "the request has Content-Length and Transfer-Encoding")
            if version == 0:
                raise Rejected(400, "HTTP/1.0 has no Transfer-Encoding")
            if len(codings) > 1 or codings[0].lower() != "chunked":
                raise Rejected(400, "the only Transfer-Encoding understood is chunked")
            return _CHUNKED
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            raise Rejected(400, "the Content-Length is not one number")
        length = int(lengths[0])
        if length > self._limits.body:
            raise Rejected(413, "the body is too long")
        return length

    def _read_body(self) -> Request | None:
        """State: so many octets of the body are still to come."""
        if len(self._buffer) < self._left:
            return None
        self._body = self._buffer[: self._left]
        del self._buffer[: self._left]
        return self._ended()

    def _read_chunk_size(self) -> None:
        """State: the line before a chunk is to come."""
        line = self._line(_LONGEST_CHUNK_LINE)
        if line is None:
            return
        found = _CHUNK.fullmatch(line)
        if not found:
            raise Rejected(400, "a chunk of the body has no size")
        self._left = int(found[1], 16)
        if len(self._body) + self._left > self._limits.body:
            raise Rejected(413, "the body is too long")
        self._state = self._read_chunk if self._left else self._read_trailer
        if not self._left:
            self._left = self._limits.head

    def _read_chunk(self) -> None:
        """State: a chunk and the end of its line are to come."""
        if len(self._buffer) < self._left + 2:
            return
        if self._buffer[self._left : self._left + 2] != _LINE_END:
            raise Rejected(400, "a chunk of the body is longer than it says")
        self._body += self._buffer[: self._left]
        del self._buffer[: self._left + 2]
        self._state = self._read_chunk_size

    def _read_trailer(self) -> Request | None:
        """State: fields behind the chunks may come, which mean nothing here, and then an empty line."""
        while (line := self._line(self._left)) is not None:
            if not line:
                return self._ended()
            _read_field(line)
            self._left -= len(line) + 2
        return None

    def _line(self, longest: int) -> bytes | None:
        """The next line, without its end, of at most so many octets; None when it has not come."""
        end = self._buffer.find(_LINE_END, 0, max(longest, 0) + 2)
        if end < 0:
            if len(self._buffer) > longest + 1:
                raise Rejected(400, "a line in the body is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _ended(self) -> Request:
        """The request is complete."""
        request, self._request = self._request, None
        assert request is not None
        request.body, self._body = bytes(self._body), bytearray()
        request.expects = False
        self._state = self._read_head
        return request


def _read_first_line(line: bytes) -> tuple[str, str, int]:
    found = _FIRST.fullmatch(line)
    if not found:
        raise Rejected(400, "the first line is not that of a request")
    method, target, major, minor = found.groups()
    if major != b"1":
        raise Rejected(505, "this server speaks HTTP/1.1")
    return method.decode("ascii"), target.decode("latin-1"), min(int(minor), 1)


def _read_field(line: bytes) -> tuple[str, Sequence[str]]:
    """The name of a field in lower-case letters, and its value, alone in a sequence."""
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name):
        # White space first would fold the line before (RFC 9112 §5.2), behind the name it has led to smuggling (§5.1).
        raise Rejected(400, "a field of the request has no name")
    value = value.strip(b" \t")
    if not _VALUE.fullmatch(value):
        raise Rejected(400, "a field of the request has a control character")
    return name.decode("ascii").lower(), (value.decode("latin-1"),)


def _expects(values: Sequence[str]) -> bool:
    if any(value.lower() != "100-continue" for value in values):
        raise Rejected(417, "the request expects something unknown")
    return True


# A machine sends the same lines with every request; most of them every machine sends.
_first_line = lru_cache(1024)(_read_first_line)
_field = lru_cache(2048)(_read_field)
