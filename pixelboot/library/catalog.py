"""A container as the rest of the server sees it: how it is named in URLs, and whether it may be booted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from dataclasses import dataclass

from pixelboot.library.decoding.finding import Finding, State
from pixelboot.library.folder.look import SUFFIX, Seen

RESERVED = frozenset({"local", "menu", "shell"})
"""What may be named in place of an id: the machine's own disk, what the menu says, the boot loader's command line."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Container:
    """One container.  All texts but the id, the state and the signer are untrusted, and empty where there is none.

    As long as nothing about a container changes, it is the same object.
    """

    id: str
    """Its name in URLs and settings, made from the file's name."""

    file_name: str
    """The picture's name in the folder."""

    size: int
    """Length of the picture in octets."""

    modified_at: float
    """When the picture was last written, in seconds since 1970."""

    state: State
    """``ready``: verified, a machine can boot it; ``decoding``: that is being found out; ``damaged``, ``unbootable`` (a
    sound picture without a kernel) and ``untrusted`` (sound, but not signed by a key that the site trusts): nothing of
    it is offered to a machine."""

    reason: str
    """Why it is not offered, or cannot be decoded yet."""

    name: str
    """Its name, for people."""

    description: str
    """A sentence, for people."""

    distro: str
    """The distribution."""

    architecture: str
    """The processor, as the maker spells it."""

    kernel_version: str
    """The release of the kernel."""

    cmdline: str
    """The kernel command line."""

    parts: tuple[tuple[str, int], ...]
    """Role (``kernel``, ``initrd`` …) and size in octets of its parts; none while it must not be offered because of who
    signed it, or because that is not known yet."""

    format: str = ""
    """The format of its description, as the description says: ``PixelRTS-2.0``."""

    type: str = ""
    """What kind of thing it is, as the description says."""

    signer: str = ""
    """The public key, as 64 hexadecimal digits, whose signature covers all of it and is right."""

    labels: tuple[str, ...] = ()
    """The names of its parts as the description spells them, in the order of `parts`; also of what is not offered."""

    @classmethod
    def of(cls, seen: Seen, finding: Finding, trusted: Set[str] = frozenset()) -> Container:
        """The container in this file, of which that was found out, where these keys are trusted (none: anybody)."""
        state, reason = finding.state, finding.reason
        if trusted and state == "ready":
            reason = distrust(finding, trusted)
            state = "untrusted" if reason else state
        offered = not trusted or state == "ready"
        return cls(
            id=identify(seen.file_name),
            file_name=seen.file_name,
            size=seen.stamp.size if seen.stamp else 0,
            modified_at=seen.stamp.mtime_ns / 1e9 if seen.stamp else 0.0,
            state=state,
            reason=reason,
            name=finding.name,
            description=finding.description,
            distro=finding.distro,
            architecture=finding.architecture,
            kernel_version=finding.kernel_version,
            cmdline=finding.cmdline,
            parts=tuple((part.name, part.size) for part in finding.parts) if offered else (),
            format=finding.format,
            type=finding.type,
            signer=finding.signer,
            labels=tuple(part.label for part in finding.parts),
        )


def distrust(finding: Finding, trusted: Set[str]) -> str:
    """Why a picture that was verified must not be booted where these keys alone are trusted; empty when it may."""
    if finding.signer in trusted:
        return ""
    if finding.signer:
        why = f"it is signed by the unknown key {finding.signer}"
    elif finding.payload_signer in trusted:
        why = f"the key {finding.payload_signer} signed its payload alone, not its description"
    elif finding.payload_signer:
        why = f"its payload alone is signed, by the unknown key {finding.payload_signer}"
    else:
        why = "it has no signature"
    return f"not signed by a trusted key: {why}"


def identify(file_name: str) -> str:
    """The id of the container in this file: made of letters, digits, ``. _ ~ -``, and never the same for two names.

    It is the name without ``.rts.png`` where that will do and is not `RESERVED`; else something like it, with ``~``
    (which no such name has) and a digest.
    """
    stem = file_name.removesuffix(SUFFIX)
    if _PLAIN.fullmatch(stem) and stem not in RESERVED:
        return stem
    like = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:40] or "container"
    return f"{like}~{hashlib.sha256(file_name.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
