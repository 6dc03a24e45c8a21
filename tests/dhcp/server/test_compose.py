"""The replies: their fields, their options, and what fits."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.machine import Firmware
from pixelboot.dhcp.message import options, wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.server import compose
from tests.dhcp import captures
from tests.dhcp.lan import (
    NOWHERE,
    RELAY,
    SECOND,
    SERVER,
    SUBNET,
    URL,
    address,
    discover,
    exchange,
    parameters,
    renew,
    say,
    select,
)
from tests.dhcp.server.replies import GIVEN, granted, offer
from tests.dhcp.server.sound import sound

OFFER, ACK = MessageType.OFFER, MessageType.ACK
UUID_OPTION = b"\0" + bytes(range(16))
HEADERS = 20 + 8
"""Octets of IP and UDP in front of a message."""

OFFER_TO_IPXE = (
    bytes.fromhex("020106005fc0951b00000000000000000a4d00640a4d000100000000525400770001")
    + bytes(10 + 64)
    + b"http://10.77.0.1:8080/boot.ipxe".ljust(128, b"\0")
    + bytes.fromhex("63825363")
    + bytes.fromhex("350102 36040a4d0001 3d0701525400770001 330400000258 3a040000012c 3b040000020d")
    + b"\x43\x20http://10.77.0.1:8080/boot.ipxe\0"
    + bytes.fromhex("af03b00101 61110033221100554477668899aabbccddee01 0104ffffff00 03040a4d00fe")
    + bytes.fromhex("06080a4d00350a4d0036 0f08")
    + b"lab.test\xff"
)
"""What a real iPXE is offered, to the last octet."""


def every_reply(request: Message, boot_file: str | None = None) -> dict[str, Message]:
    """One reply of each kind."""
    known = exchange(request, boot_file)
    return {
        "OFFER": granted(request, OFFER, boot_file),
        "ACK": granted(request, ACK, boot_file),
        "INFORM": compose.inform(known, parameters()),
        "NAK": compose.refuse(known, "no"),
    }


class Fields(SynchronousTestCase):
    """RFC 2131 §4.3.1, table 3."""

    def test_golden_offer(self) -> None:
        """A real DISCOVER of iPXE, and our answer."""
        request = wire.decode(captures.IPXE_DISCOVER)
        self.assertEqual(wire.encode(offer(request, "http://10.77.0.1:8080/boot.ipxe")), OFFER_TO_IPXE)

    def test_d03_what_is_copied(self) -> None:
        """D03: xid, flags, giaddr, chaddr, htype and hlen come back; hops and secs are 0, op is 2."""
        request = discover(
            1, xid=0xFEDCBA98, flags=0x8001, giaddr=RELAY, chaddr=bytes(range(16)), htype=6, hlen=8, hops=3, secs=9
        )
        for name, reply in every_reply(request).items():
            for field in ("xid", "flags", "giaddr", "chaddr", "htype", "hlen"):
                self.assertEqual(getattr(reply, field), getattr(request, field), f"{name} {field}")
            self.assertEqual((reply.op, reply.hops, reply.secs), (2, 0, 0), name)

    def test_d01_53_stands_first(self) -> None:
        """D01: whatever else there is."""
        for name, reply in every_reply(discover(1, {61: b"\1abc", 97: UUID_OPTION}), URL).items():
            self.assertEqual(next(iter(reply.options)), 53, name)

    def test_d04_offer(self) -> None:
        """D04: yiaddr, 51 and 54; no ciaddr, no 50, 55, 57."""
        reply = offer(discover(1, {50: GIVEN.packed, 55: b"\1\3", 57: b"\5\xc0"}, ciaddr=address(7)))
        self.assertEqual((reply.ciaddr, reply.yiaddr), (NOWHERE, GIVEN))
        self.assertEqual(reply.number(51), 600)
        self.assertEqual(reply.address(54), SERVER)
        self.assertFalse({50, 55, 57} & set(reply.options))

    def test_d05_ack(self) -> None:
        """D05: the ciaddr of the request, the lease, 51 and 54."""
        for request in (select(1, GIVEN), renew(1, GIVEN)):
            reply = granted(request, ACK)
            self.assertEqual((reply.ciaddr, reply.yiaddr), (request.ciaddr, GIVEN))
            self.assertEqual((reply.number(51), reply.address(54)), (600, SERVER))

    def test_d06_nak(self) -> None:
        """D06: no address, no parameter; only 53, 54, 56 and, as it was sent, 61."""
        reply = compose.refuse(
            exchange(renew(1, address(7), options={53: b"\3", 61: b"\1abc", 97: UUID_OPTION}), URL), "no"
        )
        self.assertEqual((reply.ciaddr, reply.yiaddr, reply.siaddr), (NOWHERE,) * 3)
        self.assertEqual(reply.options, {53: b"\6", 54: SERVER.packed, 61: b"\1abc", 56: b"no"})
        octets = wire.encode(reply)
        self.assertEqual((octets[12:28], octets[44:236], len(octets)), (bytes(16), bytes(192), 300))

    def test_d12_nak_by_a_relay_is_broadcast(self) -> None:
        """D12: the one exception to "flags are copied"."""
        for flags, giaddr, expected in (
            (0, RELAY, 0x8000),
            (1, RELAY, 0x8001),
            (0, NOWHERE, 0),
            (0x8000, NOWHERE, 0x8000),
        ):
            reply = compose.refuse(exchange(discover(1, giaddr=giaddr, flags=flags)), "no")
            self.assertEqual(reply.flags, expected, f"{flags:x} {giaddr}")

    def test_a_reason_of_any_text(self) -> None:
        """Option 56 is ASCII of at most 255 octets."""
        reply = compose.refuse(exchange(discover(1)), "ü" + "n" * 999)
        self.assertEqual(reply.options[56], b"?" + b"n" * 254)

    def test_d35_inform(self) -> None:
        """D35: the parameters, but no address and no times."""
        reply = compose.inform(exchange(say(MessageType.INFORM, 1, ciaddr=address(200)), URL), parameters())
        self.assertEqual((reply.message_type, reply.ciaddr, reply.yiaddr), (ACK, address(200), NOWHERE))
        self.assertFalse({50, 51, 58, 59} & set(reply.options))
        self.assertTrue({1, 3, 6, 15, 54, 67} <= set(reply.options))

    def test_d13_the_address_that_the_client_calls_us_by(self) -> None:
        """D13: option 54 of the reply is that of the request if it is ours, else the address it came to."""
        for named, expected in ((SECOND, SECOND), (SERVER, SERVER), (address(9), SERVER)):
            reply = granted(select(1, GIVEN, named), ACK)
            self.assertEqual(reply.address(54), expected, str(named))


class Times(SynchronousTestCase):
    """Options 51, 58 and 59."""

    def test_d19_d38_what_is_asked_for(self) -> None:
        """D19, D38: between a minute and what is configured; infinity is not to be had by asking."""
        for asked, expected in (
            (None, 600),
            (b"\0\0\2\x58", 600),
            (b"\0\0\0\x78", 120),
            (b"\0\0\0\0", 60),
            (b"\0\0\0\x01", 60),
            (b"\x7f\xff\xff\xff", 600),
            (b"\xff\xff\xff\xff", 600),
            (b"\0\0\x78", 600),
            (b"", 600),
        ):
            request = discover(1, {} if asked is None else {51: asked})
            self.assertEqual(offer(request).number(51), expected, str(asked))
            agreed = compose.terms(exchange(request), GIVEN)
            assert agreed is not None
            self.assertEqual(agreed.seconds, expected, "what is stored is what is said")

    def test_d37_t1_before_t2_before_the_end(self) -> None:
        """D37: a half and seven eighths, of the shortest lease too."""
        for seconds, t1, t2 in ((600, 300, 525), (60, 30, 52), (61.5, 30, 53), (31536000, 15768000, 27594000)):
            reply = offer(discover(1), subnet=replace(SUBNET, lease_time=seconds))
            self.assertEqual([reply.number(code) for code in (58, 59, 51)], [t1, t2, int(seconds)])


class Parameters(SynchronousTestCase):
    """What the subnet gives."""

    def test_d20_d21_d22_option_55(self) -> None:
        """D20, D21, D22: what is listed and configured, once; the needful always; all of it to who lists nothing."""
        always = {53, 54, 51, 58, 59, 1, 3}
        for wanted, extra in (
            (None, {6, 15}),
            (b"", set()),
            (b"\x01\x03\x03\x06\x06", {6}),
            (b"\x0f", {15}),
            (b"\x2a\x77\x79\xfc\xff\x00", set()),
            (bytes(range(256)), {6, 15}),
        ):
            request = discover(1, {} if wanted is None else {55: wanted})
            self.assertEqual(set(offer(request).options), always | extra, str(wanted))

    def test_d20_each_once_on_the_wire(self) -> None:
        """D20: seen as octets, no code stands twice."""
        octets = wire.encode(offer(discover(1, {55: bytes((1, 3, 3, 6, 6))}), URL))[240:]
        codes, at = [], 0
        while octets[at] != 255:
            codes.append(octets[at])
            at += 2 + octets[at + 1]
        self.assertEqual(len(codes), len(set(codes)))

    def test_d21_nothing_is_sent_empty(self) -> None:
        """D21: a subnet without router, servers and domain."""
        bare = replace(SUBNET, router=None, dns=(), domain="")
        reply = offer(discover(1, {55: b"\3\6\x0f"}), subnet=bare)
        self.assertEqual(set(reply.options), {53, 54, 51, 58, 59, 1})
        self.assertNotIn(b"", reply.options.values())

    def test_values(self) -> None:
        """The values as octets."""
        reply = offer(discover(1))
        self.assertEqual(reply.options[1], b"\xff\xff\xff\0")
        self.assertEqual(reply.options[3], address(254).packed)
        self.assertEqual(reply.options[6], address(53).packed + address(54).packed)
        self.assertEqual(reply.options[15], b"lab.test")

    def test_d44_mask_before_router(self) -> None:
        """D44."""
        for boot_file in (None, URL):
            codes = list(offer(discover(1, {55: b"\3\1"}), boot_file).options)
            self.assertLess(codes.index(1), codes.index(3))

    def test_d50_option_61_comes_back(self) -> None:
        """D50, RFC 6842: the same octets in every reply, and nothing where nothing was sent."""
        for name, reply in every_reply(discover(1, {61: b"\xff\0\1"})).items():
            self.assertEqual(reply.options[61], b"\xff\0\1", name)
        for request in (discover(1), discover(1, {61: b""})):
            for name, reply in every_reply(request).items():
                self.assertNotIn(61, reply.options, name)

    def test_o10_option_97_comes_back(self) -> None:
        """O10, O11: as it was sent, also when it means nothing; 93 and 94 do not."""
        for value in (UUID_OPTION, bytes(17), b"\xff" * 17, b"\1"):
            reply = offer(discover(1, {97: value, 93: b"\0\7", 94: b"\1\2\1"}))
            self.assertEqual(reply.options[97], value)
            self.assertFalse({93, 94} & set(reply.options))
        self.assertNotIn(97, offer(discover(1)).options)

    def test_options_of_others_do_not_come_back(self) -> None:
        """D48, R05, O07, O08, O17: private options, rapid commit and what else a client says is not echoed."""
        odd: dict[int, bytes] = dict.fromkeys((12, 43, 60, 77, 80, 93, 94, 128, 135, 175, 224), b"\1")
        for name, reply in every_reply(discover(1, odd)).items():
            self.assertFalse(set(odd) & set(reply.options), name)


class BootFile(SynchronousTestCase):
    """Option 67, `file`, siaddr and 175."""

    def test_d45_three_places_agree(self) -> None:
        """D45, O18: `file` and 67 name the same, 67 with a NUL behind; siaddr is the address in option 54."""
        for kind in (OFFER, ACK):
            reply = granted(select(1, GIVEN, SECOND), kind, URL)
            self.assertEqual((reply.file, reply.options[67]), (URL.encode(), URL.encode() + b"\0"))
            self.assertEqual((reply.siaddr, reply.address(54)), (SECOND, SECOND))
            self.assertEqual(reply.sname, b"")

    def test_nothing_to_boot(self) -> None:
        """Without a boot file none of the three is set, and iPXE is free to wait for another's (P16)."""
        for boot_file in (None, ""):
            reply = offer(discover(1, {77: b"iPXE"}), boot_file)
            self.assertEqual((reply.siaddr, reply.file), (NOWHERE, b""))
            self.assertFalse({67, 175} & set(reply.options))

    def test_a_file_longer_than_its_field(self) -> None:
        """D45: 127 octets and a NUL fit into `file`; a longer name stands in option 67 alone, and never cut."""
        for size, in_file in ((127, True), (128, False), (129, False), (200, False)):
            name = "f" * size
            reply = offer(discover(1), name)
            self.assertEqual(reply.file, name.encode() if in_file else b"", str(size))
            self.assertEqual(reply.options[67], name.encode() + b"\0", str(size))
            self.assertEqual(wire.encode(reply)[108 + 127], 0, "the field ends with NUL")

    def test_p16_175_176_for_ipxe_alone(self) -> None:
        """P16: 175 with 176 = 1 to who says iPXE in one way or the other, and to nobody else."""
        for name, sent, expected in (
            ("raw", {77: b"iPXE"}, b"\xb0\1\1"),
            ("encoded", {77: b"\4iPXE"}, b"\xb0\1\1"),
            ("by 175", {175: b"\xb1\0"}, b"\xb0\1\1"),
            ("a ROM", {60: b"PXEClient"}, None),
            ("any", {}, None),
        ):
            self.assertEqual(offer(discover(1, sent), URL).options.get(175), expected, name)
        self.assertEqual(exchange(wire.decode(captures.EDK2_REQUEST)).machine.firmware, Firmware.PXE)


class HttpBoot(SynchronousTestCase):
    """Option 60 of an address server."""

    def test_p17_60_goes_with_a_url(self) -> None:
        """P17: EDK2 sees no offer without 60 and 67; as dnsmasq says, in OFFER and ACK, in fewer than 1472 octets."""
        url = "http://10.77.0.1/snponly.efi"
        known = wire.decode(captures.HTTP_OFFER).options
        for kind, octets in ((OFFER, captures.HTTP_DISCOVER), (ACK, captures.HTTP_REQUEST)):
            reply = granted(wire.decode(octets), kind, url)
            self.assertEqual((reply.options[60], reply.options[67]), (known[60], known[67]))
            self.assertEqual(reply.options[60], b"HTTPClient")
            self.assertLessEqual(len(wire.encode(reply)), 1472)

    def test_p17_nothing_to_boot(self) -> None:
        """P17: without a URL, or without room for one, it is an address and nothing that says more."""
        for request, boot_file in (
            (wire.decode(captures.HTTP_DISCOVER), None),
            (discover(1, {60: b"HTTPClient", 61: bytes(230)}), "u" * 200),
        ):
            reply = offer(request, boot_file)
            self.assertFalse({60, 67} & set(reply.options), str(boot_file))
            self.assertEqual(reply.yiaddr, GIVEN)

    def test_p17_60_and_67_together(self) -> None:
        """P17: whatever room there is, either both or none."""
        for length in range(100, 300):
            codes = list(offer(discover(1, {60: b"HTTPClient"}), "u" * length).options)
            self.assertEqual(60 in codes, 67 in codes, str(length))
            self.assertTrue({1, 3} <= set(codes), str(length))

    def test_never_pxeclient(self) -> None:
        """P17: it would send firmware to port 4011 to ask again for what it was told; nor discovery control."""
        for sent in ({60: b"PXEClient:Arch:00007"}, {60: b"PXEClient:Arch:00000", 77: b"iPXE"}, {60: b"udhcp"}):
            self.assertFalse({43, 60} & set(offer(discover(1, {**sent, 55: bytes(range(1, 255))}), URL).options))

    def test_p19_name_servers(self) -> None:
        """P19: HTTP boot is told them whatever it lists, as its URL may have a name."""
        for sent, expected in ((b"HTTPClient", True), (b"PXEClient", False)):
            reply = offer(discover(1, {60: sent, 55: b"\1"}), "http://boot.lab.test/snponly.efi")
            self.assertEqual(6 in reply.options, expected)


class Sizes(SynchronousTestCase):
    """What fits into the client's datagram."""

    def size(self, asked: bytes | None, boot_file: str) -> int:
        """Octets of the IP datagram of an OFFER that has more to say than fits."""
        request = discover(1, {97: b"\0" * 255} | ({} if asked is None else {57: asked}))
        rich = replace(SUBNET, domain=".".join(["d" * 60] * 4), dns=SUBNET.dns * 4)
        return HEADERS + len(wire.encode(offer(request, boot_file, rich)))

    def test_d40_option_57(self) -> None:
        """D40: 576 octets to who says nothing or less, at most a frame to who says more; nobody is filled up."""
        for asked, limit in (
            (None, 576),
            (b"\2\x40", 576),
            (b"\0\0", 576),
            (b"\1\0", 576),
            (b"\5\xc0", 1472),
            (b"\xff\0", 1500),
            (b"\xff\xff\xff\xff", 1500),
            (b"", 576),
            (b"\0\5\xc0", 576),
        ):
            for length in (10, 127, 128, 180, 250, 1000):
                self.assertLessEqual(self.size(asked, "u" * length), limit, f"{asked!r} {length}")
        self.assertGreater(self.size(b"\5\xc0", "u" * 250), 576)
        self.assertLess(self.size(b"\xff\xff\xff\xff", "u"), 1000)

    def test_the_needful_comes_first(self) -> None:
        """D40, D50: lease and mask stay, whatever a client sends to be echoed and however long the boot file is."""
        for identifier in (b"", bytes(255), bytes(260), bytes(290), bytes(600)):
            reply = offer(discover(1, {61: identifier, 97: bytes(300)}), "u" * 1000)
            self.assertTrue({53, 54, 51, 58, 59, 1, 3} <= set(reply.options), str(len(identifier)))
        self.assertEqual(offer(discover(1, {61: bytes(255)})).options[61], bytes(255))

    def test_o18_67_is_never_the_last(self) -> None:
        """O18: not even where it takes all the room there is."""
        seen = set()
        for length in range(200, 330):
            codes = list(offer(discover(1, {55: b""}), "u" * length).options)
            self.assertEqual(codes[-2:], [1, 3], str(length))
            seen.add(67 in codes)
        self.assertEqual(seen, {True, False})

    @given(
        st.none() | st.binary(max_size=5),
        st.sampled_from((0, 2, 255, 256, 270, 300, 600)),
        st.integers(0, 600),
        st.none() | st.binary(max_size=6),
        st.integers(0, 1500),
        st.sampled_from((b"iPXE", b"")),
        st.sampled_from((b"HTTPClient", b"PXEClient", b"")),
    )
    def test_every_offer_is_sound(
        self,
        asked: bytes | None,
        identifier: int,
        uuid: int,
        wanted: bytes | None,
        name: int,
        user_class: bytes,
        vendor: bytes,
    ) -> None:
        """D01, D04, D40, D41, D44, O18: whatever the client's options are, in every combination."""
        sent = {57: asked, 61: bytes(identifier), 97: bytes(uuid), 55: wanted, 77: user_class, 60: vendor}
        request = discover(1, {code: value for code, value in sent.items() if value is not None})
        for kind in (OFFER, ACK):
            octets = wire.encode(granted(request, kind, "u" * name))
            sound(request if kind is OFFER else request._replace(options={**request.options, 53: b"\3"}), octets)
            self.assertLessEqual({54, 51, 1, 3}, set(options.decode(octets[240:])))
