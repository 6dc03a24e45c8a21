"""The kinds of firmware that the lab's machines have, what each needs, and what it writes.

`Firmware.IPXE`       a BIOS, and iPXE in the network card's ROM: it asks for a script at once
`Firmware.BIOS`       the same, but that it does not say that it is iPXE: it is given a loader by TFTP, as any BIOS is
`Firmware.UEFI`       OVMF, which is EDK2 for virtual machines: it is given a loader by TFTP, PXE over IPv4
`Firmware.UEFI_HTTP`  the same, with HTTP boot alone: it is given a loader by HTTP
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from lab import needs
from lab.process import ERASED


class Firmware(StrEnum):
    """What a machine runs first."""

    IPXE = "ipxe"
    BIOS = "bios"
    UEFI = "uefi"
    UEFI_HTTP = "uefi-http"

    @property
    def is_uefi(self) -> bool:
        """Whether it is one of UEFI's kinds."""
        return self in (Firmware.UEFI, Firmware.UEFI_HTTP)

    @property
    def needs(self) -> tuple[str | Path, ...]:
        """The programs and files that such a machine is made of; see `lab.needs.missing`."""
        return (*needs.BOOTING, *(needs.UEFI if self.is_uefi else needs.BIOS))

    @property
    def told(self) -> str:
        """Such a machine in a few words."""
        return {
            Firmware.IPXE: "a BIOS and, on its network card, iPXE",
            Firmware.BIOS: "a BIOS and, on its network card, PXE alone: iPXE that does not say so",
            Firmware.UEFI: "UEFI, which boots by PXE",
            Firmware.UEFI_HTTP: "UEFI, which boots by HTTP",
        }[self]


BIOS_STARTED = r"SeaBIOS \(version"
"""The line that the BIOS writes first."""

UEFI_STARTED = rf"^{ERASED}$"
"""What OVMF does first: it erases the screen, when it has come as far as to boot."""

LOADER_STARTED = r"BdsDxe: starting \w+ .UEFI (PXE|HTTP)v4|\[(PXE)-NBP\]"
"""OVMF's line, and that of iPXE's ROM, before it runs what it has fetched; ``PXE`` or ``HTTP``: the way it came."""

IPXE_STARTED = r"iPXE \S+ -- Open Source Network Boot Firmware"
"""The line that iPXE writes first, in a ROM or as a loader."""
