"""A network card's iPXE that does not say that it is iPXE: so a machine asks as any BIOS asks.

QEMU's only network boot ROM is iPXE.  What it says of itself in DHCP (user class, option 77, and its own features,
option 175) makes a server give it a script at once; the way of other ROMs, a loader by TFTP, is never gone.  On the
wire from the machine (`lab.network.wire`) these two options get codes that mean nothing (RFC 3942: 224 to 254 are the
site's own).  The loader, ``undionly.kpxe``, is iPXE too and must be known as such: it sets the BROADCAST flag, which
the ROM does not, and is let through as it is.
"""

from __future__ import annotations

from lab.network import wire
from lab.network.namespace import Segment

_CODES = {77: 224, 175: 225}
_UDP = 17
_SERVER_PORT = 67
_BROADCAST = 0x80
_END, _PAD = 255, 0


def tap(segment: Segment) -> str:
    """The name of a new tap for a machine whose ROM is disguised; the wire lasts as long as the network.

    :raises lab.process.LabError: if the wire does not start.
    """
    name, cable = wire.tap(segment, to_server="lab.network.disguise:disguise")
    segment.until_closed.enter_context(cable)
    return name


def disguise(frame: bytes) -> bytes:
    """An Ethernet frame as it is carried on: the ROM's DHCP messages with other codes, all else as it is."""
    start = _message(frame)
    if start is None or frame[start + 10] & _BROADCAST:
        return frame
    changed = bytearray(frame)
    # No checksum (RFC 768): simpler than a right one, and as good.
    changed[start - 2 : start] = b"\0\0"
    at = start + 240
    while at + 1 < len(frame) and frame[at] != _END:
        changed[at] = _CODES.get(frame[at], frame[at])
        at += 1 if frame[at] == _PAD else 2 + frame[at + 1]
    return bytes(changed)


def _message(frame: bytes) -> int | None:
    """Where the DHCP message for a server begins in an IPv4 datagram that is whole; None where there is none."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[23] != _UDP or frame[20:22] not in (b"\0\0", b"\x40\0"):
        return None
    start = 14 + (frame[14] & 0x0F) * 4 + 8
    is_dhcp = frame[start - 6 : start - 4] == _SERVER_PORT.to_bytes(2, "big")
    return start if is_dhcp and frame[start + 236 : start + 240] == b"\x63\x82\x53\x63" else None
