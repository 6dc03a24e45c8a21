"""Where the packages of the distributions put iPXE.

The loaders are named as in iPXE's own release archive (``ipxeboot.tar.gz``): that of an x86 machine at the top, every
other in a folder of its architecture.  Unpacked into the operator's folder, the archive takes their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Debian and its relatives use the first folder; Fedora, openSUSE, Arch and others the second, each with names of its
# own.  A full iPXE (ipxe-ARCH.efi) has the driver that makes an snponly.efi, and stands in where only it is packaged.
_LIB, _SHARE = "/usr/lib/ipxe/", "/usr/share/ipxe/"


def _either(name: str, *others: str) -> tuple[str, ...]:
    return (_LIB + name, _SHARE + name, *others)


_SNPONLY = _either("snponly.efi", f"{_SHARE}ipxe-snponly-x86_64.efi", f"{_SHARE}snp-x86_64.efi")
_IPXE = _either(
    "ipxe.efi", "/boot/ipxe.efi", f"{_LIB}ipxe-amd64.efi", f"{_SHARE}ipxe-x86_64.efi", f"{_SHARE}x86_64/ipxe.efi"
)

PACKAGED: Mapping[str, Sequence[str]] = {
    "undionly.kpxe": _either("undionly.kpxe"),
    "undionly.kkpxe": _either("undionly.kkpxe"),
    "ipxe.pxe": _either("ipxe.pxe"),
    "ipxe.lkrn": _either("ipxe.lkrn", "/boot/ipxe.lkrn"),
    "snponly.efi": (*_SNPONLY, f"{_SHARE}x86_64/snponly.efi", *_IPXE),
    "ipxe.efi": _IPXE,
    "x86_64/undionly.kpxe": _either("undionly.kpxe"),
    "x86_64/snponly.efi": _either("x86_64/snponly.efi", *_SNPONLY, *_IPXE),
    "x86_64/ipxe.efi": (f"{_LIB}x86_64/ipxe.efi", *_IPXE),
    "i386/snponly.efi": _either("i386/snponly.efi", f"{_SHARE}snp-i386.efi", f"{_SHARE}ipxe-i386.efi"),
    "i386/ipxe.efi": _either("i386/ipxe.efi", f"{_SHARE}ipxe-i386.efi"),
    **{
        f"{arch}/{name}": _either(
            f"{arch}/{name}",
            f"{_SHARE}{arch}-efi/{name}",
            *([f"{_SHARE}snp-{arch}.efi"] if name == "snponly.efi" else []),
            f"{_LIB}ipxe-{arch}.efi",
            f"{_SHARE}ipxe-{arch}.efi",
        )
        for arch in ("arm32", "arm64", "riscv32", "riscv64", "loong64")
        for name in ("snponly.efi", "ipxe.efi")
    },
}
"""By name in the tree, the files that may hold that loader, the best first."""


def remedy(name: str) -> str:
    """How to get a loader that is not there, for a person; empty of what is no loader that could be packaged."""
    if name not in PACKAGED:
        return ""
    unpack = "unpack ipxeboot.tar.gz of github.com/ipxe/ipxe/releases into the folder tftp.root"
    if name.startswith(("i386/", "arm32/", "riscv32/")):
        return unpack
    since = "" if "/" not in name or name.startswith("x86_64/") else " of Debian 13 or later"
    return f"install the package ipxe{since} (apt-get install ipxe), or {unpack}"
