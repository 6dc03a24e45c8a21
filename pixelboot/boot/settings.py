"""The settings of the boot decision, ``[boot]`` and ``[boot.loaders]``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import SplitResult, quote, urlsplit

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.pxe import PxeSettings
from pixelboot.config import Kind, address, optional, seconds, section, setting, text
from pixelboot.malformed import Malformed

LONGEST_NAME = 127
"""Octets of a file name that fit into the ``file`` field of a DHCP message, with the NUL behind them."""

LONGEST_URL = 254
"""Octets of a URL that fit into one DHCP option, with the NUL behind them."""

_BEFORE_NAME = len("http://255.255.255.255:65535/loaders/")
"""Octets before the name of a loader in the longest URL that it can have here."""


def split_url(value: str) -> SplitResult | None:
    """A loader's value taken apart if it is a URL; None if it is the name of a file."""
    return urlsplit(value) if "://" in value else None


def literal(parts: SplitResult) -> IPv4Address | None:
    """The IPv4 address that stands in a URL; None where a name stands that has to be looked up."""
    try:
        return IPv4Address(parts.hostname or "")
    except AddressValueError:
        return None


def quoted(name: str) -> str:
    """The name of a loader as the path of a URL has it (RFC 3986 §3.3)."""
    return quote(name, safe="/:@!$&'()*+,;=")


def of_a_machine(address: IPv4Address) -> bool:
    """Whether an address can be one machine's: not of 0.0.0.0/8, no multicast, no broadcast, not of the future."""
    return not (address.packed[0] == 0 or address.is_multicast or address.is_reserved)


def _must_be_a_machines(address: IPv4Address) -> IPv4Address:
    if not of_a_machine(address):
        raise Malformed(f"no machine has the address {address}")
    return address


def _machine() -> Kind[IPv4Address]:
    """The address of one machine."""
    kind = address()
    return replace(kind, parse=lambda value: _must_be_a_machines(kind.parse(value)))


def _name(value: str) -> None:
    """A file in the tree of loaders."""
    if len(value) > LONGEST_NAME:
        raise Malformed(f"at most {LONGEST_NAME} octets")
    if not all(" " < c <= "~" for c in value) or "\\" in value:
        raise Malformed("ASCII without spaces and backslashes")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise Malformed("a relative path without . and ..")
    if _BEFORE_NAME + len(quoted(value)) > LONGEST_URL:
        raise Malformed(f"at most {LONGEST_URL - _BEFORE_NAME} octets as a part of a URL, where % is %25")


def _url(value: str, *schemes: str) -> SplitResult:
    if len(value) > LONGEST_URL or not all(" " < c <= "~" for c in value):
        raise Malformed(f"a URL of at most {LONGEST_URL} ASCII characters without spaces")
    wrong = Malformed("a URL with " + " or ".join(f"{scheme}://" for scheme in schemes) + " and a host")
    try:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:  # of which Malformed is one
        raise wrong from None
    if host := literal(parts):
        _must_be_a_machines(host)
    return parts


def _pxe_loader(value: str) -> None:
    if "://" in value:
        parts = _url(value, "tftp")
        if literal(parts) is None or parts.netloc != parts.hostname:
            raise Malformed("PXE firmware asks an IPv4 address, at port 69")
        if parts.query or parts.fragment:
            raise Malformed("no ? and #")
        value = parts.path.removeprefix("/")
        if not value:
            raise Malformed("the name of a file behind the address")
    if value:
        _name(value)


def _http_loader(value: str) -> None:
    if "://" in value:
        _url(value, "http", "https")
    elif value:
        _name(value)


def _script(value: str) -> None:
    if value:
        _url(value, "http", "https", "tftp")


def _any_loader(value: str) -> None:
    if value.startswith("tftp://") or "://" not in value:
        _pxe_loader(value)
    else:
        _http_loader(value)


LOADER = text("the name of a file that TFTP serves, tftp://ADDRESS/NAME, a URL, or empty", _any_loader)
"""The loader of one machine, whatever kind it is."""

_PXE = text("the name of a file that TFTP serves, tftp://ADDRESS/NAME, or empty for nothing", _pxe_loader)
_HTTP = text("the name of a file that TFTP serves, a URL, or empty for the same as with PXE", _http_loader)
_SCRIPT = text("a URL, or empty for the menu of this server", _script)


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """What each kind of machine loads first.

    The name of a file is one in the tree that TFTP serves, and HTTP under ``/loaders/``.
    """

    bios: str = setting(_PXE, "undionly.kpxe", help="What BIOS machines load.")
    uefi_ia32: str = setting(_PXE, "i386/snponly.efi", help="What 32-bit x86 machines load by PXE.", name="uefi-ia32")
    uefi_x64: str = setting(_PXE, "snponly.efi", help="What x64 machines load by PXE.", name="uefi-x64")
    uefi_arm32: str = setting(
        _PXE, "arm32/snponly.efi", help="What 32-bit ARM machines load by PXE.", name="uefi-arm32"
    )
    uefi_arm64: str = setting(
        _PXE, "arm64/snponly.efi", help="What 64-bit ARM machines load by PXE.", name="uefi-arm64"
    )
    uefi_riscv32: str = setting(
        _PXE, "riscv32/snponly.efi", help="What 32-bit RISC-V machines load by PXE.", name="uefi-riscv32"
    )
    uefi_riscv64: str = setting(
        _PXE, "riscv64/snponly.efi", help="What 64-bit RISC-V machines load by PXE.", name="uefi-riscv64"
    )
    uefi_loong64: str = setting(
        _PXE, "loong64/snponly.efi", help="What 64-bit LoongArch machines load by PXE.", name="uefi-loong64"
    )
    uefi_http_ia32: str = setting(
        _HTTP, "", help="What 32-bit x86 machines load by UEFI HTTP boot.", name="uefi-http-ia32"
    )
    uefi_http_x64: str = setting(_HTTP, "", help="What x64 machines load by UEFI HTTP boot.", name="uefi-http-x64")
    uefi_http_arm32: str = setting(
        _HTTP, "", help="What 32-bit ARM machines load by UEFI HTTP boot.", name="uefi-http-arm32"
    )
    uefi_http_arm64: str = setting(
        _HTTP, "", help="What 64-bit ARM machines load by UEFI HTTP boot.", name="uefi-http-arm64"
    )
    uefi_http_riscv32: str = setting(
        _HTTP, "", help="What 32-bit RISC-V machines load by UEFI HTTP boot.", name="uefi-http-riscv32"
    )
    uefi_http_riscv64: str = setting(
        _HTTP, "", help="What 64-bit RISC-V machines load by UEFI HTTP boot.", name="uefi-http-riscv64"
    )
    uefi_http_loong64: str = setting(
        _HTTP, "", help="What 64-bit LoongArch machines load by UEFI HTTP boot.", name="uefi-http-loong64"
    )
    ipxe: str = setting(_SCRIPT, "", help="The first script of machines that run iPXE.")

    def pxe(self, architecture: Architecture) -> str:
        """What firmware with PXE loads: a name or a ``tftp`` URL; empty for nothing."""
        return self._value(architecture)

    def http(self, architecture: Architecture) -> str:
        """What firmware with UEFI HTTP boot loads: a name, or a URL; empty for nothing."""
        own = "" if architecture is Architecture.BIOS else self._value(architecture.replace("uefi-", "uefi-http-"))
        # The same loader as with PXE, by HTTP from here; one that lies on another server has no URL that we know.
        return own or ("" if "://" in self.pxe(architecture) else self.pxe(architecture))

    def _value(self, key: str) -> str:
        value: str = getattr(self, key.replace("-", "_"))
        return value


@dataclass(frozen=True, slots=True)
class BootSettings:
    """What a machine boots when nobody at its keyboard says otherwise."""

    default: str = setting(
        text('a container\'s id, "local" or "shell"'),
        "local",
        help="The menu entry that boots by itself: the id of a container, local for the machine's own disk, "
        "or shell for iPXE's command line.",
    )
    timeout: float = setting(
        seconds(0, 3600),
        10.0,
        help="How long the menu waits for a key before it boots the default entry; 0 waits for ever.",
    )
    tftp_server: IPv4Address | None = setting(
        optional(_machine()),
        None,
        help="The TFTP server that machines fetch their loaders from; empty means this one.",
    )
    loaders: LoaderSettings = setting(section(LoaderSettings), help="What machines load first, by their kind.")
    pxe: PxeSettings = setting(
        section(PxeSettings), PxeSettings(), help="The boot menu that PXE firmware shows by itself."
    )
