"""What kinds of firmware are told by the proxy, and what is said by way of a relay."""

from __future__ import annotations

from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.quirks import PROFILES
from pixelboot.config import build
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.options import decode
from pixelboot.dhcp.outcomes import Ignored, Proxied
from pixelboot.dhcp.proxy.answer import held
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.malformed import Malformed
from tests.dhcp import captures
from tests.dhcp.mutations import mutated
from tests.dhcp.proxy.lan import (
    AT_67,
    AT_4011,
    BIOS,
    BY_RELAY,
    EVERYBODY,
    HAS,
    HTTP,
    IPXE,
    NEEDS_AN_ADDRESS_SERVER,
    NOWHERE,
    PROXY_PORT,
    RELAY,
    REQUEST,
    SECOND,
    UEFI,
    Proxy,
    discover,
    say,
)
from tests.dhcp.proxy.test_answer import sound

FAR = IPv4Address("198.51.100.1")
PI_3 = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\0\0", 97: b"\0" + b"\x44" * 16, 55: b"\x01\x03\x2b\x3c\x42\x43"}
PI_4 = {**PI_3, 97: b"\0RPi4" + bytes(12)}
PI_CARD = bytes.fromhex("b827eb000001").ljust(16, b"\0")
SUBNET = {
    "network": "10.77.0.0/24",
    "mode": "proxy",
    "router": "10.77.0.254",
    "dns": ["10.77.0.53"],
    "options": {"209": "hex:612e636667", "121": "hex:000a4d00fe"},
}


class Quirks(SynchronousTestCase):
    """By profile."""

    def test_by_4011(self) -> None:
        """Where EDK2 is known to be old, the offer names no file: as dnsmasq's to OVMF, which asks at 4011 for it."""
        proxy = Proxy(profile="edk2-2016")
        offer, _ = proxy.ask(captures.EDK2_DISCOVER)
        theirs = wire.decode(captures.PROXY_OFFER_TO_EDK2)
        self.assertEqual((offer.file, offer.siaddr), (theirs.file, theirs.siaddr))
        self.assertEqual(dict(offer.options), dict(theirs.options), "to the octet")
        ack, _ = proxy.ask(captures.EDK2_AT_4011, AT_4011)
        self.assertEqual((ack.file, ack.siaddr, ack.options[67]), (b"snponly.efi", SECOND, b"snponly.efi\0"))
        self.assertIsInstance(Proxy(None, profile="edk2-2016").silence(captures.EDK2_DISCOVER), Ignored)

    def test_every_offer_has_its_ack(self) -> None:
        """Whatever an offer with option 60 said, a REQUEST at 4011 is answered, with a file and its server."""
        for name in PROFILES:
            for options in (BIOS, UEFI, HTTP, IPXE, PI_3):
                proxy = Proxy(profile=name)
                offer, _ = proxy.ask(discover(options))
                self.assertIn(60, offer.options, name)
                ack, way = proxy.ask(say(REQUEST, options, ciaddr=HAS), AT_4011)
                self.assertEqual((ack.file, ack.siaddr, way.address), (b"snponly.efi", SECOND, HAS), name)
                self.assertEqual(ack.options[60], offer.options[60], name)

    def test_bios_at_4011(self) -> None:
        """Architecture 0, or none, is answered there."""
        for options in (BIOS, {60: b"PXEClient"}):
            self.assertEqual(Proxy().ask(say(REQUEST, options, ciaddr=HAS), AT_4011)[0].file, b"snponly.efi")

    def test_raspberry_pi(self) -> None:
        """43 = 6, 9, 10; 66 is a quad and no NUL is anywhere; no PAD before END; the old ROM is given time."""
        for options, chaddr, text, delay in (
            (PI_3, PI_CARD, b"Raspberry Pi Boot   ", 1.0),
            (PI_4, None, b"Raspberry Pi Boot", 0.0),
        ):
            request = discover(options) if chaddr is None else discover(options, chaddr=chaddr)
            decided = Proxy().answer(request)
            reply = decided.reply
            assert reply is not None
            item = bytes((0, 0, len(text))) + text
            self.assertEqual(decode(reply.options[43]), {6: b"\3", 9: item, 10: b"\0PXE"})
            self.assertEqual((reply.options[66], reply.options[67]), (b"10.77.0.2", b"snponly.efi"))
            self.assertEqual((reply.options[60], decided.delay), (b"PXEClient", delay))
            options_field = wire.encode(reply)[240:]
            at = 0
            while options_field[at] != 255:
                self.assertNotEqual(options_field[at], 0, "PAD")
                at += 2 + options_field[at + 1]
            self.assertFalse(options_field[at + 1 :].strip(b"\0"), "only PAD behind END")

    def test_to_its_link_address(self) -> None:
        """The ROM that does not answer ARP is sent its reply by its link address."""
        for chaddr, hwaddr in ((PI_CARD, "b8:27:eb:00:00:01"), (bytes(16), None)):
            _, way = Proxy().ask(discover(PI_3, chaddr=chaddr, ciaddr=HAS), AT_67._replace(source=HAS))
            self.assertEqual((way.address, way.hwaddr and str(way.hwaddr)), (HAS, hwaddr))

    def test_the_boot_file_stands_everywhere(self) -> None:
        """67 has a NUL and a successor, `file` and siaddr are filled, 7 and 9 are told the same."""
        offers = [Proxy().ask(discover({**UEFI, 93: code}))[0] for code in (b"\0\7", b"\0\x09")]
        self.assertEqual(offers[0].options, offers[1].options)
        codes = list(offers[0].options)
        self.assertGreater(len(codes), codes.index(67) + 1)
        self.assertEqual((offers[0].file, offers[0].siaddr), (b"snponly.efi", SECOND))

    def test_ipxe_has_server_and_file(self) -> None:
        """A URL of any length that fits; siaddr stands beside it, though nobody is asked by TFTP."""
        for url in ("http://10.77.0.1/boot.ipxe", "http://boot.lab.test/" + "x" * 120):
            offer, _ = Proxy(url).ask(captures.IPXE_DISCOVER)
            self.assertEqual((offer.siaddr, offer.options[67]), (SECOND, url.encode() + b"\0"))
            self.assertNotIn(43, offer.options)

    def test_o09_o11_what_is_odd_is_served(self) -> None:
        """O09, O11: an architecture of a wrong size, a UUID of ones or of none: what comes back is what was sent."""
        for architecture in (b"", b"\0", b"\0\0\0"):
            offer, _ = Proxy().ask(discover({**UEFI, 93: architecture}))
            self.assertNotIn(93, offer.options)
            self.assertEqual(offer.file, b"snponly.efi")
        for uuid in (b"", bytes(17), b"\0" + b"\xff" * 16, b"\0\1"):
            offer, _ = Proxy().ask(discover({**UEFI, 97: uuid}))
            self.assertEqual(offer.options.get(97, b""), uuid)


class Relayed(SynchronousTestCase):
    """Behind a relay."""

    def test_to_the_relay(self) -> None:
        """Unicast to giaddr, port 67, with option 82 to the octet, wherever the source of the datagram is."""
        information = b"\1\4circ\2\3abc"
        for giaddr, source in ((RELAY, RELAY), (FAR, FAR), (FAR, IPv4Address("198.51.100.77"))):
            request = discover({**UEFI, 82: information}, giaddr=giaddr, flags=0x8000, hops=1)
            offer, way = Proxy().ask(request, BY_RELAY._replace(source=source))
            self.assertEqual((way.address, way.port, way.source, way.hwaddr), (giaddr, 67, SECOND, None))
            self.assertEqual((offer.giaddr, offer.flags, offer.hops), (giaddr, 0x8000, 0))
            self.assertEqual((list(offer.options)[-1], offer.options[82]), (82, information))

    def test_captured(self) -> None:
        """What dnsmasq made, as a relay, of an iPXE ROM's DISCOVER."""
        offer, way = Proxy("http://10.77.0.2/boot.ipxe").ask(captures.RELAYED_DISCOVER, BY_RELAY)
        self.assertEqual((str(way.address), way.port, offer.giaddr), ("10.77.0.1", 67, way.address))
        self.assertIsInstance(Proxy().silence(captures.RELAYED_UDHCPC_DISCOVER, BY_RELAY).severity, str)

    def test_r10_the_relays_port(self) -> None:
        """R10: to the port that it sent from if it says so; else nobody but port 67 is a relay."""
        come = BY_RELAY._replace(source_port=5000)
        _, way = Proxy().ask(discover({**UEFI, 82: b"\x13\0"}, giaddr=RELAY), come)
        self.assertEqual((way.address, way.port), (RELAY, 5000))
        for information in (b"\1\1x", b"\x13\1\0", b"\x13"):
            outcome = Proxy().silence(discover({**UEFI, 82: information}, giaddr=RELAY), come)
            self.assertIn("comes from port 5000", outcome.summary(), str(information))

    def test_r06_r07_selected_links(self) -> None:
        """R06, R07: the link selected decides what is configured, and the reply goes to giaddr all the same."""
        settings = {
            "mode": "off",
            "subnet": [SUBNET, {**SUBNET, "network": "203.0.113.0/24", "options": {"209": "hex:62"}, "router": ""}],
        }
        asks = {**UEFI, 55: b"\xd1"}
        for options, expected in (
            ({82: b"\5\4" + IPv4Address("203.0.113.0").packed}, b"b"),
            ({118: IPv4Address("203.0.113.0").packed}, b"b"),
            ({}, b"a.cfg"),
        ):
            offer, way = Proxy(settings=settings).ask(discover({**asks, **options}, giaddr=RELAY), BY_RELAY)
            self.assertEqual((offer.options[209], way.address), (expected, RELAY), str(options))
            for code, value in options.items():
                self.assertEqual(offer.options[code], value)


class Configured(SynchronousTestCase):
    """``[[dhcp.subnet]]`` and ``[[host]]`` of a proxy."""

    def test_p04_p19_options_that_are_listed(self) -> None:
        """P04, P19: the client gets what it lists; nothing that belongs to an address, nor anything it did not list."""
        proxy = Proxy("http://boot.lab.test/x.efi", settings={"mode": "off", "subnet": [SUBNET]})
        offer, _ = proxy.ask(discover({**HTTP, 55: bytes(range(1, 255))}))
        self.assertEqual((offer.options[209], offer.options[6]), (b"a.cfg", IPv4Address("10.77.0.53").packed))
        self.assertFalse((NEEDS_AN_ADDRESS_SERVER - {6}) & set(offer.options))
        self.assertEqual(offer.options[67], b"http://boot.lab.test/x.efi\0")
        for options in ({**UEFI, 55: b"\x43"}, UEFI):
            offer, _ = proxy.ask(discover(options))
            self.assertFalse({6, 209} & set(offer.options))

    def test_who_is_refused(self) -> None:
        """A host that is to be ignored is not answered, at either port, and the log says why."""
        settings = {"mode": "off", "subnet": [SUBNET]}
        ignored = build(HostSettings, {"name": "node1", "mac": "02:aa:00:00:00:01", "ignore": True})
        proxy = Proxy(settings=settings, hosts=(ignored,))
        for request, come in ((discover(UEFI), AT_67), (say(REQUEST, UEFI, ciaddr=HAS), AT_4011)):
            outcome = proxy.silence(request, come)
            self.assertIsInstance(outcome, Ignored)
            self.assertRegex(outcome.summary(), "not answered: .+")
        self.assertIsInstance(proxy.answer(discover(UEFI, chaddr=b"\2\xaa\0\0\0\2".ljust(16, b"\0"))).outcome, Proxied)


class Abused(SynchronousTestCase):
    """Anything at all."""

    def test_d02_mutated_captures(self) -> None:
        """D02, P02, P04: real requests with errors in them: silence or a reply that is sound, and nothing else."""
        answered = 0
        places = (AT_67, AT_4011, BY_RELAY, AT_4011._replace(source_port=68), AT_4011._replace(source=NOWHERE))
        proxy = Proxy("http://10.77.0.2/boot.ipxe", menu={"item": [{"label": "x", "type": 1}]})
        for number, octets in enumerate(mutated(5, 2000)):
            try:
                request = wire.decode(octets)
                decided = proxy.answer(octets, places[number % len(places)])
            except Malformed:
                continue
            self.assertTrue(decided.outcome.summary())
            if decided.reply is not None:
                sound(self, request, decided)
                answered += 1
        self.assertGreater(answered, 100)
        self.assertEqual(proxy.ask(captures.IPXE_DISCOVER)[1].address, EVERYBODY)

    def test_who_is_held(self) -> None:
        """For the log: the address of who asks at 4011, or takes one from another server."""
        for request, come, expected in (
            (say(REQUEST, UEFI, ciaddr=HAS), AT_4011, HAS),
            (say(REQUEST, UEFI, ciaddr=RELAY), AT_4011, None),
            (say(REQUEST, {**UEFI, 50: HAS.packed}), AT_67, HAS),
            (say(REQUEST, {50: HAS.packed}), AT_67, None),
            (discover({**UEFI, 50: HAS.packed}), AT_67, None),
        ):
            self.assertEqual(held(Proxy().exchange(request, come), PROXY_PORT), expected)
