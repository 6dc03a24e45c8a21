"""What the first octets of a kernel say about it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD = 1 << 16
"""How many octets from the beginning are enough to tell."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is known of a kernel; empty texts are not known."""

    version: str = ""
    """Its release (``uname -r``)."""

    architecture: str = ""
    """The processor it is for (``uname -m``)."""

    recognised: bool = False
    """Whether it is a kernel of a kind that is known here at all."""


def kernel(head: bytes) -> Kernel:
    """Read the first `HEAD` octets of a kernel: an x86 bzImage or an arm64 Image; nothing is known of others.

    Sources: Linux, Documentation/arch/x86/boot.rst (the real-mode header) and Documentation/arch/arm64/booting.rst.
    """
    if head[0x38:0x3C] == b"ARMd":
        return Kernel(architecture="aarch64", recognised=True)
    if head[0x1FE:0x200] != b"\x55\xaa" or head[0x202:0x206] != b"HdrS" or len(head) < 0x238:
        return Kernel()
    protocol, _, _, version_at = struct.unpack_from("<HIHH", head, 0x206)
    (flags,) = struct.unpack_from("<H", head, 0x236)
    architecture = ("x86_64" if flags & 1 else "i686") if protocol >= 0x20C else ""
    text = head[0x200 + version_at :][:200].partition(b"\0")[0].decode("ascii", "replace") if version_at else ""
    release = text.partition(" ")[0]
    return Kernel(release if release.isascii() and release.isprintable() else "", architecture, recognised=True)
