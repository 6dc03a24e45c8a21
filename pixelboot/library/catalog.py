"""A container as the rest of the server sees it, and how it is named in URLs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from pixelboot.library.decoding.finding import Finding, State
from pixelboot.library.folder.look import SUFFIX, Seen

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Container:
    """One container.  All texts but the id and the state are untrusted, and empty where there is none."""

    id: str
    """Its name in URLs and settings, made from the file's name."""

    file_name: str
    """The picture's name in the folder."""

    size: int
    """Length of the picture in octets."""

    modified_at: float
    """When the picture was last written, in seconds since 1970."""

    state: State
    """``ready``; ``decoding`` while it is found out; ``damaged`` when nothing of it is offered to a machine."""

    reason: str
    """Why it is damaged, or cannot be decoded yet."""

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
    """Name (``kernel``, ``initrd``) and size in octets of what can be booted."""

    @classmethod
    def of(cls, seen: Seen, finding: Finding) -> Container:
        """The container in this file, of which that was found out."""
        return cls(
            id=identify(seen.file_name),
            file_name=seen.file_name,
            size=seen.stamp.size if seen.stamp else 0,
            modified_at=seen.stamp.mtime_ns / 1e9 if seen.stamp else 0.0,
            state=finding.state,
            reason=finding.reason,
            name=finding.name,
            description=finding.description,
            distro=finding.distro,
            architecture=finding.architecture,
            kernel_version=finding.kernel_version,
            cmdline=finding.cmdline,
            parts=tuple((part.name, part.size) for part in finding.parts),
        )


def identify(file_name: str) -> str:
    """The id of the container in this file: made of letters, digits, ``. _ ~ -``, and never the same for two names.

    It is the name without ``.rts.png`` where that will do; else something like it, with ``~`` (which no such name has)
    and a digest.
    """
    stem = file_name.removesuffix(SUFFIX)
    if _PLAIN.fullmatch(stem):
        return stem
    like = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:40] or "container"
    return f"{like}~{hashlib.sha256(file_name.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
