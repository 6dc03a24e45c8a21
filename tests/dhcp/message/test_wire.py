"""The message: its octets both ways, real captures, and whatever else may arrive."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, MessageType, decode, encode
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from tests.dhcp import captures

COOKIE = b"\x63\x82\x53\x63"
CHADDR = bytes.fromhex("02aa00000001").ljust(16, b"\0")
LEAST = Message(op=1, xid=0, chaddr=bytes(16))

CASES: tuple[tuple[str, bytes, Message], ...] = (
    ("least", b"\1\1\6" + bytes(233) + COOKIE + b"\xff" + bytes(59), LEAST),
    (
        "every field",
        bytes.fromhex("02200703deadbeef0102800101020304050607080a0b0c0d11121314")
        + bytes(range(16))
        + b"server".ljust(64, b"\0")
        + b"loader".ljust(128, b"\0")
        + COOKIE
        + b"\x35\x01\x02\x36\x04\x0a\x4d\x00\x01\xff"
        + bytes(50),
        Message(
            op=2,
            htype=32,
            hlen=7,
            hops=3,
            xid=0xDEADBEEF,
            secs=0x0102,
            flags=0x8001,
            ciaddr=IPv4Address("1.2.3.4"),
            yiaddr=IPv4Address("5.6.7.8"),
            siaddr=IPv4Address("10.11.12.13"),
            giaddr=IPv4Address("17.18.19.20"),
            chaddr=bytes(range(16)),
            sname=b"server",
            file=b"loader",
            options={53: b"\2", 54: b"\x0a\x4d\0\1"},
        ),
    ),
    (
        "sname and file full to the last octet",
        b"\2\1\6" + bytes(41) + b"s" * 64 + b"f" * 128 + COOKIE + b"\xff" + bytes(59),
        Message(op=2, xid=0, chaddr=bytes(16), sname=b"s" * 64, file=b"f" * 128),
    ),
    (
        "longer than 300 octets",
        b"\1\1\6" + bytes(233) + COOKIE + b"\x2b\xff" + b"v" * 255 + b"\xff",
        Message(op=1, xid=0, chaddr=bytes(16), options={43: b"v" * 255}),
    ),
)

GOLDEN = {
    "IPXE_DISCOVER": "DISCOVER 5fc0951b secs=4 flags=0 52:54:00:77:00:01 57=1472",
    "IPXE_REQUEST": "REQUEST 5fc0951b secs=18 flags=0 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=1472",
    "EDK2_REQUEST": "REQUEST ac18baed secs=0 flags=8000 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=65280",
    "UDHCPC_DISCOVER": "DISCOVER e5905056 secs=0 flags=0 52:54:00:77:08:01 57=576",
    "DHCLIENT_DISCOVER": "DISCOVER 13fe2864 secs=0 flags=0 52:54:00:77:08:11",
    "DHCLIENT_RENEW": "REQUEST 13fe2864 secs=0 flags=0 52:54:00:77:08:11 ciaddr=10.77.0.138",
    "DHCLIENT_RELEASE": "RELEASE eb7e3d74 secs=0 flags=0 52:54:00:77:08:11 ciaddr=10.77.0.138 54=10.77.0.1",
    "REFERENCE_OFFER": "OFFER 5fc0951b secs=4 flags=0 52:54:00:77:00:01 yiaddr=10.77.0.130 siaddr=10.77.0.1 "
    "54=10.77.0.1",
    "EDK2_DISCOVER": "DISCOVER cba8d48d secs=0 flags=8000 52:54:00:77:00:01 57=1472",
    "PROXY_OFFER_TO_EDK2": "OFFER cba8d48d secs=0 flags=8000 52:54:00:77:00:01 siaddr=10.77.0.2 54=10.77.0.2",
    "EDK2_TAKES_ANOTHERS": "REQUEST cba8d48d secs=0 flags=8000 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=65280",
    "EDK2_AT_4011": "REQUEST 9f2e333c secs=0 flags=0 52:54:00:77:00:01 ciaddr=10.77.0.130 57=1472",
    "PROXY_ACK_TO_EDK2": "ACK 9f2e333c secs=0 flags=0 52:54:00:77:00:01 ciaddr=10.77.0.130 "
    "siaddr=10.77.0.2 54=10.77.0.2",
    "SNPONLY_DISCOVER": "DISCOVER 4d6f6c3a secs=4 flags=0 52:54:00:77:00:01 57=1472",
    "PROXY_OFFER_TO_IPXE": "OFFER 9c144c4f secs=4 flags=8000 52:54:00:77:00:01 siaddr=10.77.0.2 54=10.77.0.2",
    "IPXE_AT_4011": "REQUEST 9f70b143 secs=15 flags=8000 52:54:00:77:00:01 ciaddr=10.77.0.130 54=10.77.0.2 57=1472",
    "HTTP_DISCOVER": "DISCOVER cf96db71 secs=0 flags=8000 52:54:00:77:00:01 57=1472",
    "HTTP_REQUEST": "REQUEST cf96db71 secs=0 flags=8000 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=1472",
    "HTTP_OFFER": "OFFER cf96db71 secs=0 flags=8000 52:54:00:77:00:01 yiaddr=10.77.0.130 siaddr=10.77.0.1 54=10.77.0.1",
    "UNDIONLY_DISCOVER": "DISCOVER 56c7cc2b secs=4 flags=8000 52:54:00:77:00:01 57=1472",
    "UNDIONLY_REQUEST": "REQUEST 56c7cc2b secs=18 flags=8000 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=1472",
    "EFI_DISCOVER": "DISCOVER 4d6f6c3a secs=4 flags=0 52:54:00:77:00:01 57=1472",
    "EFI_REQUEST": "REQUEST 4d6f6c3a secs=18 flags=0 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=1472",
    "SNPONLY_REQUEST": "REQUEST f79afd15 secs=18 flags=0 52:54:00:77:00:01 50=10.77.0.130 54=10.77.0.1 57=1472",
    "UDHCPC_SELECT": "REQUEST e5905056 secs=0 flags=0 52:54:00:77:08:01 50=10.77.0.122 54=10.77.0.1 57=576",
    "UDHCPC_RENEW": "REQUEST e5905056 secs=0 flags=0 52:54:00:77:08:01 ciaddr=10.77.0.122 57=576",
    "UDHCPC_RELEASE": "RELEASE 950d412f secs=0 flags=0 52:54:00:77:08:01 ciaddr=10.77.0.122 54=10.77.0.1",
    "UDHCPC_AGAIN": "DISCOVER f183a069 secs=0 flags=0 52:54:00:77:08:04 50=192.0.2.77 57=576",
    "DHCLIENT_SELECT": "REQUEST 13fe2864 secs=0 flags=0 52:54:00:77:08:11 50=10.77.0.138 54=10.77.0.1",
    "DHCLIENT_REBOOT": "REQUEST 0f88bf20 secs=0 flags=0 52:54:00:77:08:11 50=10.77.0.138",
    "RELAYED_DISCOVER": "DISCOVER cdc65313 secs=4 flags=0 52:54:00:77:00:01 giaddr=10.77.0.1 57=1472",
    "RELAYED_REQUEST": "REQUEST cdc65313 secs=18 flags=0 52:54:00:77:00:01 giaddr=10.77.0.1 "
    "50=10.77.0.130 54=10.99.0.1 57=1472",
    "RELAYED_UDHCPC_DISCOVER": "DISCOVER 6250ff5e secs=0 flags=0 52:54:00:77:00:01 giaddr=10.77.0.1 57=576",
    "RELAYED_UDHCPC_REQUEST": "REQUEST 6250ff5e secs=0 flags=0 52:54:00:77:00:01 giaddr=10.77.0.1 "
    "50=10.77.0.130 54=10.99.0.1 57=576",
}


def captured() -> dict[str, bytes]:
    """The real packets by name."""
    return {name: value for name, value in vars(captures).items() if isinstance(value, bytes)}


def told(message: Message) -> str:
    """A message as one line."""
    kind = message.message_type
    words = [kind.name if kind else "BOOTP", f"{message.xid:08x}", f"secs={message.secs}", f"flags={message.flags:x}"]
    words.append(str(message.hwaddr))
    for name in ("ciaddr", "yiaddr", "siaddr", "giaddr"):
        words += [f"{name}={value}" for value in [getattr(message, name)] if value != IPv4Address(0)]
    words += [f"{code}={value}" for code in (50, 54) if (value := message.address(code))]
    words += [f"57={size}"] if (size := message.number(57)) else []
    return " ".join(words)


def raw(options: bytes, sname: bytes = b"", file: bytes = b"") -> bytes:
    """A datagram with these fields, as octets."""
    return b"\1\1\6" + bytes(25) + CHADDR + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + COOKIE + options


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_d01_d39_both_ways(self) -> None:
        """D01, D39: the header, the cookie, END, and zeros behind it up to 300 octets."""
        for name, octets, message in CASES:
            self.assertEqual(decode(octets), message, name)
            self.assertEqual(encode(message), octets, name)
            self.assertGreaterEqual(len(octets), 300, name)
            self.assertEqual(decode(octets + b"\x35\xff garbage"), message, f"{name}, garbage behind")

    def test_golden_captures(self) -> None:
        """Real packets say what they are known to say."""
        self.assertEqual({name: told(decode(octets)) for name, octets in captured().items()}, GOLDEN)

    def test_captures_survive(self) -> None:
        """A real packet, read and written, is the same octets again but for the padding."""
        for name, octets in captured().items():
            self.assertEqual(encode(decode(octets)), octets.ljust(300, b"\0"), name)

    def test_d02_no_dhcp_message(self) -> None:
        """D02: too short, no cookie, an unknown op, a length past the end, a broken option 52."""
        good = raw(b"\x35\x01\x01\xff")
        for name, octets in (
            ("empty", b""),
            ("cookie of BOOTP's vendor area", good[:236] + bytes(4) + good[240:]),
            ("cookie turned round", good[:236] + COOKIE[::-1] + good[240:]),
            ("op 0", b"\0" + good[1:]),
            ("op 3", b"\3" + good[1:]),
            ("op 255", b"\xff" + good[1:]),
            ("length past the end", raw(b"\x35\x01\x01\x3d\x07\x01")),
            ("length past the end of file", raw(b"\x34\x01\x01\xff", file=bytes(126) + b"\x3d\x07")),
            ("length past the end of sname", raw(b"\x34\x01\x02\xff", sname=bytes(63) + b"\x3d")),
            ("option 52 is 4", raw(b"\x34\x01\x04\xff")),
            ("option 52 is empty", raw(b"\x34\x00\xff")),
            ("option 52 twice", raw(b"\x34\x01\x01\x34\x01\x01\xff")),
        ):
            with self.assertRaises(Malformed, msg=name):
                decode(octets)
        for cut in range(240):
            with self.assertRaises(Malformed, msg=f"cut at {cut}"):
                decode(good[:cut])

    def test_a_message_that_ends_at_the_cookie(self) -> None:
        """240 octets are the shortest message; it has no options, as a missing END is tolerated."""
        self.assertEqual(decode(raw(b"")).options, {})
        self.assertIsNone(decode(raw(b"")).message_type)

    def test_d42_overload(self) -> None:
        """D42, RFC 3396 §5: options in `file`, then those in `sname`; a field that holds options is no name."""
        file = b"\x0c\x02fi\x3d\x02\x01f\xff ignored"
        sname = b"\x3d\x02sn\x34\x01\x01\xff"
        in_file: dict[int, bytes] = {61: b"\1f", 12: b"fi"}
        both: dict[int, bytes] = {61: b"\1fsn", 12: b"fi"}
        for how, options, name_left, file_left in (
            (0, {}, sname.split(b"\0")[0], file.split(b"\0")[0]),
            (1, in_file, sname.split(b"\0")[0], b""),
            (2, {61: b"sn"}, b"", file.split(b"\0")[0]),
            (3, both, b"", b""),
        ):
            message = decode(raw(bytes((53, 1, 1, 52, 1, how, 255)), sname, file))
            self.assertEqual(message.options, {53: b"\1", **options}, f"52 = {how}")
            self.assertEqual((message.sname, message.file), (name_left, file_left), f"52 = {how}")

    def test_o02_one_option_over_three_fields(self) -> None:
        """O02, RFC 3396 §5: pieces in options, file and sname are joined in this order."""
        message = decode(raw(b"\x34\x01\x03\x3d\x02ab\xff", b"\x3d\x02ef\xff", b"\x3d\x02cd\xff"))
        self.assertEqual(message.options, {61: b"abcdef"})

    def test_names_end_at_the_first_nul(self) -> None:
        """What stands behind the NUL in `file` and `sname` is nobody's."""
        message = decode(raw(b"\xff", b"here\0there", b"\0nothing"))
        self.assertEqual((message.sname, message.file), (b"here", b""))

    def test_what_does_not_fit_is_not_cut(self) -> None:
        """A name too long for its field is a mistake of ours, never a shorter name."""
        for name, message in (
            ("sname", Message(op=2, xid=1, chaddr=CHADDR, sname=b"s" * 65)),
            ("file", Message(op=2, xid=1, chaddr=CHADDR, file=b"f" * 129)),
            ("short chaddr", Message(op=2, xid=1, chaddr=CHADDR[:6])),
            ("long chaddr", Message(op=2, xid=1, chaddr=CHADDR + b"\0")),
        ):
            with self.assertRaises(ValueError, msg=name):
                encode(message)


class Accessors(SynchronousTestCase):
    """Values read out of a message."""

    def test_message_type(self) -> None:
        """D43, R12: option 53 is one octet of 1 to 8, or 10 to 13 of LEASEQUERY, or there is no type."""
        known = (*range(1, 9), *range(10, 14))
        for value in range(256):
            found = Message(op=1, xid=0, chaddr=CHADDR, options={53: bytes((value,))}).message_type
            self.assertEqual(found, MessageType(value) if value in known else None, str(value))
        for octets in (b"", b"\1\1"):
            self.assertIsNone(Message(op=1, xid=0, chaddr=CHADDR, options={53: octets}).message_type)
        self.assertIsNone(LEAST.message_type)
        self.assertEqual((LEAST.name, LEAST._replace(options={53: b"\x0a"}).name), ("message", "LEASEQUERY"))

    def test_d43_bootp_has_no_option_53(self) -> None:
        """D43: an option 53 that nobody knows is a DHCP message all the same."""
        for options, expected in (({}, True), ({12: b"a"}, True), ({53: b"\1"}, False), ({53: b""}, False)):
            self.assertEqual(LEAST._replace(options=options).is_bootp, expected, str(options))

    def test_d43_bootp_knew_no_cookie(self) -> None:
        """D43, D02, RFC 951: the cookie may be missing in a request with a vendor field of zeros, and only there."""
        head = raw(b"")[:236]
        for size in (4, 64, 65, 312):
            message = decode(head + bytes(size))
            self.assertEqual(message, decode(raw(b"")), str(size))
            self.assertTrue(message.is_bootp)
        for name, octets in (
            ("a vendor field of 3 octets", head + bytes(3)),
            ("a reply", b"\2" + head[1:] + bytes(64)),
            ("something in the vendor field", head + bytes(63) + b"\1"),
            ("another cookie", head + b"\0\0\0\1" + bytes(60)),
        ):
            with self.assertRaises(Malformed, msg=name):
                decode(octets)

    def test_d47_hwaddr(self) -> None:
        """D47: `hlen` octets of `chaddr`; none when that is 0, more than 16, or the link is InfiniBand."""
        for htype, hlen, expected in (
            (1, 6, HardwareAddress(CHADDR[:6])),
            (6, 6, HardwareAddress(CHADDR[:6])),
            (1, 1, HardwareAddress(b"\2")),
            (1, 16, HardwareAddress(CHADDR)),
            (1, 0, None),
            (1, 17, None),
            (1, 255, None),
            (32, 0, None),
            (32, 6, None),
        ):
            message = Message(op=1, xid=0, chaddr=CHADDR, htype=htype, hlen=hlen)
            self.assertEqual(message.hwaddr, expected, f"htype {htype} hlen {hlen}")

    def test_addresses_and_numbers(self) -> None:
        """An option of another size than its kind has is as good as absent."""
        options = {code: bytes(range(1, size + 1)) for code, size in enumerate(range(6), 10)}
        message = Message(op=1, xid=0, chaddr=CHADDR, options=options)
        self.assertEqual([message.number(code) for code in options], [None, 1, 0x0102, None, 0x01020304, None])
        self.assertEqual([message.address(code) for code in options], [None] * 4 + [IPv4Address("1.2.3.4"), None])
        self.assertEqual((message.number(99), message.address(99)), (None, None))


addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
names = st.binary().map(lambda octets: octets.replace(b"\0", b""))
messages = st.builds(
    Message,
    op=st.sampled_from((1, 2)),
    xid=st.integers(0, 2**32 - 1),
    chaddr=st.binary(min_size=16, max_size=16),
    htype=st.integers(0, 255),
    hlen=st.integers(0, 255),
    hops=st.integers(0, 255),
    secs=st.integers(0, 65535),
    flags=st.integers(0, 65535),
    ciaddr=addresses,
    yiaddr=addresses,
    siaddr=addresses,
    giaddr=addresses,
    sname=names.map(lambda octets: octets[:64]),
    file=names.map(lambda octets: octets[:128]),
    options=st.dictionaries(
        st.integers(1, 254).filter(lambda code: code != Option.OVERLOAD), st.binary(max_size=600), max_size=6
    ),
)


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(messages)
    def test_there_and_back(self, message: Message) -> None:
        """decode(encode(x)) is x, whatever its fields, in at least 300 octets."""
        octets = encode(message)
        self.assertEqual(decode(octets), message)
        self.assertGreaterEqual(len(octets), 300)

    @given(st.binary(max_size=300), st.binary(max_size=64), st.binary(max_size=128))
    def test_anything_is_a_value_or_malformed(self, options: bytes, sname: bytes, file: bytes) -> None:
        """Any octets in any field, with and without overload."""
        for octets in (options, raw(options, sname, file), raw(b"\x34\x01\x03" + options, sname, file)):
            self.harmless(octets)

    def test_every_prefix_of_a_capture(self) -> None:
        """A real packet cut anywhere is a value or Malformed."""
        for octets in captured().values():
            for cut in range(len(octets)):
                self.harmless(octets[:cut])

    def test_every_bit_of_a_capture(self) -> None:
        """A real packet with any one bit turned is a value or Malformed."""
        for bit in range(len(captures.IPXE_REQUEST) * 8):
            turned = bytearray(captures.IPXE_REQUEST)
            turned[bit // 8] ^= 1 << bit % 8
            self.harmless(bytes(turned))

    def harmless(self, octets: bytes) -> None:
        """The octets are no message, or one whose every reading is a value."""
        try:
            message = decode(octets)
        except Malformed:
            return
        self.assertNotIn(None, message)
        _ = message.message_type, message.hwaddr
        for code in message.options:
            _ = message.address(code), message.number(code)
        self.assertEqual(decode(encode(message)), message)
