"""An open file as a payload."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import Protocol

from pixelboot.library.folder.look import Stamp
from pixelboot.payload import Payload, strong_etag


class Hasher(Protocol):
    """Finds out the SHA-256 of files, in lower-case hex."""

    def known(self, stamp: Stamp) -> str | None:
        """That of every file in this state, where it is known without waiting."""

    async def of(self, descriptor: int, stamp: Stamp) -> str | None:
        """That of an open file in this state; None where nobody should wait for it.

        :raises OSError: if the file cannot be read, or is in another state.
        """


class FilePayload:
    """An open file as a `pixelboot.payload.Payload`.

    What is renamed over it meanwhile does not touch it, nor does its deletion.  What is written into it does: from then
    on nothing can be read, for its octets are no longer those that the entity tag means.  Another name or other
    permissions count as writing, because a time of writing that was set back looks the same.
    """

    def __init__(
        self,
        descriptor: int,
        media_type: str,
        modified_at: float,
        sha256: str | Hasher,
        stamp: Stamp | None = None,
        *,
        is_final: bool = False,
    ) -> None:
        """Take over `descriptor`; `sha256` (lower-case hex) is that of its octets in the state `stamp`, or as it is.

        Where it is a `Hasher`, that is asked when somebody asks for the entity tag.
        """
        status = os.fstat(descriptor)
        self._descriptor = descriptor
        self._sha256 = sha256
        self._etag = strong_etag(sha256) if isinstance(sha256, str) else None
        self._stamp = stamp or Stamp.of(status)
        self._links = status.st_nlink
        self.size = self._stamp.size
        self.media_type = media_type
        self.modified_at: float | None = modified_at
        self.is_final = is_final

    @property
    def origin(self) -> Payload:
        """See `Payload.origin`."""
        return self

    @property
    def known_etag(self) -> str | None:
        """See `Payload.known_etag`."""
        if self._etag is None and not isinstance(self._sha256, str):
            known = self._sha256.known(self._stamp)
            self._etag = None if known is None else strong_etag(known)
        return self._etag

    async def etag(self) -> str | None:
        """See `Payload.etag`."""
        if self._etag is not None or isinstance(self._sha256, str):
            return self._etag
        # Not kept: of a file that was changed just now, the octets may be others by the next time.
        found = await self._sha256.of(self._descriptor, self._stamp)
        return None if found is None else strong_etag(found)

    def verify(self) -> None:
        """See `Payload.verify`.  It is asked for every block: one look, and a few comparisons."""
        # Looked at after reading: the kernel changes the times of a file before it changes its octets.
        status = os.fstat(self._descriptor)
        links = status.st_nlink
        if links == self._links and self._stamp.is_of(status):
            return
        stamp = Stamp.of(status)
        if links == self._links or replace(stamp, ctime_ns=self._stamp.ctime_ns) != self._stamp:
            raise OSError(errno.ESTALE, "the file was changed while it was read")
        # It was deleted, or another was renamed over it; of all its times that changes the ctime alone.
        self._stamp, self._links = stamp, links

    def read(self, offset: int, size: int) -> bytes:
        """See `Payload.read`; OSError (ESTALE) when the file is not what it was."""
        octets = os.pread(self._descriptor, min(size, max(self.size - offset, 0)), offset)
        self.verify()
        return octets

    def fileno(self) -> int | None:
        """See `Payload.fileno`."""
        return None if self._descriptor < 0 else self._descriptor

    def close(self) -> None:
        """See `Payload.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
