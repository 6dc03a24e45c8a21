"""Options that the operator configured: which of them a client gets, in which order, and where they find room."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.config import build
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import Message, MessageType
from pixelboot.dhcp.server import compose
from pixelboot.dhcp.server.compose import Manner
from pixelboot.dhcp.settings.dhcp import SubnetSettings
from tests.dhcp.lan import RELAY, SUBNET, address, discover, exchange, settings
from tests.dhcp.server.replies import GIVEN, granted, offer
from tests.dhcp.server.sound import Reply, sound

OFFER, ACK = MessageType.OFFER, MessageType.ACK


def configured(said: Mapping[str, object], **more: object) -> SubnetSettings:
    """A subnet with these options."""
    document = {"network": "10.77.0.0/24", "pool": ["10.77.0.100-10.77.0.150"], "options": said, **more}
    return build(SubnetSettings, document)


class Configured(SynchronousTestCase):
    """What the operator says of options."""

    def test_o01_o03_long_options(self) -> None:
        """O01, O03: 300 octets as 255 and 45, next to each other; what fits into one instance is in one."""
        for size, pieces in ((255, [255]), (256, [255, 1]), (300, [255, 45])):
            subnet = configured({"224": "hex:" + "ab" * size})
            octets = wire.encode(offer(discover(1, {55: b"\xe0", 57: b"\5\xdc"}), subnet=subnet))
            listed = Reply(octets).listed
            self.assertEqual([len(value) for code, value in listed if code == 224], pieces)
            self.assertEqual([code for code, _ in listed][-len(pieces) :], [224] * len(pieces))

    def test_o06_routes_beside_the_router(self) -> None:
        """O05, O06: 121 has a default route of its own, as its readers do not look at 3; it has one if it is given."""
        routes = ["10.17.0.0/16 via 10.77.0.9"]
        default, tail = b"\0" + address(254).packed, b"\x10\x0a\x11" + address(9).packed
        for said, router, expected in (
            (routes, "10.77.0.254", default + tail),
            (["0.0.0.0/0 via 10.77.0.8", *routes], "10.77.0.254", b"\0" + address(8).packed + tail),
            (routes, None, tail),
        ):
            more = {} if router is None else {"router": router}
            reply = offer(discover(1, {55: b"\x79\x03"}), subnet=configured({"classless-static-routes": said}, **more))
            self.assertEqual(reply.options[121], expected, str(said))
            self.assertEqual(3 in reply.options, router is not None)
        raw = configured({"121": "hex:20"}, router="10.77.0.254")
        self.assertEqual(offer(discover(1, {55: b"\x79"}), subnet=raw).options[121], b"\x20", "as it is written")

    def test_o13_pxelinux(self) -> None:
        """O13: 208 before what counts behind it alone, listed or not, in whatever order."""
        said = {"208": "hex:f100747e", "209": "hex:61", "210": "hex:62", "211": "hex:00000005"}
        for wanted, expected in (
            (b"\xd3\xd2\xd1", [208, 211, 210, 209]),
            (b"\xd1\xd0", [208, 209]),
            (b"\x01", []),
            (None, [208, 209, 210, 211]),
        ):
            request = discover(1, {} if wanted is None else {55: wanted})
            codes = [code for code in offer(request, subnet=configured(said)).options if code > 200]
            self.assertEqual(codes, expected, str(wanted))

    def test_o15_o16_on_request_alone(self) -> None:
        """O15, O16, D48: 108 and 114 to who lists them and where they are configured, 128 to 135 where configured."""
        said = configured({"captive-portal": "https://lab.test/", "130": "hex:01"}, ipv6_mostly=300)
        for wanted, expected in (
            (None, {130}),
            (b"\x6c\x72\x82", {108, 114, 130}),
            (b"\x6c", {108}),
            (b"\x01", set()),
            (b"\x81", set()),
        ):
            reply = offer(discover(1, {} if wanted is None else {55: wanted}), subnet=said)
            self.assertEqual({108, 114, 129, 130} & reply.options.keys(), expected, str(wanted))
            self.assertEqual(reply.yiaddr, GIVEN)
        reply = offer(discover(1, {55: b"\x6c\x72"}), subnet=said)
        self.assertEqual((reply.options[108], reply.options[114]), (b"\0\0\1\x2c", b"https://lab.test/"))
        self.assertNotIn(108, offer(discover(1, {55: b"\x6c"})).options)

    def test_the_order_of_the_client(self) -> None:
        """What it lists first finds room first; the mask and the router stand before all."""
        said = configured({"224": "hex:" + "aa" * 200, "225": "hex:" + "bb" * 200}, router="10.77.0.254")
        firmware = {60: b"PXEClient"}
        for wanted, kept in ((b"\xe0\xe1", 224), (b"\xe1\xe0", 225)):
            codes = list(offer(discover(1, {55: wanted, **firmware}), subnet=said).options)
            self.assertEqual([code for code in codes if code in (1, 3, 224, 225)], [1, 3, kept])

    def test_o18_a_configured_boot_file(self) -> None:
        """O18, D45: with a NUL, and never the last; what the boot decision names goes before it."""
        said = configured({"67": "hex:61"})
        reply = offer(discover(1, {55: b"\x43"}), subnet=said)
        self.assertEqual(reply.options[67], b"a\0")
        self.assertNotEqual(list(reply.options)[-1], 67)
        reply = offer(discover(1, {55: b"\x43"}), "other", said)
        self.assertEqual((reply.options[67], reply.file), (b"other\0", b"other"))

    def test_o10_93_and_94_on_a_setting(self) -> None:
        """O10: as RFC 4578 has it, where a site wants it so."""
        sent = {93: b"\0\7", 94: b"\1\3\0"}
        reply = granted(discover(1, sent), manner=Manner(echo_client_system=True))
        self.assertEqual({code: reply.options[code] for code in sent}, sent)
        self.assertFalse({93, 94} & granted(discover(1), manner=Manner(echo_client_system=True)).options.keys())

    def test_d38_for_ever(self) -> None:
        """D38: who asks for it gets it where it is configured, without T1 and T2; who does not gets the usual."""
        unlimited = replace(SUBNET, infinite=True, max_lease_time=1200.0)
        for asked, expected in ((b"\xff" * 4, 0xFFFFFFFF), (b"\xff\xff\xff\xfe", 1200), (None, 600)):
            reply = offer(discover(1, {} if asked is None else {51: asked}), subnet=unlimited)
            self.assertEqual((reply.number(51), 58 in reply.options), (expected, expected < 0xFFFFFFFF), str(asked))
        agreed = compose.terms(exchange(discover(1, {51: b"\xff" * 4}), site=settings(unlimited)), GIVEN)
        assert agreed is not None
        self.assertEqual(agreed.seconds, math.inf)

    def test_d37_fractions_of_the_settings(self) -> None:
        """D37: also of so little time that there is none for T1 and T2."""
        early = replace(SUBNET, renewal=0.25, rebinding=0.3)
        reply = offer(discover(1), subnet=early)
        self.assertEqual([reply.number(code) for code in (51, 58, 59)], [600, 150, 180])
        agreed = compose.terms(exchange(discover(1)), GIVEN)
        assert agreed is not None
        for left, expected in (
            (1.5, (1, None, None)),
            (2.0, (2, None, None)),
            (-3.0, (0, None, None)),
            (9e9, (600, 300, 525)),
        ):
            reply = compose.grant(exchange(discover(1)), agreed.until(100.0 + left, 100.0), ACK, GIVEN)
            self.assertEqual(tuple(reply.number(code) for code in (51, 58, 59)), expected, str(left))


class Overload(SynchronousTestCase):
    """Option 52."""

    RICH = configured(
        {str(code): "hex:" + "aa" * size for code, size in ((224, 120), (225, 110), (226, 100), (227, 50))},
        router="10.77.0.254",
    )

    def whole(self, request: Message, boot_file: str | None = None) -> tuple[Reply, dict[int, bytes]]:
        """An OFFER, and its options wherever they stand, read back by the codec."""
        octets = wire.encode(granted(request, OFFER, boot_file, self.RICH))
        sound(request, octets)
        return Reply(octets), dict(wire.decode(octets).options)

    def test_d41_what_does_not_fit_is_put_into_the_fields(self) -> None:
        """D41: `file` and `sname` hold options, ended and filled; in `file` there may be a boot file instead."""
        for boot_file, overload, there in ((None, 3, {224, 225, 226, 227}), ("f", 2, {67, 224, 225, 227})):
            reply, options = self.whole(discover(1), boot_file)
            self.assertEqual(reply.overload, overload, str(boot_file))
            self.assertEqual({67, 224, 225, 226, 227} & options.keys(), there, str(boot_file))

    def test_d41_never_for_firmware(self) -> None:
        """D41: ROMs read `file` and `sname` as they are; nor where there is room."""
        for sent in ({60: b"PXEClient:Arch:00000"}, {60: b"HTTPClient"}, {77: b"iPXE"}, {57: b"\5\xdc"}):
            reply, options = self.whole(discover(1, sent))
            self.assertEqual((reply.overload, reply.sname, reply.file), (0, bytes(64), bytes(128)), str(sent))
            self.assertLessEqual({1, 3, 51, 54}, options.keys(), str(sent))

    def test_r03_82_is_not_among_them(self) -> None:
        """R03: it is the last of the options in their own field."""
        reply, options = self.whole(discover(1, {82: b"\1\x20" + bytes(32)}, giaddr=RELAY))
        self.assertEqual((options[82], reply.listed[-1][0]), (b"\1\x20" + bytes(32), 82))
        self.assertEqual(reply.overload, 3)


class Usual(SynchronousTestCase):
    """The short way to a reply, which most replies take."""

    @given(
        st.sampled_from((b"", b"\1a", bytes(40), bytes(255), bytes(400))),
        st.none() | st.binary(min_size=1, max_size=90),
        st.none() | st.binary(max_size=8),
        st.none() | st.binary(max_size=4),
        st.booleans(),
    )
    def test_it_comes_to_the_same(
        self, identifier: bytes, information: bytes | None, wanted: bytes | None, asked: bytes | None, echo: bool
    ) -> None:
        """The long way is the one that a site takes where options 93 and 94 come back, though none were sent."""
        sent = {61: identifier, 82: information, 55: wanted, 57: asked}
        request = discover(1, {code: value for code, value in sent.items() if value is not None}, giaddr=RELAY)
        short, long = granted(request), granted(request, manner=Manner(echo_client_system=True))
        self.assertEqual(short, long)
        for reply in (short, long):
            sound(request, wire.encode(reply))
