"""Kinds of values: what a setting may say, what octets it becomes, and how these are shown again."""

from __future__ import annotations

from datetime import date
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp.message import routes, values, vendor
from pixelboot.dhcp.message.values import Kind, among, list_of, whole
from pixelboot.malformed import Malformed

KINDS: dict[str, tuple[Kind, tuple[tuple[object, str, str], ...], tuple[object, ...]]] = {
    "octet": (whole(1), ((0, "00", "0"), (255, "ff", "255")), (-1, 256)),
    "seconds": (
        whole(4, unit="s"),
        ((3600, "00000e10", "3600 s"), (0xFFFFFFFF, "ffffffff", "4294967295 s")),
        (1 << 32,),
    ),
    "signed": (
        whole(4, -(1 << 31)),
        ((-3600, "fffff1f0", "-3600"), (3600, "00000e10", "3600"), (-(1 << 31), "80000000", "-2147483648")),
        (1 << 31, -(1 << 31) - 1),
    ),
    "at least 68": (whole(2, 68), ((68, "0044", "68"), (1500, "05dc", "1500")), (67, 65536)),
    "among": (among(1, 2, 4, 8), ((8, "08", "8"),), (0, 3, 16, -1)),
    "numbers": (list_of(whole(2), 2, "them"), ((7, "0007", "7"), ([7, 9], "00070009", "7, 9")), ([], [7, -1], [[7]])),
    "address": (
        values.ADDRESS,
        (("10.0.0.1", "0a000001", "10.0.0.1"), (IPv4Address("10.0.0.2"), "0a000002", "10.0.0.2")),
        ("10.0.0", "10.0.0.01", "10.0.0.256", "::1", "host", "0.0.0.0", 167772161, ["10.0.0.1"]),
    ),
    "addresses": (
        values.ADDRESSES,
        (("10.0.0.1", "0a000001", "10.0.0.1"), (["10.0.0.2", "10.0.0.1"], "0a0000020a000001", "10.0.0.2, 10.0.0.1")),
        ([], "10.0.0.1, 10.0.0.2", [1], {}),
    ),
    "netmask": (
        values.NETMASK,
        (("255.255.254.0", "fffffe00", "255.255.254.0"), ("255.255.255.255", "ffffffff", "255.255.255.255")),
        ("255.0.255.0", "0.0.0.255", 24, "/24"),
    ),
    "text": (values.TEXT, (("/srv/root", "2f7372762f726f6f74", "/srv/root"),), ("", "a\n", "a\0", "é", ["a"], b"a")),
    "flag": (values.FLAG, ((True, "01", "true"), (False, "00", "false")), (1, 0, "true")),
    "URI": (
        values.URI,
        (("urn:a:b", "75726e3a613a62", "urn:a:b"),),
        ("", "portal", "https://a b", "https://a\0", "://"),
    ),
    "URIs": (
        values.URIS,
        (("a:b", "0003613a62", "a:b"), (["a:b", "c:d"], "0003613a620003633a64", "a:b, c:d")),
        ([], ["a:b", "c"]),
    ),
    "name": (values.NAME, (("lab.test.", "6c61622e74657374", "lab.test"),), ("", "a b", "10.0.0.1", ["lab.test"])),
    "names": (
        values.NAMES,
        (("a.b", "0161016200", "a.b"), (["a.b", "c.b"], "01610162000163c002", "a.b, c.b")),
        ([], ["a.b", ""], [7], "a..b"),
    ),
    "plain names": (values.PLAIN_NAMES, ((["a.b", "c.b"], "01610162000163016200", "a.b, c.b"),), ([],)),
    "encoded name": (values.ENCODED_NAME, (("a.b", "0161016200", "a.b"),), (["a.b"], [])),
    "SIP": (
        values.SIP,
        ((["a.b", "c.b"], "0001610162000163016200", "a.b, c.b"), ("10.0.0.1", "010a000001", "10.0.0.1")),
        ([], ["a.b", "10.0.0.1"], 1),
    ),
    "magic": (values.MAGIC, ((True, "f100747e", "f1:00:74:7e"),), (False, 1)),
    "binary": (values.BINARY, (), ("text", 1, ["10.0.0.1"])),
    "routes": (
        routes.ROUTES,
        (
            ("0.0.0.0/0 via 192.0.2.1", "00c0000201", "0.0.0.0/0 via 192.0.2.1"),
            ("default via 192.0.2.1", "00c0000201", "0.0.0.0/0 via 192.0.2.1"),
            (["10.17.0.0/16 via 0.0.0.0"], "100a1100000000", "10.17.0.0/16 via 0.0.0.0"),
        ),
        (
            [],
            "10.17.0.0/33 via 192.0.2.1",
            "10.17.0.1/16 via 192.0.2.1",
            "10.17.0.0/16 via here",
            "10.17.0.0/16",
            "10.17.0.0/16 192.0.2.1",
            ["10.17.0.0/16 via 192.0.2.1", "10.17.0.0/16 via 192.0.2.2"],
            [["10.17.0.0/16", "192.0.2.1"]],
        ),
    ),
    "host routes": (
        routes.HOST_ROUTES,
        (("10.17.0.5 via 192.0.2.1", "0a110005c0000201", "10.17.0.5 via 192.0.2.1"),),
        ("10.17.0.0/16 via 192.0.2.1", "0.0.0.0 via 192.0.2.1", "default via 192.0.2.1", 1),
    ),
    "filters": (
        routes.FILTERS,
        ((["10.17.0.0/16", "10.1.1.1"], "0a110000ffff00000a010101ffffffff", "10.17.0.0/16, 10.1.1.1/32"),),
        ("10.17.0.1/16", "ten", 1, []),
    ),
    "sub-options": (
        vendor.SUB_OPTIONS,
        (
            (
                {"2": "hex:00", "1": "hi", "3": ["10.0.0.1"]},
                "010268690201000304 0a000001",
                '1: "hi", 2: 00, 3: 0a:00:00:01',
            ),
        ),
        ({"0": "a"}, {"1": 1}, "text"),
    ),
    "classes": (
        vendor.CLASSES,
        (({"9": "hi", "7": ["a", "hex:00"]}, "000000070401610100" + "00000009030268 69", '7: "a", 00; 9: "hi"'),),
        ({}, {"9": 1}, {"-1": "a"}),
    ),
    "vendor options": (
        vendor.VENDOR_OPTIONS,
        (({"9": {"1": "hi"}}, "000000090401026869", '9: (1: "hi")'),),
        ({}, {"9": {}}, {"9": {"0": "a"}}),
    ),
    "untyped": (
        vendor.UNTYPED,
        (("hi", "6869", '"hi"'), ("é", "c3a9", "c3:a9"), (["10.0.0.1"], "0a000001", "0a:00:00:01")),
        ("", 1, True, [], {}, "a\n"),
    ),
}
"""A kind; settings with their octets and what is shown; settings that are refused."""


class Table(SynchronousTestCase):
    """What is known by heart."""

    def test_o04_o05_o13_to_o16_both_ways(self) -> None:
        """O04, O05, O13 to O16: each kind, from the settings to octets and from octets to what is shown."""
        for name, (kind, good, _) in KINDS.items():
            for said, octets, shown in good:
                self.assertEqual(kind.encode(said).hex(), octets.replace(" ", ""), f"{name}: {said!r}")
                self.assertEqual(kind.show(bytes.fromhex(octets)), shown, f"{name}: {said!r}")

    def test_what_is_refused(self) -> None:
        """A wrong type, a wrong range, nothing at all: said with the value, and with what is wrong beyond its type."""
        nothing_takes = (None, 1.5, date(2026, 1, 1), object())
        for name, (kind, _, bad) in KINDS.items():
            for said in (*bad, *nothing_takes):
                with self.assertRaises(Malformed, msg=f"{name}: {said!r}") as caught:
                    kind.encode(said)
                self.assertTrue(str(caught.exception).startswith("not "), f"{name}: {caught.exception}")

    def test_what_is_no_truth_value_is_no_number(self) -> None:
        """TOML tells true from 1, and so do we."""
        for kind in (whole(1), among(0, 1), list_of(whole(2), 2, "them")):
            self.assertRaises(Malformed, kind.encode, True)

    def test_every_length_is_shown_or_malformed(self) -> None:
        """Every kind, 0 to 255 octets of three patterns."""
        for name, (kind, _, _) in KINDS.items():
            for size in range(256):
                for value in (bytes(size), b"\xff" * size, bytes(range(size))):
                    try:
                        shown = kind.show(value)
                    except Malformed:
                        continue
                    self.assertTrue(shown.isprintable(), f"{name}: {value.hex()}")

    def test_errors_say_what_was_met(self) -> None:
        """The one wrong item of a list is named, cut and made safe to print."""
        for kind, said, expected in (
            (values.ADDRESSES, ["10.0.0.1", "ten"], "not 'ten'"),
            (values.TEXT, "a\x1b[2J", "not 'a\\x1b[2J': other characters can only be given as hex:…"),
            (values.TEXT, ["x" * 200], "not ['" + "x" * 78 + "…"),
            (routes.ROUTES, "10.0.0.0/33 via 10.0.0.1", "not '10.0.0.0/33 via 10.0.0.1': '33' is not a valid netmask"),
        ):
            with self.assertRaises(Malformed) as caught:
                kind.encode(said)
            self.assertEqual(str(caught.exception), expected)
