"""A machine that asks for something to boot, as far as it told us who and what it is."""

from __future__ import annotations

import enum
from typing import NamedTuple

from pixelboot.boot.architecture import Architecture
from pixelboot.hwaddr import HardwareAddress


class Firmware(enum.StrEnum):
    """What runs on the machine at this moment and asks."""

    IPXE = "iPXE"
    """iPXE, in ROM or loaded: takes a script by URL."""

    PXE = "PXE"
    """A PXE ROM or UEFI's PXE: wants a loader by TFTP."""

    HTTP = "UEFI HTTP boot"
    """UEFI's HTTP boot: wants a loader by URL."""

    OTHER = "other"
    """An operating system or anything else: wants an address and nothing to boot."""


class Machine(NamedTuple):
    """What one request says about its sender."""

    identity: str
    """Under which leases are kept, the same in every stage of a boot; see `pixelboot.dhcp.client`."""

    hwaddr: HardwareAddress | None
    """Its network card; None where the link has no such address (InfiniBand)."""

    firmware: Firmware
    """What asks."""

    uuid: bytes | None = None
    """The 16 octets of its SMBIOS UUID as sent (option 97); None when it is not told or says nothing."""

    architecture: Architecture | None = None
    """What kind of machine it is; None when it does not say, or says one that there are no loaders for."""

    code: int | None = None
    """The number of its architecture as it said it (see `pixelboot.boot.architecture`); None when it does not say."""

    def __str__(self) -> str:
        return str(self.hwaddr) if self.hwaddr else self.identity

    @property
    def kind(self) -> str:
        """What asks, on what kind of machine: ``PXE, uefi-x64``."""
        return f"{self.firmware}, {self.architecture}" if self.architecture else str(self.firmware)
