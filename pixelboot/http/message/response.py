"""The heads of answers as octets (RFC 9112 §4).  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from pixelboot.http.message.fields import format_date

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client waits for that expects to be told whether its body is wanted (RFC 9110 §15.2.1)."""

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def compose_head(status: int, fields: Iterable[tuple[str, str]], now: float, *, closes: bool) -> bytes:
    """The head of an answer given at `now`, in seconds since 1970; `closes` tells that the connection ends behind it.

    Field names keep their letters: there are boot loaders that look for ``Content-Length: `` and nothing else.

    :raises ValueError: for a field that would be more than one line.
    """
    lines = [_status_line(status), _date(int(now // 1))]
    if closes:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in fields]
    lines.append("\r\n")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) or head.count("\r") != len(lines):
        raise ValueError("a field has the end of a line in it")
    return head.encode("latin-1")


@lru_cache(64)
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {_REASONS[status]}"


@lru_cache(4)
def _date(second: int) -> str:
    return f"Date: {format_date(second)}"
