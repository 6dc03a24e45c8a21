"""The boot menu of PXE firmware in an exchange: what is shown of it, and what its choice comes to (PXE 2.1 §2.2)."""

from __future__ import annotations

from dataclasses import replace

from pixelboot.boot.policy import Assignment
from pixelboot.boot.pxe import PxeSettings, discoverable, vendor_options
from pixelboot.dhcp.exchange import Exchange
from pixelboot.dhcp.message.options import Option, PxeOption, decode, encode
from pixelboot.dhcp.message.wire import Message
from pixelboot.malformed import Malformed

THE_ONE_THAT_ANSWERS = bytes(4)
"""Boot server type 0, layer 0: the loader itself."""

_END = bytes((Option.END,))
_VENDOR_SPECIFIC = int(Option.VENDOR_SPECIFIC)


def boot_item(request: Message) -> bytes | None:
    """The boot server type and layer that a PXE client asks for; None where it does not, or option 43 is ill-formed."""
    value = request.options.get(_VENDOR_SPECIFIC)
    if value is None:
        return None
    try:
        item = decode(value).get(PxeOption.BOOT_ITEM, b"")
    except Malformed:
        return None
    return item if len(item) == 4 else None


def shown(exchange: Exchange, pxe: PxeSettings) -> bool:
    """Whether the sender is shown the menu of the settings."""
    return exchange.quirks.pxe_menu and bool(pxe.items(exchange.machine.architecture))


def vendor_specific(exchange: Exchange, pxe: PxeSettings) -> bytes:
    """Option 43 of an OFFER, or of an ACK to who asks for no item; empty for none."""
    offered = _offered(exchange, pxe)
    return encode(offered) + _END if offered else b""


def confirmed(exchange: Exchange, pxe: PxeSettings, item: bytes) -> bytes:
    """Option 43 of an ACK to who asks for `item`, which it repeats; the menu has done its work."""
    offered = {} if shown(exchange, pxe) else _offered(exchange, pxe)
    return encode({**offered, PxeOption.BOOT_ITEM: item}) + _END


def overheard(exchange: Exchange, pxe: PxeSettings) -> bool:
    """Whether the sender asks everybody for a boot server although the discovery control that it is told forbids it."""
    everybody = exchange.arrival.to_everybody or int(exchange.request.giaddr)
    return bool(everybody) and not discoverable(_offered(exchange, pxe))


def chosen(exchange: Exchange, pxe: PxeSettings, item: bytes | None) -> Assignment | None:
    """What a machine boots that asks for the boot server `item`; None where that is not one of ours.

    The loader of an item lies where the machine's own lies: here, or at ``boot.tftp_server``.
    """
    if item in (None, THE_ONE_THAT_ANSWERS):
        return exchange.assignment
    for entry in pxe.items(exchange.machine.architecture):
        if item == entry.type.to_bytes(2) + b"\0\0" and entry.served_by(exchange.here):
            return replace(exchange.assignment, boot_file=entry.loader) if entry.loader else exchange.assignment
    return None


def _offered(exchange: Exchange, pxe: PxeSettings) -> dict[int, bytes]:
    return vendor_options(exchange.quirks, pxe, exchange.machine.architecture, exchange.here)
