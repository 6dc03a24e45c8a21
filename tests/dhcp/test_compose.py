"""What every reply is made of, of an address server and of a proxy."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.policy import Assignment
from pixelboot.dhcp.compose import Options, add_boot_server, reply
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType
from tests.dhcp.lan import RELAY, SERVER, discover, exchange

PXE = {60: b"PXEClient:Arch:00007:UNDI:003000"}
PI = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 97: b"\0RPi4" + bytes(12)}
ELSEWHERE = IPv4Address("192.0.2.9")


def composed(request: Message, *added: tuple[Option, bytes]) -> Message:
    """An OFFER with these options added."""
    known = exchange(request, "snponly.efi")
    options = Options(known, MessageType.OFFER)
    for code, value in added:
        options.add(code, value)
    return reply(known, options)


class Relay(SynchronousTestCase):
    """Option 82."""

    @given(st.binary(min_size=1, max_size=255), st.none() | st.binary(min_size=2, max_size=2), st.integers(0, 300))
    def test_r01_r02_r03_what_a_relay_added(self, information: bytes, asked: bytes | None, identifier: int) -> None:
        """R01, R02, R03: whole, as the last one before END, whatever else the client has; never in another field."""
        sent = {82: information, 61: bytes(identifier)} | ({} if asked is None else {57: asked})
        offer = composed(discover(1, sent, giaddr=RELAY), (Option.ROUTER, b"rout"), (Option.DOMAIN_NAME, b"d" * 200))
        octets = wire.encode(offer)
        self.assertEqual(offer.options[82], information)
        self.assertTrue(octets.rstrip(b"\0").endswith(bytes((82, len(information))) + information + b"\xff"))
        self.assertLessEqual(28 + len(octets), max(576, int.from_bytes(asked or b"")))
        self.assertEqual(offer.options[3], b"rout", "the needful comes before")

    def test_r05_without_a_relay(self) -> None:
        """R05: where no relay was, nothing comes back; nor where there is no room beside the needful."""
        self.assertNotIn(82, composed(discover(1, {82: b"\1\1a"})).options)
        self.assertNotIn(82, composed(discover(1, giaddr=RELAY)).options)
        self.assertNotIn(82, composed(discover(1, {82: bytes(290)}, giaddr=RELAY)).options)


class BootServer(SynchronousTestCase):
    """Where the boot file lies."""

    def test_d45_66_and_siaddr(self) -> None:
        """D45: the same address as number and as text, with a NUL for who ends it in place, without for the Pi."""
        for sent, next_server, expected, nul in (
            (PXE, None, SERVER, b"\0"),
            (PXE, ELSEWHERE, ELSEWHERE, b"\0"),
            (PI, None, SERVER, b""),
        ):
            known = exchange(discover(1, sent))
            known = known._replace(assignment=Assignment("snponly.efi", next_server))
            options = Options(known, MessageType.OFFER)
            add_boot_server(known, options)
            offer = reply(known, options)
            self.assertEqual((offer.siaddr, offer.options[66]), (expected, str(expected).encode() + nul))
            self.assertEqual(offer.address(54), SERVER)

    def test_66_to_pxe_firmware_that_wants_it(self) -> None:
        """Nobody else reads it."""
        for sent, boot_file, expected in (
            ({**PXE, 55: b"\x42"}, "f", True),
            ({**PXE, 55: b"\x43"}, "f", False),
            (PXE, None, False),
            ({77: b"iPXE", 55: b"\x42"}, "f", False),
            ({60: b"HTTPClient", 55: b"\x42"}, "f", False),
            ({55: b"\x42"}, "f", False),
        ):
            known = exchange(discover(1, sent), boot_file)
            options = Options(known, MessageType.OFFER)
            add_boot_server(known, options)
            self.assertEqual(66 in options.values, expected, f"{sent} {boot_file}")
