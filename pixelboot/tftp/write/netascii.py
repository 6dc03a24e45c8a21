"""Text as it comes over the wire, in pieces, made what it is in a file (RFC 764, RFC 1350 §1)."""

from __future__ import annotations


class NetasciiDecoder:
    """CR LF becomes LF and CR NUL becomes CR, also where the pair lies on either side of a border between blocks.

    A CR that neither follows is no netascii; it is kept as it is.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""  # A CR at the end of the piece before: what follows it says what it means.

    def decode(self, octets: bytes, *, last: bool = False) -> bytes:
        """The text in the next piece; `last` says that no other follows."""
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") and not last else b""
        if self._held:
            octets = octets[:-1]
        return octets.replace(b"\r\n", b"\n").replace(b"\r\0", b"\r")
