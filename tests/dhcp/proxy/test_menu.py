"""Tests of `pixelboot.dhcp.proxy.menu`, through the answers in which menus stand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import ConfigError
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import decode
from pixelboot.dhcp.outcomes import Ignored, Overheard, Proxied
from pixelboot.dhcp.proxy.menu import boot_item
from tests.dhcp.proxy.lan import (
    ACK,
    AT_67,
    AT_4011,
    BIOS,
    BY_RELAY,
    HAS,
    HTTP,
    IPXE,
    RELAY,
    REQUEST,
    SECOND,
    STRANGER,
    UEFI,
    Proxy,
    discover,
    say,
    vendor,
)
from tests.dhcp.proxy.test_answer import sound

MENU: dict[str, Any] = {
    "prompt": "F8",
    "timeout": 5,
    "item": [
        {"label": "Menu", "type": 1},
        {"label": "Install", "type": 2, "loader": "pxelinux.0", "architecture": ["bios"]},
        {"label": "Deploy", "type": 32768, "servers": [str(STRANGER)]},
        {"label": "Disk", "type": 0},
    ],
}


def choose(number: int, layer: int = 0, options: dict[int, bytes] = BIOS) -> dict[int, bytes]:
    """The options of a client that has chosen a line of its menu."""
    return {**options, **vendor({71: number.to_bytes(2) + layer.to_bytes(2)})}


class WithoutMenu(SynchronousTestCase):
    """Settings that say nothing of one."""

    def test_p07_p08_the_boot_item(self) -> None:
        """P07, P08: type 0, layer 0 comes back with the file; there is no other, so any other is not answered."""
        for options, expected in (
            (BIOS, {6: b"\x08", 10: b"\0PXE", 71: bytes(4)}),
            (UEFI, {71: bytes(4)}),
        ):
            ack, _ = Proxy().ask(say(REQUEST, choose(0, 0, options), ciaddr=HAS), AT_4011)
            self.assertEqual((decode(ack.options[43]), ack.options[43][-1]), (expected, 255))
            self.assertEqual(ack.file, b"snponly.efi")
        for item in (b"\0\1\0\0", b"\0\0\0\1", b"\0\0\x80\0", b"\xff\xff\xff\xff"):
            outcome = Proxy().silence(say(REQUEST, {**BIOS, **vendor({71: item})}, ciaddr=HAS), AT_4011)
            self.assertIsInstance(outcome, Ignored, str(item))
            self.assertIn(f"type and layer {item.hex()}", outcome.summary())

    def test_o17_an_ill_formed_option_43(self) -> None:
        """O17: is ignored as a whole, and the reply is sent."""
        for value in (
            b"\x47\x04\0\1",
            b"\x47",
            b"\x47\x05\0\1\0\0\0\xff",
            b"\xff\x47\4\0\1\0\0",
            b"\x01\xff\x47\4\0\1",
            b"",
        ):
            request = say(REQUEST, {**BIOS, 43: value}, ciaddr=HAS)
            self.assertIsNone(boot_item(request), str(value))
            self.assertEqual(Proxy().ask(request, AT_4011)[0].file, b"snponly.efi", str(value))
        self.assertEqual(boot_item(say(REQUEST, {43: b"\x63\2ab\0\0\x47\4\0\0\0\0\xff"})), bytes(4))

    def test_p12_boot_server_discovery(self) -> None:
        """P12: nothing forbids it to ask everybody: type 0 is answered at either port, every other type is not."""
        for come, to in ((AT_67, 68), (AT_4011._replace(to_everybody=True), 4011)):
            ack, way = Proxy().ask(say(REQUEST, choose(0), ciaddr=HAS), come)
            self.assertEqual((ack.message_type, way.address, way.port), (ACK, HAS, to))
            self.assertIsInstance(Proxy().silence(say(REQUEST, choose(1), ciaddr=HAS), come), Ignored)
        for_another = {**choose(0), 54: STRANGER.packed}
        self.assertIsInstance(Proxy().silence(say(REQUEST, for_another)), Overheard)


class WithMenu(SynchronousTestCase):
    """``[boot.pxe]``."""

    def test_p09_p10_the_offer(self) -> None:
        """P09, P10: BIOS is shown the lines for it, with a server for each; who takes no menu is told as ever."""
        offer, _ = Proxy(menu=MENU).ask(discover(BIOS))
        self.assertEqual(
            decode(offer.options[43]),
            {
                6: b"\x07",
                8: b"\0\1\1" + SECOND.packed + b"\0\2\1" + SECOND.packed + b"\x80\0\1" + STRANGER.packed,
                9: b"\0\1\4Menu" + b"\0\2\7Install" + b"\x80\0\6Deploy" + b"\0\0\4Disk",
                10: b"\5F8",
            },
        )
        outcome = Proxy(menu=MENU).answer(discover(BIOS)).outcome
        self.assertIn("told to boot what is chosen of its menu", outcome.summary())
        for options in (UEFI, IPXE, HTTP):
            told, without = (Proxy(menu=each).ask(discover(options))[0] for each in (MENU, None))
            self.assertEqual(told, without)
        newer, _ = Proxy(menu=MENU, profile="edk2-2017").ask(discover(UEFI))
        self.assertEqual(decode(newer.options[43])[9], b"\0\1\4Menu" + b"\x80\0\6Deploy" + b"\0\0\4Disk")

    def test_a_menu_needs_no_loader(self) -> None:
        """A machine that has none of its own is shown the menu all the same: an item may have one."""
        proxy = Proxy(None, menu=MENU, obstacle="TFTP is off")
        offer, _ = proxy.ask(discover(BIOS))
        self.assertEqual((offer.file, offer.siaddr), (b"", SECOND))
        self.assertNotIn(67, offer.options)
        self.assertIn("TFTP is off", proxy.silence(say(REQUEST, choose(1), ciaddr=HAS), AT_4011).summary())
        ack, _ = proxy.ask(say(REQUEST, choose(2), ciaddr=HAS), AT_4011)
        self.assertEqual(ack.file, b"pxelinux.0")
        self.assertIsInstance(proxy.silence(discover(UEFI)), Ignored)

    def test_p07_what_is_chosen(self) -> None:
        """P07: the file of that line, and the type comes back; a line of others, or for others, is not answered."""
        proxy = Proxy(menu=MENU)
        for options, number, expected in (
            (BIOS, 0, b"snponly.efi"),
            (BIOS, 1, b"snponly.efi"),
            (BIOS, 2, b"pxelinux.0"),
            (BIOS, 3, None),
            (BIOS, 32768, None),
            (UEFI, 1, b"snponly.efi"),
            (UEFI, 2, None),
        ):
            asked = say(REQUEST, choose(number, 0, options), ciaddr=HAS)
            decided = proxy.answer(asked, AT_4011)
            if expected is None:
                self.assertIsInstance(decided.outcome, Ignored, str(number))
                continue
            ack, way = proxy.ask(asked, AT_4011)
            self.assertEqual((ack.file, ack.options[67]), (expected, expected + b"\0"), str(number))
            self.assertEqual(decode(ack.options[43])[71], number.to_bytes(2) + b"\0\0")
            self.assertEqual((ack.siaddr, way.address, way.port), (SECOND, HAS, 4011))
            self.assertIn(expected.decode(), decided.outcome.summary())
        self.assertIsInstance(proxy.silence(say(REQUEST, choose(2, 1), ciaddr=HAS), AT_4011), Ignored, "a layer")

    def test_p12_discovery_is_forbidden(self) -> None:
        """P12: the menu forbids multicast, and broadcast where the settings do not allow it; unicast is answered."""
        everybody = AT_4011._replace(to_everybody=True)
        relayed = say(REQUEST, choose(2), giaddr=RELAY)
        for broadcast in (False, True):
            proxy = Proxy(menu=MENU | {"broadcast": broadcast})
            for request, come in (
                (say(REQUEST, choose(2)), AT_67),
                (say(REQUEST, choose(2), ciaddr=HAS), everybody),
                (relayed, BY_RELAY),
            ):
                decided = proxy.answer(request, come)
                self.assertEqual(isinstance(decided.outcome, Proxied), broadcast, str(come))
                if not broadcast:
                    self.assertIn("which it is told not to", decided.outcome.summary())
            self.assertEqual(proxy.ask(say(REQUEST, choose(2), ciaddr=HAS), AT_4011)[0].file, b"pxelinux.0")
        pi = Proxy(profile="raspberry-pi-3")
        self.assertIsInstance(pi.silence(say(REQUEST, choose(0))), Ignored, "its control is 3")

    def test_p11_the_largest_menu(self) -> None:
        """P11: it arrives whole, in one instance of option 43; what is larger is refused when the settings are read."""
        for label, fits in (("i" * 234, True), ("i" * 235, False), ("i" * 251, False)):
            document = {"prompt": "", "item": [{"label": label, "type": 1}]}
            if fits:
                decided = Proxy(menu=document).answer(discover({**BIOS, 57: b"\5\xc0"}))
                assert decided.reply is not None
                octets = wire.encode(decided.reply)
                self.assertEqual((len(decided.reply.options[43]), octets.count(label.encode())), (255, 1))
                continue
            error = self.assertRaises(ConfigError, Proxy, menu=document)
            self.assertRegex(str(error), r"takes (256|254) octets")

    def test_what_the_menu_does_not_touch(self) -> None:
        """A REQUEST at 4011 without an item is for the machine's own loader."""
        ack, _ = Proxy(menu=MENU).ask(say(REQUEST, BIOS, ciaddr=HAS), AT_4011)
        self.assertEqual(ack.file, b"snponly.efi")

    @given(
        st.sampled_from((BIOS, UEFI, IPXE, HTTP)),
        st.integers(0, 3) | st.sampled_from((32768, 65535)),
        st.sampled_from((0, 0, 0, 1, 0x8000)),
        st.booleans(),
        st.integers(0, 255),
        st.sampled_from(("", "edk2-2016", "edk2-2017", "bios", "raspberry-pi-3")),
    )
    def test_every_reply_is_sound(
        self, options: dict[int, bytes], number: int, layer: int, at_4011: bool, identifier: int, profile: str
    ) -> None:
        """P04, P07, P09: with a menu, too; 43 is one option of a size that firmware takes."""
        asked = {**choose(number, layer, options), 61: bytes(identifier)}
        request = say(REQUEST, asked, ciaddr=HAS) if at_4011 else discover(asked)
        decided = Proxy(menu=MENU, profile=profile).answer(request, AT_4011 if at_4011 else AT_67)
        if decided.reply is not None:
            sound(self, request, decided)
            item = decode(decided.reply.options.get(43, b"")).get(71)
            self.assertEqual(item, number.to_bytes(2) + layer.to_bytes(2) if at_4011 else None)
