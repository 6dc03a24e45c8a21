"""A machine that asks for something to boot, as far as it told us who and what it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pixelboot.hwaddr import HardwareAddress


class Firmware(enum.StrEnum):
    """What runs on the machine at this moment and asks."""

    IPXE = "iPXE"
    """iPXE, in ROM or loaded: takes a script by URL."""

    PXE = "PXE"
    """A PXE ROM or UEFI's PXE: wants a loader by TFTP."""

    OTHER = "other"
    """An operating system or anything else: wants an address and nothing to boot."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What one request says about its sender."""

    identity: str
    """Under which leases are kept, the same in every stage of a boot; see `pixelboot.dhcp.client`."""

    hwaddr: HardwareAddress | None
    """Its network card; None where the link has no such address (InfiniBand)."""

    firmware: Firmware
    """What asks."""

    uuid: bytes | None = None
    """The 16 octets of its SMBIOS UUID as sent (option 97); None when it is not told or says nothing."""

    def __str__(self) -> str:
        return str(self.hwaddr) if self.hwaddr else self.identity
