"""The seam that all served octets pass: a file, a decoded part or a generated text looks the same to a protocol."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Protocol


class Payload(Protocol):
    """Octets that can be served, open for reading until `close`."""

    @property
    def size(self) -> int:
        """How many octets there are; fixed while the payload is open."""

    @property
    def media_type(self) -> str:
        """The media type, without parameters where firmware reads it (``image/png``)."""

    @property
    def modified_at(self) -> float | None:
        """When the octets last changed, in seconds since 1970; None of a generated text."""

    @property
    def origin(self) -> Payload:
        """What has the octets: the same object for all payloads of the same octets that are open at once.

        What is made of one of them, such as packets, will do for the others.  It can be read while any of them is open,
        and is not to be closed.  Of a payload that shares with nobody it is that itself.
        """

    @property
    def is_final(self) -> bool:
        """Whether nobody can change the octets while the payload is open: nothing is left for `verify` to find.

        So it is with texts, and with what is written once and then only unlinked; not with a file of the operator's.
        """

    @property
    def known_etag(self) -> str | None:
        """The entity tag, as `etag` gives it, where that is known without waiting."""

    async def etag(self) -> str | None:
        """The strong entity tag (RFC 9110 §8.8.3) with its quotes, made from the octets' SHA-256, or their parts'.

        Lazy: a file's digest may have to be computed first, elsewhere than in this process's event loop.  None: it is
        not known yet, and to find it out takes longer than a client waits; who asks again later may be told it.

        :raises OSError: if the octets cannot be read, or are no longer those that the payload was opened for.
        """

    def verify(self) -> None:
        """See that the octets that were read until now, by whatever way, are those that the entity tag means.

        :raises OSError: (ESTALE) if they may be others.
        """

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` octets from `offset`; fewer only at the end or when there are fewer than there were.

        :raises OSError: if they cannot be read, or are no longer those that the entity tag means (`verify`).
        """

    def fileno(self) -> int | None:
        """A descriptor of the octets, or None when they are in memory.

        Who reads from it asks `verify` afterwards, unless the payload `is_final`.
        """

    def close(self) -> None:
        """Give back what the payload holds.  May be called more than once."""


class TextPayload:
    """A generated text as a `Payload`."""

    modified_at = None
    is_final = True

    def __init__(self, text: str, media_type: str = "text/plain") -> None:
        self._octets = text.encode("utf-8")
        self._etag = ""
        self.media_type = media_type

    @property
    def size(self) -> int:
        """Length of the UTF-8 text in octets."""
        return len(self._octets)

    @property
    def origin(self) -> Payload:
        """See `Payload.origin`."""
        return self

    @property
    def known_etag(self) -> str:
        """See `Payload.known_etag`; it is made when it is first asked for."""
        if not self._etag:
            self._etag = strong_etag(hashlib.sha256(self._octets).hexdigest())
        return self._etag

    async def etag(self) -> str:
        """See `Payload.etag`; of a text it is at hand."""
        return self.known_etag

    def verify(self) -> None:
        """A text does not change."""

    def read(self, offset: int, size: int) -> bytes:
        """See `Payload.read`."""
        return self._octets[offset : offset + size]

    def fileno(self) -> None:
        """A text is in memory: there is no descriptor."""

    def close(self) -> None:
        """A text holds nothing that could be given back."""


class RopePayload:
    """Many pieces of ASCII text as one `Payload`, which is served again and again: it is never put together."""

    modified_at = None
    is_final = True

    def __init__(self, pieces: Iterable[str], media_type: str, digest: str) -> None:
        """`digest` stands for the text, in hex: no two texts have the same, nor any text two.

        To hash megabytes for each text anew would take too long; its parts have digests that can be hashed.
        """
        self._pieces = [piece for piece in pieces if piece]
        self._ends = list(accumulate(map(len, self._pieces)))
        self.known_etag = strong_etag(digest)
        self.size = self._ends[-1] if self._ends else 0
        self.media_type = media_type

    @property
    def origin(self) -> Payload:
        """See `Payload.origin`; it is handed out again and again itself."""
        return self

    async def etag(self) -> str:
        """See `Payload.etag`."""
        return self.known_etag

    def verify(self) -> None:
        """A text does not change."""

    def read(self, offset: int, size: int) -> bytes:
        """See `Payload.read`."""
        first, last = bisect_right(self._ends, offset), bisect_left(self._ends, offset + size)
        before = self._ends[first - 1] if first else 0
        start = offset - before
        return "".join(self._pieces[first : last + 1])[start : start + size].encode("ascii")

    def fileno(self) -> None:
        """A text is in memory: there is no descriptor."""

    def close(self) -> None:
        """Nothing is given back: others read it too."""


def strong_etag(sha256: str) -> str:
    """The entity tag (RFC 9110 §8.8.3) for octets with this SHA-256 in lower-case hex: the digest in quotes."""
    return f'"{sha256}"'
