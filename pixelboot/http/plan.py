"""What a request is answered with: status, header fields and which octets.  Pure; RFC 9110 clause by clause.

The order is that of §13.2.2: the method first, then If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since,
and last Range under If-Range.  What is sent says what it is in every answer: ``Content-Length`` always, ``ETag``,
``Last-Modified`` and ``Accept-Ranges`` with every 200, 206 and HEAD; no field has an empty value, because there is
firmware that hangs on one; nothing is ever content-encoded, because boot loaders do not decode.

Several ranges in one request are not served as such: §14.2 lets a server ignore Range, and the whole is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pixelboot.http.wire import (
    EntityTag,
    RangeSpec,
    format_date,
    parse_date,
    parse_entity_tag,
    parse_entity_tags,
    parse_range,
)
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome, Severity, pace, printable

METHODS = ("GET", "HEAD")
"""The methods that everything here answers."""

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Representation:
    """What there is to send, before anything is asked about it."""

    size: int
    """Octets in all."""

    etag: str
    """The strong entity tag with its quotes."""

    modified_at: float | None
    """When it last changed, in seconds since 1970; None when nobody knows."""

    media_type: str
    """The media type."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The parts of a request that decide about its answer; field values as ISO 8859-1 text."""

    method: str
    """The method, as sent."""

    range: str | None = None
    """``Range``."""

    if_range: str | None = None
    """``If-Range``."""

    if_match: str | None = None
    """``If-Match``."""

    if_none_match: str | None = None
    """``If-None-Match``."""

    if_modified_since: str | None = None
    """``If-Modified-Since``."""

    if_unmodified_since: str | None = None
    """``If-Unmodified-Since``."""

    @classmethod
    def read(cls, method: str, values: Callable[[str], Sequence[str]]) -> RequestHead:
        """From the values of each field by its name, in the order received.

        A field that is a list may come in several lines (§5.3).  One that is not and does anyway is as good as
        malformed: then a date or a range does not count, and an If-Range is never true.
        """

        def one(name: str) -> str | None:
            lines = values(name)
            return None if not lines else lines[0] if len(lines) == 1 else ""

        def joined(name: str) -> str | None:
            lines = values(name)
            return ", ".join(lines) if lines else None

        return cls(
            method=method,
            range=one("Range"),
            if_range=one("If-Range"),
            if_match=joined("If-Match"),
            if_none_match=joined("If-None-Match"),
            if_modified_since=one("If-Modified-Since"),
            if_unmodified_since=one("If-Unmodified-Since"),
        )


@dataclass(frozen=True, slots=True)
class Span:
    """A run of octets of what is served."""

    offset: int
    """Position of its first octet."""

    size: int
    """How many octets."""


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """One answer, decided."""

    status: int
    """The status code."""

    headers: tuple[Header, ...]
    """Field names, in the case that old boot loaders look for, and values."""

    spans: tuple[Span, ...] = ()
    """Which octets of the payload make the body, in order."""

    text: str = ""
    """The body when it is an explanation instead."""

    reason: str = ""
    """The same explanation for the log, also where no body may be sent."""


def plan(head: RequestHead, about: Representation, now: float, ranges: bool = True) -> ResponsePlan:
    """The answer to `head`, asked of what `about` describes; `now` in seconds since 1970, as the Date field says it.

    Without `ranges`, Range is ignored (§14.2 allows that), and Accept-Ranges says so.
    """
    refused = refused_method(head)
    if refused is not None:
        return refused
    # §8.8.2.1: never later than Date.
    modified_at = None if about.modified_at is None else int(min(about.modified_at, now) // 1)
    common: list[Header] = [("ETag", about.etag), ("Cache-Control", "no-cache")]
    if modified_at is not None:
        common.append(("Last-Modified", format_date(modified_at)))
    failed = _failed_precondition(head, EntityTag(about.etag[1:-1], weak=False), modified_at, now)
    if failed == 304:
        return ResponsePlan(304, tuple(common))
    if failed is not None:
        return refusal(head, failed, "what is here does not meet the request's condition", tuple(common))
    common += [("Accept-Ranges", "bytes" if ranges else "none"), ("Content-Type", about.media_type)]
    span, status = Span(0, about.size), 200
    spec = _applicable_range(head, about, modified_at, now) if ranges else None
    if spec is not None:
        part = _satisfy(spec, about.size)
        if part is None:
            unsatisfied = ("Content-Range", f"bytes */{about.size}")
            return refusal(head, 416, f"there are {about.size} octets, the range names none of them", (unsatisfied,))
        if part.size:
            span, status = part, 206
            common.append(("Content-Range", f"bytes {part.offset}-{part.offset + part.size - 1}/{about.size}"))
    common.append(("Content-Length", str(span.size)))
    return ResponsePlan(status, tuple(common), (span,) if head.method == "GET" and span.size else ())


def refusal(head: RequestHead, status: int, reason: str, headers: tuple[Header, ...] = ()) -> ResponsePlan:
    """An answer that only explains; `reason` is one sentence without a full stop.  HEAD gets its length alone."""
    text = printable(reason, 500) + "\n"
    about = (("Content-Type", "text/plain"), ("Content-Length", str(len(text.encode()))))
    return ResponsePlan(status, headers + about, text="" if head.method == "HEAD" else text, reason=reason)


def refused_method(head: RequestHead) -> ResponsePlan | None:
    """The answer to a method that is not one of `METHODS` (§15.5.6); None when it is."""
    if head.method in METHODS:
        return None
    return refusal(head, 405, "this can only be read", (("Allow", ", ".join(METHODS)),))


def _failed_precondition(head: RequestHead, etag: EntityTag, modified_at: int | None, now: float) -> int | None:
    """The status that a condition which is not met asks for (§13.2.2, steps 1 to 4); None when all are met."""
    if head.if_match is not None:
        if not _listed(etag, head.if_match, EntityTag.strongly_equals):
            return 412
    elif head.if_unmodified_since is not None and modified_at is not None:
        limit = _date(head.if_unmodified_since, now)
        if limit is not None and modified_at > limit:
            return 412
    if head.if_none_match is not None:
        if _listed(etag, head.if_none_match, EntityTag.weakly_equals):
            return 304
    elif head.if_modified_since is not None and modified_at is not None:
        limit = _date(head.if_modified_since, now)
        if limit is not None and modified_at <= limit:
            return 304
    return None


def _listed(etag: EntityTag, value: str, equal: Callable[[EntityTag, EntityTag], bool]) -> bool:
    """Whether `etag` is in a list of tags, or the list is ``*``; one that cannot be read has nothing in it."""
    try:
        tags = parse_entity_tags(value)
    except Malformed:
        return False
    return tags is None or any(equal(etag, tag) for tag in tags)


def _date(value: str, now: float) -> int | None:
    """A date, or None when it is none: then the field does not count (§13.1.3, §13.1.4)."""
    try:
        return parse_date(value, now)
    except Malformed:
        return None


def _applicable_range(
    head: RequestHead, about: Representation, modified_at: int | None, now: float
) -> RangeSpec | None:
    """The one range to serve, or None when the whole is to be sent (§13.2.2 step 5, §14.2)."""
    if head.method != "GET" or head.range is None:
        return None
    try:
        specs = parse_range(head.range)
    except Malformed:
        return None
    if len(specs) > 1 or not _unchanged(head.if_range, about, modified_at, now):
        return None
    return specs[0]


def _unchanged(if_range: str | None, about: Representation, modified_at: int | None, now: float) -> bool:
    """Whether If-Range lets a range be served (§13.1.5): true without it, else the validators must agree strongly."""
    if if_range is None:
        return True
    try:
        return parse_entity_tag(if_range).strongly_equals(parse_entity_tag(about.etag))
    except Malformed:
        pass
    # A date is exact, and a strong validator only when it lies at least a second before Date (§8.8.2.2).
    return modified_at is not None and _date(if_range, now) == modified_at and modified_at <= now - 1


def _satisfy(spec: RangeSpec, size: int) -> Span | None:
    """What `spec` names of `size` octets (§14.1.2), or None when it names nothing that exists.

    An empty span is the answer to a suffix of nothing: satisfiable by the letter, though no Content-Range can say it.
    """
    if spec.first is None:
        length = min(spec.last or 0, size)
        return Span(size - length, length) if spec.last else None
    if spec.first >= size:
        return None
    last = size - 1 if spec.last is None else min(spec.last, size - 1)
    return Span(spec.first, last - spec.first + 1)


@dataclass(frozen=True, slots=True)
class Exchange(Outcome):
    """What one request came to; the base of those below."""

    service: ClassVar[str] = "http"

    machine: HardwareAddress | None
    """Whose request it was, as far as anybody knows."""

    peer: str
    """The client's address as text."""

    method: str
    """The request's method; untrusted."""

    target: str
    """The request's target; untrusted."""

    status: int
    """The status answered with; 0 when there was no answer."""

    octets: int
    """Octets of the body that the kernel took to send."""

    seconds: float
    """From the request to the end of the answer."""

    reason: str = ""
    """Why it did not end with what was asked for; empty when it did."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        who = f"{self.machine} {self.peer}" if self.machine else self.peer
        what = f"{printable(self.method, 20)} {printable(self.target)}"
        return f"{who} {what} {self._end()}"

    def _end(self) -> str:
        status = f"{self.status} " if self.status else ""
        return f"{status}{printable(self.reason)}"

    def _amount(self) -> str:
        return pace(self.octets, self.seconds)


@dataclass(frozen=True, slots=True)
class Served(Exchange):
    """Everything asked for was sent."""

    def _end(self) -> str:
        return f"{self.status} {self._amount()}"


@dataclass(frozen=True, slots=True)
class Refused(Exchange):
    """The request could not be met, and the client was told why (4xx)."""

    severity: ClassVar[Severity] = "warn"


@dataclass(frozen=True, slots=True)
class Aborted(Exchange):
    """The answer ended early, and with it the connection."""

    severity: ClassVar[Severity] = "warn"

    def _end(self) -> str:
        status = f"{self.status} " if self.status else ""
        return f"{status}broken off after {self._amount()}: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class Failed(Exchange):
    """The fault was ours (5xx)."""

    severity: ClassVar[Severity] = "error"


@dataclass(frozen=True, slots=True)
class Unreadable(Outcome):
    """What came was no HTTP request, or none within the time and size allowed; the connection was closed."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 10.0

    peer: str
    """The client's address as text."""

    reason: str
    """What was wrong."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"{self.peer} sent no request that can be answered: {printable(self.reason)}"


@dataclass(frozen=True, slots=True)
class MenuChanged(Outcome):
    """A menu was not what the settings say."""

    service: ClassVar[str] = "http"
    severity: ClassVar[Severity] = "warn"
    rest: ClassVar[float] = 60.0

    notice: str
    """What the menu tells the person before the machine."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"menu: {printable(self.notice)}"
