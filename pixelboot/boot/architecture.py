"""What kinds of machine there are, by the codes under which they ask (DHCP option 93).

The codes are IANA's "Processor Architecture Types" (RFC 4578 §2.1, RFC 5970 §3.3 and later registrations).  RFC 4578
has 7 and 9 the wrong way round (see its erratum), and there is firmware of both readings: both mean x64 here, for
nobody boots EFI byte code.  A code for booting by HTTP names the same machine as the one for PXE.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence


class Architecture(enum.StrEnum):
    """A kind of machine that a loader can be configured for; the value is its key in ``[boot.loaders]``."""

    BIOS = "bios"
    UEFI_IA32 = "uefi-ia32"
    UEFI_X64 = "uefi-x64"
    UEFI_ARM32 = "uefi-arm32"
    UEFI_ARM64 = "uefi-arm64"
    UEFI_RISCV32 = "uefi-riscv32"
    UEFI_RISCV64 = "uefi-riscv64"
    UEFI_LOONG64 = "uefi-loong64"


CODES: Mapping[int, tuple[str, Architecture | None]] = {
    0x00: ("x86 BIOS", Architecture.BIOS),
    0x01: ("NEC PC-98", None),
    0x02: ("Itanium", None),
    0x03: ("DEC Alpha", None),
    0x04: ("Arc x86", None),
    0x05: ("Intel Lean Client", None),
    0x06: ("x86 UEFI", Architecture.UEFI_IA32),
    0x07: ("x64 UEFI", Architecture.UEFI_X64),
    0x08: ("EFI Xscale", None),
    0x09: ("EBC", Architecture.UEFI_X64),
    0x0A: ("ARM 32-bit UEFI", Architecture.UEFI_ARM32),
    0x0B: ("ARM 64-bit UEFI", Architecture.UEFI_ARM64),
    0x0C: ("PowerPC Open Firmware", None),
    0x0D: ("PowerPC ePAPR", None),
    0x0E: ("POWER OPAL v3", None),
    0x0F: ("x86 UEFI by HTTP", Architecture.UEFI_IA32),
    0x10: ("x64 UEFI by HTTP", Architecture.UEFI_X64),
    0x11: ("EBC by HTTP", Architecture.UEFI_X64),
    0x12: ("ARM 32-bit UEFI by HTTP", Architecture.UEFI_ARM32),
    0x13: ("ARM 64-bit UEFI by HTTP", Architecture.UEFI_ARM64),
    0x14: ("x86 BIOS by HTTP", Architecture.BIOS),
    0x15: ("ARM 32-bit U-Boot", None),
    0x16: ("ARM 64-bit U-Boot", None),
    0x17: ("ARM 32-bit U-Boot by HTTP", None),
    0x18: ("ARM 64-bit U-Boot by HTTP", None),
    0x19: ("RISC-V 32-bit UEFI", Architecture.UEFI_RISCV32),
    0x1A: ("RISC-V 32-bit UEFI by HTTP", Architecture.UEFI_RISCV32),
    0x1B: ("RISC-V 64-bit UEFI", Architecture.UEFI_RISCV64),
    0x1C: ("RISC-V 64-bit UEFI by HTTP", Architecture.UEFI_RISCV64),
    0x1D: ("RISC-V 128-bit UEFI", None),
    0x1E: ("RISC-V 128-bit UEFI by HTTP", None),
    0x1F: ("s390 basic", None),
    0x20: ("s390 extended", None),
    0x21: ("MIPS 32-bit UEFI", None),
    0x22: ("MIPS 64-bit UEFI", None),
    0x23: ("Sunway 32-bit UEFI", None),
    0x24: ("Sunway 64-bit UEFI", None),
    0x25: ("LoongArch 32-bit UEFI", None),
    0x26: ("LoongArch 32-bit UEFI by HTTP", None),
    0x27: ("LoongArch 64-bit UEFI", Architecture.UEFI_LOONG64),
    0x28: ("LoongArch 64-bit UEFI by HTTP", Architecture.UEFI_LOONG64),
    0x29: ("ARM rpiboot", None),
}
"""Every registered code: what IANA calls it, and the architecture if there are loaders for it."""


def first_supported(codes: Sequence[int]) -> tuple[Architecture | None, int | None]:
    """The first of a machine's `codes` that there are loaders for, and that code.

    Where there is none it is None and the machine's first code, to be told to a person; (None, None) without any code.
    """
    for code in codes:
        _, architecture = CODES.get(code, ("", None))
        if architecture is not None:
            return architecture, code
    return None, codes[0] if codes else None


def describe(code: int) -> str:
    """A code for people: ``0x15 (ARM 32-bit U-Boot)``; one that is not registered is told as it is."""
    return f"0x{code:02x} ({CODES[code][0]})" if code in CODES else f"0x{code:02x}"
