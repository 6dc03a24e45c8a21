"""What a request is answered with: status, header fields and which octets.  Pure; RFC 9110 clause by clause.

The order is that of §13.2.2: the method first, then If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since,
and last Range under If-Range.  What is sent says what it is in every answer: ``Content-Length`` always, ``ETag``,
``Last-Modified`` and ``Accept-Ranges`` with every 200, 206 and HEAD; no field has an empty value, because there is
firmware that hangs on one; nothing is ever content-encoded, because boot loaders do not decode.

Most requests name a file and nothing else, and many ask for the same file: what is the same for all of them is made
once for a `Representation`, and remembered for `MOST_KNOWN`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pixelboot.http.message.fields import EntityTag, format_date, parse_date, parse_entity_tag, parse_entity_tags
from pixelboot.http.ranges import Piece, Span, byteranges, chosen, content_range
from pixelboot.malformed import Malformed
from pixelboot.outcome import printable

METHODS = ("GET", "HEAD")
"""The methods that everything here answers."""

MOST_KNOWN = 1024
"""Representations whose header fields are remembered."""

_DIGITLESS = re.compile(r"bytes=%?[a-z]{1,4}-(?:%?[a-z]{1,4})?", re.ASCII)
"""What a ``printf`` makes of a range that does not know the conversion: ``bytes=u-u``."""

_HINT = "its range has letters for numbers; a 64-bit build of iPXE sends ranges that can be read"

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Representation:
    """What there is to send, before anything is asked about it."""

    size: int
    """Octets in all."""

    etag: str | None
    """The strong entity tag with its quotes; None while nobody knows."""

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

    @property
    def plain(self) -> bool:
        """Whether it has none of these fields, so that nothing but the method decides."""
        return (
            self.range is None
            and self.if_none_match is None
            and self.if_modified_since is None
            and self.if_range is None
            and self.if_match is None
            and self.if_unmodified_since is None
        )

    @classmethod
    def read(cls, method: str, fields: Mapping[str, Sequence[str]]) -> RequestHead:
        """From the values of each field in the order received, by its name in lower-case letters.

        A field that is a list may come in several lines (§5.3).  One that is not and does anyway is as good as
        malformed: then a date or a range does not count, and an If-Range is never true.
        """
        if _CONDITIONS.isdisjoint(fields):
            return _PLAIN.get(method) or cls(method)

        def one(name: str) -> str | None:
            lines = fields.get(name)
            return None if not lines else lines[0] if len(lines) == 1 else ""

        def joined(name: str) -> str | None:
            lines = fields.get(name)
            return ", ".join(lines) if lines else None

        return cls(
            method=method,
            range=one("range"),
            if_range=one("if-range"),
            if_match=joined("if-match"),
            if_none_match=joined("if-none-match"),
            if_modified_since=one("if-modified-since"),
            if_unmodified_since=one("if-unmodified-since"),
        )


_CONDITIONS = frozenset({"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_PLAIN = {method: RequestHead(method) for method in METHODS}


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """One answer, decided."""

    status: int
    """The status code."""

    headers: tuple[Header, ...]
    """Field names, in the case that old boot loaders look for, and values."""

    pieces: tuple[Piece, ...] = ()
    """What makes the body, in order: spans of the payload, none of them empty, and octets around them."""

    text: str = ""
    """The body when it is an explanation instead."""

    reason: str = ""
    """The same explanation for the log, also where no body may be sent."""

    hint: str = ""
    """What whoever reads the log should know of this client; empty when there is nothing."""


@dataclass(frozen=True, slots=True)
class CommonHeaders:
    """What the answers about one representation have in common, whoever asks."""

    etag: EntityTag | None
    """Its entity tag."""

    modified_at: int | None
    """When it last changed, in whole seconds since 1970, as Last-Modified says it."""

    validators: tuple[Header, ...]
    """The fields of an answer that sends nothing of it: 304, and 412 (§15.4.5)."""

    content: tuple[Header, ...]
    """The fields of one that does, but for its type and length."""

    whole: ResponsePlan
    """The answer to a GET of it all."""

    head: ResponsePlan
    """The answer to HEAD (§9.3.2)."""


@lru_cache(MOST_KNOWN)
def common_headers(about: Representation, ranges: bool = True) -> CommonHeaders:
    """What is the same in all answers about `about`, whose time is not in the future; remembered.

    Without `ranges`, Accept-Ranges says so.
    """
    validators: list[Header] = [("Cache-Control", "no-cache")]
    if about.etag is not None:
        validators.insert(0, ("ETag", about.etag))
    modified_at = None if about.modified_at is None else int(about.modified_at // 1)
    if modified_at is not None:
        validators.append(("Last-Modified", format_date(modified_at)))
    content = (*validators, ("Accept-Ranges", "bytes" if ranges else "none"))
    fields = (*content, ("Content-Type", about.media_type), ("Content-Length", str(about.size)))
    return CommonHeaders(
        etag=None if about.etag is None else EntityTag(about.etag[1:-1], weak=False),
        modified_at=modified_at,
        validators=tuple(validators),
        content=content,
        whole=ResponsePlan(200, fields, (Span(0, about.size),) if about.size else ()),
        head=ResponsePlan(200, fields),
    )


def plan(
    head: RequestHead, about: Representation, now: float, ranges: bool = True, strict_ranges: bool = False
) -> ResponsePlan:
    """The answer to `head`, asked of what `about` describes; `now` in seconds since 1970, as the Date field says it.

    Without `ranges`, Range is ignored (§14.2 allows that), and Accept-Ranges says so.  With `strict_ranges` a range in
    bytes that cannot be read is answered with 416 instead of the whole: a client that boots from a disk of gigabytes
    by ranges cannot use the whole, and should fail at once.
    """
    if about.modified_at is not None and about.modified_at > now:
        # §8.8.2.1: never later than Date.  In whole seconds, so that the same is remembered for a second.
        about = replace(about, modified_at=now // 1)
    common = common_headers(about, ranges)
    if head.plain:
        if head.method == "GET":
            return common.whole
        if head.method == "HEAD":
            return common.head
    refused = refused_method(head)
    if refused is not None:
        return refused
    failed = _failed_precondition(head, common.etag, common.modified_at, now)
    if failed == 304:
        return ResponsePlan(304, common.validators)
    if failed is not None:
        return refusal(head, failed, "what is here does not meet the request's condition", common.validators)
    if head.method == "HEAD":
        return common.head
    if head.range is None or not ranges or not _unchanged(head.if_range, common, now):
        return common.whole
    return _part(head, head.range, about, common, strict_ranges)


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


def _failed_precondition(head: RequestHead, etag: EntityTag | None, modified_at: int | None, now: float) -> int | None:
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


def _listed(etag: EntityTag | None, value: str, equal: Callable[[EntityTag, EntityTag], bool]) -> bool:
    """Whether `etag` is in a list of tags, or the list is ``*``; one that cannot be read has nothing in it."""
    try:
        tags = parse_entity_tags(value)
    except Malformed:
        return False
    return tags is None or (etag is not None and any(equal(etag, tag) for tag in tags))


def _date(value: str, now: float) -> int | None:
    """A date, or None when it is none: then the field does not count (§13.1.3, §13.1.4)."""
    try:
        return parse_date(value, now)
    except Malformed:
        return None


def _part(head: RequestHead, value: str, about: Representation, common: CommonHeaders, strict: bool) -> ResponsePlan:
    """The answer to a GET with a Range field, which counts (§13.2.2 step 5, §14.2)."""
    try:
        spans = chosen(value, about.size)
    except Malformed:
        hint = _HINT if _DIGITLESS.fullmatch(value) else ""
        if strict and value[:6].lower() == "bytes=":
            return replace(_unsatisfied(head, about, "the range cannot be read"), hint=hint)
        return replace(common.whole, hint=hint) if hint else common.whole
    if spans is None:
        return common.whole
    if not spans:
        return _unsatisfied(head, about, f"there are {about.size} octets, the range names none of them")
    if len(spans) == 1:
        # §15.3.7.2: who asked for one range need not know multiparts, and one that is left needs none.
        (span,) = spans
        fields: tuple[Header, ...] = (
            ("Content-Type", about.media_type),
            ("Content-Range", content_range(span, about.size)),
            ("Content-Length", str(span.size)),
        )
        return ResponsePlan(206, common.content + fields, spans)
    media_type, pieces = byteranges(spans, about.size, about.etag or "", about.media_type)
    length = sum(piece.size if isinstance(piece, Span) else len(piece) for piece in pieces)
    fields = (("Content-Type", media_type), ("Content-Length", str(length)))
    return ResponsePlan(206, common.content + fields, pieces)


def _unsatisfied(head: RequestHead, about: Representation, reason: str) -> ResponsePlan:
    """416 with how many octets there are (§15.5.17)."""
    return refusal(head, 416, reason, (("Content-Range", f"bytes */{about.size}"),))


def _unchanged(if_range: str | None, common: CommonHeaders, now: float) -> bool:
    """Whether If-Range lets a range be served (§13.1.5): true without it, else the validators must agree strongly."""
    if if_range is None:
        return True
    try:
        tag = parse_entity_tag(if_range)
        return common.etag is not None and tag.strongly_equals(common.etag)
    except Malformed:
        pass
    # A date is exact, and a strong validator only when it lies at least a second before Date (§8.8.2.2).
    modified_at = common.modified_at
    return modified_at is not None and _date(if_range, now) == modified_at and modified_at <= now - 1
