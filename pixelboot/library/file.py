"""An open file as a payload."""

from __future__ import annotations

import os

from pixelboot.payload import strong_etag


class FilePayload:
    """An open file as a `pixelboot.payload.Payload`: what is renamed over it meanwhile does not touch it."""

    def __init__(self, descriptor: int, media_type: str, modified_at: float, sha256: str) -> None:
        """Take over `descriptor`; `sha256` (lower-case hex) is that of its octets."""
        self._descriptor = descriptor
        self._sha256 = sha256
        self.size = os.fstat(descriptor).st_size
        self.media_type = media_type
        self.modified_at: float | None = modified_at

    async def etag(self) -> str:
        """See `Payload.etag`."""
        return strong_etag(self._sha256)

    def read(self, offset: int, size: int) -> bytes:
        """See `Payload.read`.  Reads from the disk: what is large is better sent from `fileno` by the kernel."""
        return os.pread(self._descriptor, min(size, max(self.size - offset, 0)), offset)

    def fileno(self) -> int | None:
        """See `Payload.fileno`."""
        return None if self._descriptor < 0 else self._descriptor

    def close(self) -> None:
        """See `Payload.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
