"""The boot menu that PXE firmware shows by itself (PXE 2.1 §2.2, sub-options of DHCP option 43).

A menu is offered to firmware whose profile takes one (`pixelboot.boot.quirks.Quirks.pxe_menu`).  Each item has a type,
the number by which the machine asks port 4011 for it; type 0 is the machine's own disk, for which nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.quirks import Quirks
from pixelboot.config import Invalid, address, choice, listing, setting, switch, tables, text, whole
from pixelboot.malformed import Malformed

LARGEST_MENU = 253
"""Octets of the items: what is left of an option of 255 octets behind the code and length of the sub-option."""

LARGEST_OPTION = 255
"""Octets of the whole of option 43: firmware does not join an option that is split."""

FOR_EVER = 255
"""The time-out of a prompt that waits for a key (PXE 2.1, 43.10)."""

NO_BROADCAST, NO_MULTICAST, LISTED_ALONE = 1, 2, 4
"""Bits of the discovery control (43.6)."""

_CONTROL, _SERVERS, _MENU, _PROMPT = 6, 8, 9, 10
"""Sub-options of option 43."""


def _line(value: str) -> None:
    if not value.isascii() or not value.isprintable():
        raise Malformed("firmware shows ASCII alone")


def _name(value: str) -> None:
    if len(value) > 127 or not all(" " < c <= "~" for c in value) or "\\" in value:
        raise Malformed("at most 127 octets of ASCII, without spaces and backslashes")
    if value and any(part in ("", ".", "..") for part in value.split("/")):
        raise Malformed("a relative path without . and ..")


@dataclass(frozen=True, slots=True)
class PxeItemSettings:
    """One ``[[boot.pxe.item]]``: a line of the menu."""

    label: str = setting(text("a line of ASCII", _line), help="What the firmware shows.")
    type: int = setting(
        whole(0, 65535),
        help="The number by which a machine asks for the item, different for each; 0 is the machine's own disk.",
    )
    loader: str = setting(
        text("the name of a file that TFTP serves, or empty for the machine's own loader", _name),
        "",
        help="What a machine loads that chooses the item.",
    )
    servers: tuple[IPv4Address, ...] = setting(
        listing(address()), (), help="Boot servers that answer for the item; empty means this one."
    )
    architecture: tuple[str, ...] = setting(
        listing(choice(*Architecture)), (), help="The kinds of machine that are shown the item; empty means all."
    )

    def __post_init__(self) -> None:
        if not self.label:
            raise Invalid("label", "", "must not be empty")
        if self.type == 0 and (self.loader or self.servers):
            raise Invalid("type", 0, "is the machine's own disk: it has no loader and no servers")
        for server in self.servers:
            if server.packed[0] == 0 or server.is_multicast or server.is_reserved:
                raise Invalid("servers", [str(each) for each in self.servers], f"no machine has the address {server}")

    def served_by(self, server: IPv4Address) -> bool:
        """Whether we answer for it, at our address `server`."""
        return self.type != 0 and (not self.servers or server in self.servers)


@dataclass(frozen=True, slots=True)
class PxeSettings:
    """The boot menu of PXE firmware, ``[boot.pxe]``; without items there is none."""

    prompt: str = setting(
        text("a line of ASCII", _line), "Press F8 for a menu", help="What PXE firmware shows before its boot menu."
    )
    timeout: int = setting(
        whole(0, FOR_EVER),
        10,
        help="Seconds that the prompt waits for the key; 0 takes the first item at once, 255 waits for ever.",
    )
    broadcast: bool = setting(
        switch(), False, help="Whether machines may look for the servers of an item by broadcast, too."
    )
    item: tuple[PxeItemSettings, ...] = setting(tables(PxeItemSettings), (), help="The lines of the boot menu.")

    def __post_init__(self) -> None:
        types = [item.type for item in self.item]
        for number in types:
            if types.count(number) > 1:
                raise Invalid("item", number, "the type must be that of one item alone")
        for architecture in Architecture:
            self._check_size(self.items(architecture))

    def items(self, architecture: Architecture | None) -> tuple[PxeItemSettings, ...]:
        """The lines for one kind of machine, in their order; for one that is not known, those for all."""
        return tuple(item for item in self.item if not item.architecture or architecture in item.architecture)

    def _check_size(self, items: Sequence[PxeItemSettings]) -> None:
        lines = sum(3 + len(item.label) for item in items)
        if lines > LARGEST_MENU:
            raise Invalid("item", [item.label for item in items], f"takes {lines} octets, at most {LARGEST_MENU} fit")
        servers = sum(3 + 4 * (len(item.servers) or 1) for item in items if item.type)
        # Control, servers, menu and prompt, each with its code and length, and END.
        size = 3 + (servers and 2 + servers) + 2 + lines + 3 + len(self.prompt) + 1
        if size > LARGEST_OPTION:
            texts = [self.prompt, *(item.label for item in items)]
            raise Invalid("item", texts, f"takes {size} octets with servers and prompt, at most {LARGEST_OPTION} fit")


def vendor_options(
    quirks: Quirks, settings: PxeSettings, architecture: Architecture | None, server: IPv4Address
) -> dict[int, bytes]:
    """What option 43 of an offer by `server` says, by sub-option; empty where it has none."""
    if quirks.pxe_menu and (items := settings.items(architecture)):
        return _menu(settings, items, server)
    if quirks.discovery_control is None:
        return {}
    options = {_CONTROL: bytes((quirks.discovery_control,))}
    if quirks.boot_menu:
        options[_MENU] = _line_of(0, quirks.boot_menu)
    if quirks.menu_prompt:
        options[_PROMPT] = b"\0" + quirks.menu_prompt.encode("ascii")
    return options


def discoverable(offered: dict[int, bytes]) -> bool:
    """Whether a machine that was offered this may ask everybody for a boot server: one of the two ways is allowed."""
    control = offered.get(_CONTROL, b"\0")[0]
    return control & (NO_BROADCAST | NO_MULTICAST) != NO_BROADCAST | NO_MULTICAST


def _menu(settings: PxeSettings, items: Sequence[PxeItemSettings], server: IPv4Address) -> dict[int, bytes]:
    # There is no multicast group that this server listens to.
    control = NO_MULTICAST | LISTED_ALONE | (0 if settings.broadcast else NO_BROADCAST)
    servers = b"".join(
        item.type.to_bytes(2)
        + bytes((len(item.servers) or 1,))
        + b"".join(address.packed for address in item.servers or (server,))
        for item in items
        if item.type
    )
    prompt = bytes((settings.timeout,)) + settings.prompt.encode("ascii")
    options = {_CONTROL: bytes((control,)), _SERVERS: servers, _MENU: _lines(items), _PROMPT: prompt}
    return {code: value for code, value in options.items() if value}


def _lines(items: Sequence[PxeItemSettings]) -> bytes:
    return b"".join(_line_of(item.type, item.label) for item in items)


def _line_of(number: int, text: str) -> bytes:
    """One item of 43.9: its type, the length of its text, the text."""
    return number.to_bytes(2) + bytes((len(text),)) + text.encode("ascii")
