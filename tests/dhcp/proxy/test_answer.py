"""The proxy's decisions: real firmware first, then the clauses of PXE 2.1, then what must stay silent."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.exchange import Answer
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.outcomes import Ignored, Overheard, Proxied
from tests.dhcp import captures
from tests.dhcp.proxy.lan import (
    ACK,
    AT_67,
    AT_4011,
    BIOS,
    BY_RELAY,
    EVERYBODY,
    HAS,
    HTTP,
    INFORM,
    IPXE,
    NEEDS_AN_ADDRESS_SERVER,
    NOWHERE,
    OFFER,
    RELAY,
    REQUEST,
    SECOND,
    SERVER,
    STRANGER,
    UEFI,
    URL,
    Proxy,
    discover,
    say,
)


def compare(test: SynchronousTestCase, ours: Message, theirs: bytes, *differences: str) -> None:
    """Our answer is that of the proxy with which the firmware was seen to boot, but for the `differences`."""
    known = wire.decode(theirs)
    for field in ("op", "htype", "hlen", "xid", "chaddr", "ciaddr", "yiaddr", "siaddr", "giaddr", "file"):
        if field not in differences:
            test.assertEqual(getattr(ours, field), getattr(known, field), field)
    for code, value in known.options.items():
        test.assertEqual(ours.options.get(code), value, f"option {code}")


def sound(test: SynchronousTestCase, request: Message, decided: Answer) -> None:
    """What holds for every reply of a proxy, whatever was asked."""
    reply, way = decided.reply, decided.destination
    assert reply is not None
    assert way is not None
    asked = request.options.get(57, b"")
    limit = min(max(int.from_bytes(asked) if len(asked) in (1, 2, 4) else 0, 576), 1500)
    test.assertTrue(request.options.get(60, b"").startswith((b"PXEClient", b"HTTPClient")))
    test.assertEqual(reply.yiaddr, NOWHERE)
    test.assertNotEqual(reply.siaddr, NOWHERE)
    test.assertFalse((NEEDS_AN_ADDRESS_SERVER | {52}) & set(reply.options))
    test.assertTrue({53, 54, 60} <= set(reply.options))
    test.assertNotEqual(list(reply.options)[-1], 67)
    test.assertLessEqual(28 + len(wire.encode(reply)), limit)
    test.assertLessEqual(len(reply.options.get(43, b"")), 255)
    test.assertEqual(way.source, reply.address(54))


class Captured(SynchronousTestCase):
    """Real firmware, and beside our answer that of the server with which it booted."""

    def test_edk2(self) -> None:
        """P01, P14: DISCOVER, the address server's business, then port 4011: as dnsmasq, and the file at once."""
        proxy = Proxy()
        offer, way = proxy.ask(captures.EDK2_DISCOVER)
        compare(self, offer, captures.PROXY_OFFER_TO_EDK2, "file")
        self.assertEqual((offer.file, offer.options[67]), (b"snponly.efi", b"snponly.efi\0"))
        self.assertEqual((way.address, way.port, way.source, way.hwaddr), (EVERYBODY, 68, SECOND, None))
        overheard = proxy.silence(captures.EDK2_TAKES_ANOTHERS)
        self.assertEqual(
            (overheard.severity, overheard.summary()),
            (
                "debug",
                "52:54:00:77:00:01 REQUEST left to other servers: it is for the server that gives the addresses",
            ),
        )
        ack, way = proxy.ask(captures.EDK2_AT_4011, AT_4011)
        compare(self, ack, captures.PROXY_ACK_TO_EDK2)
        self.assertEqual((way.address, way.port, way.source), (HAS, 4011, SECOND))
        for datagram, come in ((captures.EDK2_DISCOVER, AT_67), (captures.EDK2_AT_4011, AT_4011)):
            outcome = proxy.answer(datagram, come).outcome
            self.assertEqual(outcome.summary(), "52:54:00:77:00:01 (PXE, uefi-x64) told to boot snponly.efi")

    def test_ipxe(self) -> None:
        """P01: the ROM, and the iPXE that EDK2 loaded: what spares iPXE the question at 4011 is in the OFFER."""
        url = "http://10.77.0.2/boot.ipxe"
        for octets, theirs in (
            (captures.IPXE_DISCOVER, captures.PROXY_OFFER_TO_IPXE),
            (captures.SNPONLY_DISCOVER, None),
        ):
            offer, _ = Proxy(url).ask(octets)
            self.assertEqual((offer.siaddr, offer.file, offer.options[60]), (SECOND, url.encode(), b"PXEClient"))
            if theirs:
                known = wire.decode(theirs)
                self.assertEqual((offer.siaddr, offer.file, offer.yiaddr), (known.siaddr, known.file, known.yiaddr))
            self.assertNotIn(43, offer.options, "iPXE needs no discovery control")

    def test_ipxe_at_4011(self) -> None:
        """It asks there from port 68 and names us: the ACK goes back to port 68."""
        come = AT_4011._replace(source_port=68)
        ack, way = Proxy(URL).ask(captures.IPXE_AT_4011, come)
        self.assertEqual((ack.message_type, ack.ciaddr, ack.siaddr, ack.file), (ACK, HAS, SECOND, URL.encode()))
        self.assertEqual((way.address, way.port, way.source), (HAS, 68, SECOND))

    def test_bios_is_told_as_dnsmasq_does(self) -> None:
        """P08: option 43 of a proxy that BIOS firmware was seen to boot with, to the octet; and none to UEFI."""
        known = wire.decode(captures.PROXY_OFFER_TO_IPXE).options[43]
        self.assertEqual(Proxy().ask(discover(BIOS))[0].options[43], known)
        for other in (UEFI, HTTP, IPXE):
            self.assertNotIn(43, Proxy().ask(discover(other))[0].options)

    def test_p17_p18_http_boot(self) -> None:
        """P17, P18: with yiaddr 0, 60 and 67 as EDK2 wants both, as in the OFFER of a full server that it booted by."""
        known = wire.decode(captures.HTTP_OFFER).options
        offer, way = Proxy("http://10.77.0.1/snponly.efi").ask(captures.HTTP_DISCOVER)
        self.assertEqual((offer.options[60], offer.options[67]), (known[60], known[67]))
        self.assertEqual((offer.yiaddr, offer.address(54), way.address), (NOWHERE, SECOND, EVERYBODY))
        self.assertIsInstance(Proxy().silence(captures.HTTP_REQUEST), Overheard)


class Offers(SynchronousTestCase):
    """What a DISCOVER is answered with."""

    def test_p01_p04_the_offer(self) -> None:
        """P01, P04, P16, O10: no address and nothing of a lease; who we are, what for, and the client's UUID."""
        for name, options, vendor_class in (
            ("BIOS", BIOS, b"PXEClient"),
            ("UEFI", UEFI, b"PXEClient"),
            ("iPXE", IPXE, b"PXEClient"),
            ("HTTP", HTTP, b"HTTPClient"),
        ):
            offer, _ = Proxy().ask(discover({**options, 55: bytes(range(1, 255)), 61: b"\1abc"}, secs=4))
            self.assertEqual((offer.message_type, offer.yiaddr, offer.ciaddr), (OFFER, NOWHERE, NOWHERE), name)
            self.assertEqual((offer.options[60], offer.address(54)), (vendor_class, SECOND), name)
            self.assertEqual((offer.options[97], offer.options[61]), (bytes(17), b"\1abc"), name)
            self.assertEqual((offer.siaddr, offer.file), (SECOND, b"snponly.efi"), name)
            self.assertFalse(NEEDS_AN_ADDRESS_SERVER & set(offer.options), name)
            self.assertFalse({52, 175} & set(offer.options), name)
            self.assertIsInstance(Proxy().answer(discover(options)).outcome, Proxied, name)

    def test_o18_67_is_not_the_last(self) -> None:
        """O18: a NUL ends it, and 60 stands behind it, whatever room there is; silence where it has no place at all."""
        for length in (1, 127, 128, 230, 254):
            for options in (UEFI, *({60: b"HTTPClient", 61: bytes(size)} for size in range(24, 70))):
                offer = Proxy("u" * length).answer(discover(options)).reply
                if offer is None:
                    self.assertGreater(length + len(options[61]), 281, "there was room")
                    continue
                codes = list(offer.options)
                self.assertIn(60, codes)
                if 67 in codes:
                    self.assertLess(codes.index(67), codes.index(60))
                    self.assertEqual(offer.options[67], b"u" * length + b"\0")
                self.assertEqual(offer.file, b"u" * length if length < 128 else b"")

    def test_p17_p18_no_room_for_the_url(self) -> None:
        """P17, P18: an OFFER that names no file would be none; who sends so much hears nothing, the log says why."""
        much = {61: b"\1" + bytes(254)}
        for name, options, come, giaddr in (
            ("HTTP, 61", HTTP | much, AT_67, NOWHERE),
            ("iPXE, 61", IPXE | much, AT_67, NOWHERE),
            ("HTTP, 82", {**HTTP, 82: bytes(255)}, BY_RELAY, RELAY),
        ):
            for length in (127, 128):
                decided = Proxy("u" * length).answer(discover(options, giaddr=giaddr), come)
                if length == 127:
                    self.assertEqual(decided.reply and decided.reply.file, b"u" * 127, name)
                else:
                    self.assertEqual((decided.reply, type(decided.outcome)), (None, Ignored), name)
                    self.assertIn("DISCOVER not answered: there is no room for uuu", decided.outcome.summary())
            offer, _ = Proxy("u" * 128).ask(discover({**options, 57: b"\5\xdc"}, giaddr=giaddr), come)
            self.assertEqual(offer.options[67], b"u" * 128 + b"\0", f"{name}: it takes longer messages")

    def test_another_tftp_server(self) -> None:
        """The file may lie elsewhere: siaddr says so, and 66 to PXE firmware that wants it; 54 is still ours."""
        elsewhere = IPv4Address("192.0.2.9")
        for options, expected in (({**UEFI, 55: b"\x42"}, b"192.0.2.9\0"), (UEFI, b"192.0.2.9\0"), (IPXE, None)):
            offer, _ = Proxy(next_server=elsewhere).ask(discover(options))
            self.assertEqual((offer.siaddr, offer.address(54)), (elsewhere, SECOND))
            self.assertEqual(offer.options.get(66), expected)
        self.assertNotIn(66, Proxy().ask(discover({**UEFI, 55: b"\x43"}))[0].options)

    def test_p03_the_way(self) -> None:
        """P03: by the ladder, with no address to send to: the relay, the address it has, else everybody."""
        cases: tuple[tuple[str, dict[str, Any], tuple[object, int]], ...] = (
            ("flag", {"flags": 0x8000}, (EVERYBODY, 68)),
            ("no flag", {}, (EVERYBODY, 68)),
            ("ciaddr", {"ciaddr": HAS}, (HAS, 68)),
            ("relay", {"giaddr": RELAY}, (RELAY, 67)),
            ("relay far away", {"giaddr": IPv4Address("198.51.100.1"), "flags": 0x8000}, ("198.51.100.1", 67)),
        )
        for name, fields, to in cases:
            offer, way = Proxy().ask(discover(UEFI, **fields), come=BY_RELAY if "giaddr" in fields else AT_67)
            self.assertEqual((str(way.address), way.port), (str(to[0]), to[1]), name)
            self.assertEqual(offer.ciaddr, NOWHERE, name)
            self.assertEqual((offer.flags, offer.giaddr), (fields.get("flags", 0), fields.get("giaddr", NOWHERE)), name)

    def test_r01_r02_the_relays_information(self) -> None:
        """R01, R02: comes back to the octet, behind everything else."""
        information = b"\1\4circ\2\3abc"
        offer, _ = Proxy().ask(discover({82: information, **BIOS}, giaddr=RELAY), BY_RELAY)
        self.assertEqual((list(offer.options)[-1], offer.options[82]), (82, information))

    def test_p13_at_once(self) -> None:
        """P13: there is nothing to wait for, but for firmware that is not ready."""
        self.assertEqual(Proxy().answer(discover(UEFI)).delay, 0.0)
        self.assertEqual(Proxy(profile="raspberry-pi-3").answer(discover(BIOS)).delay, 1.0)


class BootServer(SynchronousTestCase):
    """Port 4011."""

    def test_p05_p06_back_to_where_it_came_from(self) -> None:
        """P05, P06: to the source address and port, from the address in 54; BIOS, UEFI, iPXE alike."""
        for options in (BIOS, UEFI, IPXE):
            for port in (68, 4011, 40000):
                come = AT_4011._replace(source_port=port)
                ack, way = Proxy().ask(say(REQUEST, options, ciaddr=HAS), come)
                self.assertEqual((ack.message_type, ack.yiaddr, ack.ciaddr), (ACK, NOWHERE, HAS))
                self.assertEqual((ack.siaddr, ack.file, ack.options[60]), (SECOND, b"snponly.efi", b"PXEClient"))
                self.assertEqual((way.address, way.port, way.source, way.hwaddr), (HAS, port, ack.address(54), None))
                self.assertFalse(NEEDS_AN_ADDRESS_SERVER & set(ack.options))

    def test_a_client_that_shows_no_address(self) -> None:
        """It is reached at the one that it has, or by broadcast, at the port that it asks from."""
        come = AT_4011._replace(source=NOWHERE)
        for ciaddr, to in ((HAS, HAS), (NOWHERE, EVERYBODY)):
            _, way = Proxy().ask(say(REQUEST, UEFI, ciaddr=ciaddr), come)
            self.assertEqual((way.address, way.port), (to, 4011))
        _, way = Proxy().ask(say(REQUEST, UEFI), AT_4011)
        self.assertEqual(way.address, HAS, "what it forgot to say is seen")

    def test_p15_inform(self) -> None:
        """P15: as a REQUEST."""
        ack, way = Proxy().ask(say(INFORM, BIOS, ciaddr=HAS), AT_4011)
        self.assertEqual((ack.message_type, ack.file, way.address, way.port), (ACK, b"snponly.efi", HAS, 4011))


class Silence(SynchronousTestCase):
    """What is not answered."""

    def test_p02_p14_left_to_other_servers(self) -> None:
        """P02, P14: who does not ask to boot, and what takes an address; told to nobody who did not ask for more."""
        taken = {50: HAS.packed, 54: STRANGER.packed}
        for name, request, come in (
            ("P02 an operating system", discover({60: b"udhcp 1.35"}), AT_67),
            ("P02 nothing at all", discover(), AT_67),
            ("P02 at 4011", say(REQUEST, ciaddr=HAS), AT_4011),
            ("P02 iPXE by its own marks alone", discover({77: b"iPXE", 175: b"\xb0\1\1"}), AT_67),
            ("P02 the same at 4011", say(REQUEST, {77: b"iPXE", 175: b"\xb0\1\1"}, ciaddr=HAS), AT_4011),
            ("P02 not at its start", discover({**IPXE, 60: b"xPXEClient"}), AT_67),
            ("P02 half of it", discover({**IPXE, 60: b"PXEClien"}), AT_67),
            ("P14 EDK2", say(REQUEST, {**UEFI, **taken}), AT_67),
            ("P14 iPXE", say(REQUEST, {**IPXE, **taken}), AT_67),
            ("P14 HTTP", say(REQUEST, {**HTTP, **taken}), AT_67),
            ("INIT-REBOOT", say(REQUEST, {**UEFI, 50: HAS.packed}), AT_67),
            ("no 54", say(REQUEST, UEFI), AT_67),
            ("ours, but it needs an address", say(REQUEST, {**UEFI, 54: SECOND.packed}), AT_67),
            ("INFORM at 67", say(INFORM, UEFI, ciaddr=HAS), AT_67),
            ("RELEASE", say(MessageType.RELEASE, UEFI, ciaddr=HAS), AT_67),
            ("DECLINE at 4011", say(MessageType.DECLINE, UEFI), AT_4011),
            ("DISCOVER at 4011", discover(UEFI), AT_4011),
            ("OFFER of a client", say(OFFER, UEFI), AT_67),
        ):
            outcome = Proxy().silence(request, come)
            self.assertIsInstance(outcome, Overheard, name)
            self.assertEqual((outcome.severity, outcome.counter()), ("debug", "dhcp.Overheard"))

    def test_nothing_to_boot(self) -> None:
        """Another server may have something: silence, and the reason in the log."""
        for come, request in ((AT_67, discover(UEFI)), (AT_4011, say(REQUEST, UEFI, ciaddr=HAS))):
            outcome = Proxy(None, obstacle="TFTP is off").silence(request, come)
            self.assertEqual((type(outcome), outcome.severity), (Ignored, "info"))
            self.assertEqual(outcome.summary(), f"02:aa:00:00:00:01 {request.name} not answered: TFTP is off")

    @given(
        st.sampled_from(sorted(MessageType)),
        st.fixed_dictionaries(
            {},
            optional={code: st.binary(max_size=300) for code in (43, 50, 54, 55, 57, 60, 61, 77, 82, 93, 97, 175)}
            | {60: st.sampled_from((b"PXEClient", b"HTTPClient:Arch:00016", b"x")) | st.binary(max_size=20)},
        ),
        st.sampled_from((NOWHERE, HAS, SERVER, EVERYBODY)),
        st.sampled_from((NOWHERE, RELAY)),
        st.booleans(),
        st.integers(1, 254),
    )
    def test_every_reply_is_sound(
        self,
        kind: MessageType,
        options: dict[int, bytes],
        ciaddr: IPv4Address,
        giaddr: IPv4Address,
        at_4011: bool,
        length: int,
    ) -> None:
        """P02, P04, D40: to boot clients alone, with a file, never an address, never longer than the client takes."""
        come = AT_4011 if at_4011 else BY_RELAY if giaddr == RELAY else AT_67
        decided = Proxy("u" * length).answer(say(kind, options, ciaddr=ciaddr, giaddr=giaddr), come)
        self.assertEqual(decided.reply is not None, isinstance(decided.outcome, Proxied))
        if decided.reply is None or decided.destination is None:
            return
        sound(self, wire.decode(wire.encode(say(kind, options))), decided)
        named = b"u" * length
        self.assertTrue(decided.reply.file == named or decided.reply.options.get(67) == named + b"\0")
        self.assertEqual((decided.reply.siaddr, decided.destination.source), (SECOND, SECOND))
