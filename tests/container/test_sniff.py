"""Tests of `pixelboot.container.sniff`."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.container.sniff import HEAD, Kernel, kernel


def bzimage(
    version: bytes = b"6.1.0-13-cloud-amd64 (debian) #1 SMP\0", protocol: int = 0x20F, flags: int = 0x7F
) -> bytes:
    """The beginning of a bzImage, with its version text at 0x3000."""
    head = bytearray(0x3200)
    head[0x1FE:0x200] = b"\x55\xaa"
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, protocol)
    struct.pack_into("<H", head, 0x20E, 0x3000 - 0x200)
    struct.pack_into("<H", head, 0x236, flags)
    head[0x3000 : 0x3000 + len(version)] = version
    return bytes(head)


class TestKernel(SynchronousTestCase):
    """What kernels say."""

    def test_known(self) -> None:
        cases = [
            (bzimage(), Kernel("6.1.0-13-cloud-amd64", "x86_64", True)),
            (bzimage(flags=0), Kernel("6.1.0-13-cloud-amd64", "i686", True)),
            (bzimage(protocol=0x204), Kernel("6.1.0-13-cloud-amd64", "", True)),
            (bzimage(version=b"5.0\x1b[31m\0"), Kernel("", "x86_64", True)),
            (bzimage(version=b"5.0\xff\0"), Kernel("", "x86_64", True)),
            (bzimage()[:0x3000], Kernel("", "x86_64", True)),
            (bzimage()[:0x237], Kernel()),
            (b"MZ" + bytes(0x36) + b"ARMd" + bytes(100), Kernel("", "aarch64", True)),
            (b"", Kernel()),
            (b"\x7fELF" + bytes(HEAD), Kernel()),
        ]
        for head, expected in cases:
            self.assertEqual(kernel(head), expected, repr(head[:8]))

    @given(st.binary(min_size=0, max_size=0x300), st.integers(0, 0xFFFF))
    def test_any_octets(self, octets: bytes, version_at: int) -> None:
        forged = bytearray(bzimage())
        forged[0x206 : 0x206 + len(octets)] = octets
        struct.pack_into("<H", forged, 0x20E, version_at)
        for head in (octets, bytes(forged)):
            self.assertTrue(kernel(head).version.isprintable())
