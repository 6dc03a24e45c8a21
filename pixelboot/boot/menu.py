"""What a machine's menu offers, before anybody has said in which boot loader's language.

Pure: from the catalogue and two settings to a `Menu`; `pixelboot.boot.script` writes it down for iPXE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

LOCAL = "local"
"""The default that means the machine's own disk."""

SHELL = "shell"
"""The default that means the boot loader's command line."""


class Bootable(Protocol):
    """What the menu needs to know of a container; all text in it is untrusted."""

    @property
    def id(self) -> str:
        """The name in URLs and settings."""

    @property
    def state(self) -> str:
        """``ready``, ``decoding`` (soon ready) or ``damaged``."""

    @property
    def size(self) -> int:
        """Size of the picture in octets."""

    @property
    def name(self) -> str:
        """What its maker called it; may be empty."""

    @property
    def distro(self) -> str:
        """The distribution inside; may be empty."""

    @property
    def cmdline(self) -> str:
        """The kernel command line; may be empty."""

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Names (``kernel``, ``initrd``) and sizes in octets of what can be fetched out of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One container in the menu."""

    id: str
    """The container's id."""

    name: str
    """What to call it; untrusted text."""

    size: int
    """Size of the picture in octets."""

    distro: str
    """The distribution inside, untrusted text; may be empty."""

    cmdline: str
    """The kernel command line as the container has it; untrusted text."""

    initrd: bool
    """Whether there is an initial RAM disk to load beside the kernel."""

    obstacle: str | None
    """Why this boot loader cannot boot it, for a person to read; None when nothing is in the way."""


@dataclass(frozen=True, slots=True)
class Menu:
    """Everything a machine can choose from."""

    entries: tuple[Entry, ...]
    """The containers, in the order of their files' names."""

    default: str
    """What boots by itself: `LOCAL`, `SHELL`, or the id of an entry that has no obstacle."""

    timeout: float
    """Seconds until it does; 0 waits for ever."""

    notice: str | None
    """What the person before the machine should know about the menu itself; may hold untrusted text."""


def make_menu(
    containers: Iterable[Bootable], default: str, timeout: float, obstacle: Callable[[Entry], str | None]
) -> Menu:
    """The menu over `containers`, which come in the order they are shown in.

    Only a container with a kernel that is not damaged is offered.  `obstacle` says what keeps the boot loader at hand
    from booting an entry; such an entry is shown, with the reason.  A `default` that cannot be booted is replaced by
    the local disk, and the menu says so: a machine without a person must not end in an error.
    """
    entries = tuple(_entry(container, obstacle) for container in containers if _offered(container))
    if default in (LOCAL, SHELL):
        return Menu(entries, default, timeout, None)
    found = next((entry for entry in entries if entry.id == default), None)
    if found is None:
        return Menu(entries, LOCAL, timeout, f"The default {default!r} is not here; the default is the local disk.")
    if found.obstacle is not None:
        return Menu(entries, LOCAL, timeout, f"The default {default!r} cannot boot; the default is the local disk.")
    return Menu(entries, default, timeout, None)


def _offered(container: Bootable) -> bool:
    return container.state in ("ready", "decoding") and any(name == "kernel" for name, _ in container.parts)


def _entry(container: Bootable, obstacle: Callable[[Entry], str | None]) -> Entry:
    entry = Entry(
        id=container.id,
        name=container.name or container.id,
        size=container.size,
        distro=container.distro,
        cmdline=container.cmdline,
        initrd=any(name == "initrd" for name, _ in container.parts),
        obstacle=None,
    )
    reason = obstacle(entry)
    return entry if reason is None else replace(entry, obstacle=reason)
