"""What the first octets of a part say about it, where nothing else does."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pixelboot.container.table import Role

HEAD = 1 << 16
"""How many octets from the beginning are enough to tell."""

_MAGIC: tuple[tuple[bytes, Role], ...] = (
    (b"070701", "initrd"),  # cpio, newc
    (b"070702", "initrd"),  # cpio, newc with check sums
    (b"\x1f\x8b\x08", "initrd"),  # gzip
    (b"\x28\xb5\x2f\xfd", "initrd"),  # zstd
    (b"\xfd7zXZ\0", "initrd"),
    (b"\x02\x21\x4c\x18", "initrd"),  # lz4, as Linux reads it
    (b"\xd0\x0d\xfe\xed", "dtb"),
)
"""Linux, Documentation/driver-api/early-userspace/buffer-format.rst: an initramfs is cpio, compressed or not."""

_MACHINES = {0x8664: "x86_64", 0x14C: "i686", 0xAA64: "aarch64", 0x1C2: "arm", 0x5064: "riscv64", 0x6264: "loongarch64"}
"""Machine types of PE files (UEFI specification, §2.1.1), and the kernel's names for them."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is known of a kernel; empty texts are not known."""

    version: str = ""
    """Its release (``uname -r``)."""

    architecture: str = ""
    """The processor it is for (``uname -m``)."""

    recognised: bool = False
    """Whether it is a kernel of a kind that is known here at all."""


def role(head: bytes) -> Role | None:
    """What a part that begins with these octets (`HEAD` of them, or all) is for; None where they do not tell.

    A compressed part counts as an initrd: kernels that are compressed as a whole do not boot as they are.
    """
    if kernel(head).recognised:
        return "kernel"
    return next((role for magic, role in _MAGIC if head.startswith(magic)), None)


def kernel(head: bytes) -> Kernel:
    """Read the first `HEAD` octets of a kernel: an x86 bzImage, an arm64 Image, or another with an EFI stub.

    Sources: Linux, Documentation/arch/x86/boot.rst (the real-mode header), Documentation/arch/arm64/booting.rst, and
    Documentation/admin-guide/efi-stub.rst.
    """
    if head[0x38:0x3C] == b"ARMd":
        return Kernel(architecture="aarch64", recognised=True)
    if head[0x1FE:0x200] != b"\x55\xaa" or head[0x202:0x206] != b"HdrS" or len(head) < 0x238:
        return _stub(head)
    protocol, _, _, version_at = struct.unpack_from("<HIHH", head, 0x206)
    (flags,) = struct.unpack_from("<H", head, 0x236)
    architecture = ("x86_64" if flags & 1 else "i686") if protocol >= 0x20C else ""
    text = head[0x200 + version_at :][:200].partition(b"\0")[0].decode("ascii", "replace") if version_at else ""
    release = text.partition(" ")[0]
    return Kernel(release if release.isascii() and release.isprintable() else "", architecture, recognised=True)


def _stub(head: bytes) -> Kernel:
    """A PE file, which is what a kernel with an EFI stub looks like."""
    if head[:2] != b"MZ" or len(head) < 0x40:
        return Kernel()
    (at,) = struct.unpack_from("<I", head, 0x3C)
    if head[at : at + 4] != b"PE\0\0" or len(head) < at + 6:
        return Kernel()
    (machine,) = struct.unpack_from("<H", head, at + 4)
    return Kernel(architecture=_MACHINES.get(machine, ""), recognised=True)
