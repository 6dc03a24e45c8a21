"""The registry of options: names, numbers, what may be configured, and what is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message import options
from pixelboot.dhcp.message.names import LARGEST, OPTIONS, code_of, name_of, parse, show
from pixelboot.malformed import Malformed

CASES: tuple[tuple[str, object, int, str, str], ...] = (
    ("subnet-mask", "255.255.255.0", 1, "ffffff00", "255.255.255.0"),
    ("time-offset", -3600, 2, "fffff1f0", "-3600 s"),
    ("ntp-servers", ["10.0.0.1", "10.0.0.2"], 42, "0a0000010a000002", "10.0.0.1, 10.0.0.2"),
    ("interface-mtu", 9000, 26, "2328", "9000"),
    ("policy-filter", "10.0.0.0/8", 21, "0a000000ff000000", "10.0.0.0/8"),
    ("static-routes", "10.0.0.9 via 10.0.0.1", 33, "0a0000090a000001", "10.0.0.9 via 10.0.0.1"),
    ("netbios-node-type", 8, 46, "08", "8"),
    ("ip-forwarding", False, 19, "00", "false"),
    ("vendor-encapsulated-options", {"241": ["10.0.0.1"]}, 43, "f1040a000001", "241: 0a:00:00:01"),
    ("ipv6-only-preferred", 1800, 108, "00000708", "1800 s"),
    ("captive-portal", "https://example.org/api", 114, b"https://example.org/api".hex(), "https://example.org/api"),
    ("domain-search", ["lab.test"], 119, "036c6162047465737400", "lab.test"),
    ("classless-static-route", ["10.17.0.0/16 via 10.0.0.1"], 121, "100a110a000001", "10.17.0.0/16 via 10.0.0.1"),
    ("vendor-identifying-class", {"9": "a"}, 124, "00000009020161", '9: "a"'),
    ("vendor-identifying-options", {"9": {"1": "a"}}, 125, "0000000903010161", '9: (1: "a")'),
    ("tftp-server-addresses", "10.0.0.1", 150, "0a000001", "10.0.0.1"),
    ("pxelinux-magic", True, 208, "f100747e", "f1:00:74:7e"),
    ("pxelinux-configuration-file", "pxelinux.cfg/x", 209, b"pxelinux.cfg/x".hex(), "pxelinux.cfg/x"),
    ("pxelinux-path-prefix", "http://10.0.0.1/", 210, b"http://10.0.0.1/".hex(), "http://10.0.0.1/"),
    ("pxelinux-reboot-time", 30, 211, "0000001e", "30 s"),
    ("130", "hi", 130, "6869", '"hi"'),
    ("224", "hex:0102", 224, "0102", "01:02"),
    ("254", "hex:0A-0b 0C", 254, "0a0b0c", "0a:0b:0c"),
    ("42", "10.0.0.1", 42, "0a000001", "10.0.0.1"),
    ("42", "hex:0a00", 42, "0a00", "0a:00"),
    ("NTP_Servers", "10.0.0.1", 42, "0a000001", "10.0.0.1"),
    ("dns-server", "10.0.0.1", 6, "0a000001", "10.0.0.1"),
)
"""A name, a setting, its code and octets, what is shown."""

RESERVED = {
    *range(50, 62),
    *(77, 80, 81, 82, 90, 91, 92, 93, 94, 97, 118, 145),
    *range(151, 158),
    *(161, 175),
}
"""What clients, relays and the server itself write."""


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_d48_o13_to_o16_settings(self) -> None:
        """D48, O04, O05, O13 to O16: names and numbers, typed values and raw ones."""
        for name, said, code, octets, shown in CASES:
            self.assertEqual(parse(name, said), (code, bytes.fromhex(octets)), name)
            self.assertEqual(show(code, bytes.fromhex(octets)), shown, name)

    def test_all_of_rfc_2132(self) -> None:
        """Every option of RFC 2132 has a name; 62 and 63 are NetWare's, and the last is 76."""
        self.assertEqual({code for code in range(1, 77) if code not in OPTIONS}, {62, 63})

    def test_names_and_codes_are_one_to_one(self) -> None:
        """And a name says its code, unless nobody may configure it."""
        self.assertEqual(len({known.name for known in OPTIONS.values()}), len(OPTIONS))
        for code, known in OPTIONS.items():
            self.assertEqual((known.code, name_of(code)), (code, known.name))
            if not known.reserved:
                self.assertEqual((code_of(known.name), code_of(str(code))), (code, code))
        self.assertEqual(name_of(224), "224")

    def test_every_other_name_means_what_may_be_configured(self) -> None:
        """What other servers call an option, with what they would write there."""
        for name, code in (("router", 3), ("v6-only-preferred", 108), ("rfc3442-classless-static-routes", 121)):
            self.assertEqual(code_of(name), code)

    def test_o15_o16_d38_what_only_the_server_sets(self) -> None:
        """D38, O07, R01: the lease, the message itself, what a client or relay says: refused, and said why."""
        self.assertEqual({code for code, known in OPTIONS.items() if known.reserved}, RESERVED)
        for code in RESERVED:
            for name in (str(code), OPTIONS[code].name):
                with self.assertRaises(Malformed, msg=name) as caught:
                    parse(name, "hex:00")
                self.assertIn(f"option {code}, {OPTIONS[code].name}, cannot be configured: ", str(caught.exception))

    def test_no_name(self) -> None:
        """Not 0, not 255, no number in another form, no name that nobody knows; a near one is guessed at."""
        for name in ("0", "255", "256", "042", "-1", "1.0", "4 2", "", "٤٢", "0x2a", "option-42"):
            self.assertRaises(Malformed, code_of, name)
        with self.assertRaises(Malformed) as caught:
            code_of("captive-potral")
        self.assertEqual(
            str(caught.exception),
            "must be the name of an option, or its number from 1 to 254; did you mean captive-portal?",
        )

    def test_errors_say_what_is_allowed(self) -> None:
        """O05 and others: what it must be, what it is, and what is wrong with it."""
        for name, said, expected in (
            ("ntp-servers", "ten", "must be an IPv4 address like 10.0.0.1 or a list of them, not 'ten'"),
            ("interface-mtu", 67, "must be a whole number from 68 to 65535, not 67"),
            ("netbios-node-type", 3, "must be 1, 2, 4 or 8, not 3"),
            (
                "boot-size",
                "hex:0",
                "must be a whole number from 0 to 65535, not 'hex:0': behind hex: stand pairs of hex",
            ),
            ("root-path", "x" * (LARGEST + 1), "must fit into a datagram: 1025 octets are more than 1024"),
            ("224", "hex:", "must be a text, octets as "),
        ):
            with self.assertRaises(Malformed, msg=name) as caught:
                parse(name, said)
            self.assertIn(expected, str(caught.exception))

    def test_d38_times_are_shown(self) -> None:
        """D38: the one number that is no number of seconds; and the other options of the server itself."""
        for code, octets, shown in (
            (51, "00000e10", "3600 s"),
            (51, "ffffffff", "for ever"),
            (53, "05", "ACK"),
            (53, "63", "99"),
            (55, "0103e0", "subnet-mask, routers, 224"),
            (82, "0104000a0102", "1: 00:0a:01:02"),
            (93, "00070009", "7, 9"),
            (61, "0102aa", "01:02:aa"),
            (53, "0505", "05:05"),
            (1, "ff", "ff"),
            (119, "c000", "c0:00"),
            (12, "", "(empty)"),
            (12, "1b5b326a", "\\x1b[2j"),
            (15, "6c616200", "lab"),
        ):
            self.assertEqual(show(code, bytes.fromhex(octets)), shown, f"{code}: {octets}")

    def test_every_code_with_every_length_is_shown(self) -> None:
        """Whatever a client sends: printable, on one line, and soon."""
        for code in (0, 224, 255, *OPTIONS):
            for size in range(256):
                value = bytes(range(size)) if size % 2 else b"\xff" * size
                self.assertTrue(show(code, value).isprintable(), f"{code}: {value.hex()}")


class Properties(SynchronousTestCase):
    """What holds for everything."""

    @given(st.integers(1, 254).filter(lambda code: code not in RESERVED), st.binary(min_size=1, max_size=LARGEST))
    def test_o01_hex_there_and_back(self, code: int, value: bytes) -> None:
        """O01, D48: any octets for any option, in as many instances as they need, and back."""
        parsed = parse(str(code), f"hex:{value.hex()}")
        self.assertEqual(parsed, (code, value))
        self.assertEqual(options.decode(options.encode(dict([parsed]))), {code: value})

    @given(
        st.sampled_from([*map(str, range(256)), *(known.name for known in OPTIONS.values())]) | st.text(max_size=9),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["10.0.0.1", "a.b"]),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["1", "9", "254", "x"]) | st.text(), inner),
            max_leaves=6,
        ),
    )
    def test_any_setting_is_octets_or_malformed(self, name: str, said: object) -> None:
        """Anything that TOML can say; and what is taken can be shown."""
        try:
            code, octets = parse(name, said)
        except Malformed as error:
            self.assertTrue(str(error).isprintable())
            return
        self.assertTrue(0 < code < 255 and octets)
        self.assertTrue(show(code, octets).isprintable())
