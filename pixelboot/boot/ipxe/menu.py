"""What a machine's menu offers, before anybody has said in which boot loader's language.

Pure: each container, with what the operator says of it, makes an `Entry` or none; which of them boots by itself, and
when, is a `Menu`; `pixelboot.boot.ipxe.script` writes both down for iPXE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from pixelboot.boot.seam import ContainerSettings

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
        """``ready`` or ``decoding`` (soon ready) of those that can be offered; anything else of the others."""

    @property
    def reason(self) -> str:
        """Why it is in that state, where that has to be said; may be empty."""

    @property
    def size(self) -> int:
        """Size of the picture in octets."""

    @property
    def name(self) -> str:
        """What its maker called it; may be empty."""

    @property
    def description(self) -> str:
        """What its maker says of it; may be empty."""

    @property
    def distro(self) -> str:
        """The distribution inside; may be empty."""

    @property
    def cmdline(self) -> str:
        """The kernel command line; may be empty."""

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Names (``kernel``, ``initrd`` …) and sizes in octets of what can be fetched out of it."""


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
    """The whole kernel command line; untrusted text."""

    initrd: bool
    """Whether there is an initial RAM disk to load beside the kernel."""

    obstacle: str | None
    """Why this boot loader cannot boot it, for a person to read; None when nothing is in the way."""

    description: str = ""
    """What to say of it, untrusted text; may be empty."""

    order: int | None = None
    """Where it stands among those that have one; None puts it behind them."""

    timeout: float | None = None
    """Seconds that the menu waits where this boots by itself, 0 for ever; None for the site's."""


@dataclass(frozen=True, slots=True)
class Menu:
    """What a menu does by itself."""

    default: str
    """What boots: `LOCAL`, `SHELL`, or the id of an entry that has no obstacle."""

    timeout: float
    """Seconds until it does; 0 waits for ever."""

    notice: str | None
    """What the person before the machine should know about the menu itself; may hold untrusted text."""


def make_entry(
    container: Bootable, settings: ContainerSettings, obstacle: Callable[[Entry], str | None]
) -> Entry | None:
    """The container as it is offered; None of one that is not.

    Offered is what has a kernel, can boot as far as is known, and is enabled.  A part without octets is none.
    `obstacle` says what keeps the boot loader at hand from booting an entry; it is shown all the same, with the reason.
    """
    parts = {name for name, octets in container.parts if octets}
    if not settings.enabled or container.state not in ("ready", "decoding") or "kernel" not in parts:
        return None
    entry = Entry(
        id=container.id,
        name=settings.name or container.name or container.id,
        size=container.size,
        distro=container.distro,
        cmdline=f"{container.cmdline} {settings.arguments}" if settings.arguments else container.cmdline,
        initrd="initrd" in parts,
        obstacle=None,
        description=settings.description or container.description,
        order=settings.order,
        timeout=settings.timeout,
    )
    reason = obstacle(entry)
    return entry if reason is None else replace(entry, obstacle=reason)


def assigned_entry(
    id: str,  # noqa: A002
    found: Bootable | None,
    settings: ContainerSettings,
    obstacle: Callable[[Entry], str | None],
) -> Entry | str:
    """The container of this id for a machine that boots it without a menu; a text says why it cannot.

    That menus do not offer it does not matter: a container may be kept for single machines.
    """
    if found is None:
        return f"there is no container {id}"
    entry = make_entry(found, replace(settings, enabled=True), obstacle)
    if entry is not None:
        return entry if entry.obstacle is None else f"the container {id} cannot boot: {entry.obstacle}"
    if found.state in ("ready", "decoding"):
        return f"the container {id} has no kernel"
    return f"the container {id} is {found.state}{found.reason and ': '}{found.reason}"


def make_menu(found: Entry | None, default: str, timeout: float) -> Menu:
    """The menu whose `default` shall boot by itself; `found` is the entry of that id, if there is one.

    A default that cannot be booted is replaced by the local disk, and the menu says so: a machine without a person must
    not end in an error.  `timeout` is the site's, in seconds.
    """
    if default in (LOCAL, SHELL):
        return Menu(default, timeout, None)
    if found is None:
        return Menu(LOCAL, timeout, f"The default {default!r} is not offered; the default is the local disk.")
    if found.obstacle is not None:
        return Menu(LOCAL, timeout, f"The default {default!r} cannot boot; the default is the local disk.")
    return Menu(default, timeout if found.timeout is None else found.timeout, None)
