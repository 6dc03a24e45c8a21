"""Tests of `pixelboot.boot.architecture`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import CODES, Architecture, describe, first_supported

PXE_AND_HTTP = {
    Architecture.BIOS: (0x00, 0x14),
    Architecture.UEFI_IA32: (0x06, 0x0F),
    Architecture.UEFI_X64: (0x07, 0x09, 0x10, 0x11),
    Architecture.UEFI_ARM32: (0x0A, 0x12),
    Architecture.UEFI_ARM64: (0x0B, 0x13),
    Architecture.UEFI_RISCV32: (0x19, 0x1A),
    Architecture.UEFI_RISCV64: (0x1B, 0x1C),
    Architecture.UEFI_LOONG64: (0x27, 0x28),
}
"""The codes by which each kind of machine asks; what EDK2 and iPXE send is among them."""


class Codes(SynchronousTestCase):
    """The registry."""

    def test_complete(self) -> None:
        """Every code from 0x00 to 0x29 has a name, and each architecture exactly its own codes."""
        self.assertEqual(list(CODES), list(range(0x2A)))
        for architecture in Architecture:
            codes = tuple(code for code, (_, of) in CODES.items() if of is architecture)
            self.assertEqual(codes, PXE_AND_HTTP[architecture], architecture)

    def test_http_codes_say_so(self) -> None:
        """A name ends with the way of booting where that is HTTP, and there is one without it of the same kind."""
        names = dict(CODES.values())
        for name, of in names.items():
            if name.endswith(" by HTTP"):
                self.assertEqual(names[name.removesuffix(" by HTTP")], of, name)

    def test_first_supported(self) -> None:
        """O09: the first one that there are loaders for; where there is none, the first at all."""
        for codes, expected in (
            ((), (None, None)),
            ((7,), (Architecture.UEFI_X64, 7)),
            ((9,), (Architecture.UEFI_X64, 9)),
            ((2, 11, 7), (Architecture.UEFI_ARM64, 11)),
            ((2, 0xFFFF), (None, 2)),
            ((0xFFFF, 0), (Architecture.BIOS, 0)),
        ):
            self.assertEqual(first_supported(codes), expected, str(codes))

    @given(st.lists(st.integers(0, 0xFFFF), max_size=8))
    def test_any_codes(self, codes: list[int]) -> None:
        """The code that is named is one of the machine's, and means what is said."""
        architecture, code = first_supported(codes)
        self.assertEqual(code is None, not codes)
        if code is not None:
            self.assertIn(code, codes)
            self.assertIs(CODES.get(code, ("", None))[1], architecture)
            self.assertTrue(describe(code).startswith(f"0x{code:02x}"))

    def test_describe(self) -> None:
        """Registered or not."""
        self.assertEqual(describe(0x15), "0x15 (ARM 32-bit U-Boot)")
        self.assertEqual((describe(0x2A), describe(0x1234)), ("0x2a", "0x1234"))
