"""Whatever arrives: everything that reads a datagram makes a value of it or says that it is malformed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pixelboot.dhcp import client
from pixelboot.dhcp.message import names, relay, vendor
from pixelboot.dhcp.message.options import Option
from pixelboot.dhcp.message.wire import Message, Op, decode, encode
from pixelboot.malformed import Malformed
from tests.dhcp.captures import IPXE_DISCOVER
from tests.dhcp.mutations import REQUESTS, mutated


def _attempt(read: Callable[[Any], object], what: object) -> None:
    try:
        read(what)
    except Malformed:
        return


def read_everything(message: Message) -> None:
    """Ask a message all that anybody asks it."""
    _ = message.message_type, message.name, message.is_bootp, message.hwaddr
    for code, value in message.options.items():
        _ = message.address(code), message.number(code), names.show(code, value)
    _attempt(relay.read, message.options.get(Option.RELAY_AGENT_INFORMATION, b""))
    _attempt(vendor.decode_classes, message.options.get(Option.VENDOR_IDENTIFYING_CLASS, b""))
    _attempt(vendor.decode_options, message.options.get(Option.VENDOR_IDENTIFYING_OPTIONS, b""))
    _attempt(client.recognise, message)


class Hostile(SynchronousTestCase):
    """Nothing but `Malformed` is raised."""

    def test_d02_every_code_with_every_length(self) -> None:
        """D02, O09, O11, O17: each option that is read, of each length from 0 to 255, in a request that is right."""
        right = decode(IPXE_DISCOVER)
        for code in set(Option) - {Option.PAD, Option.END}:
            for size in range(256):
                value = bytes(range(size)) if size % 2 else b"\xff" * size
                read_everything(right._replace(options={53: b"\1", 60: b"PXEClient", code: value}))

    def test_d02_every_code_with_every_length_on_the_wire(self) -> None:
        """D02, O03: the same as octets; one octet fewer than the length says is malformed."""
        head = IPXE_DISCOVER[:240]
        for code in set(Option) - {Option.PAD, Option.END}:
            for size in range(256):
                option = bytes((code, size)) + b"\1" * size
                if code == Option.OVERLOAD:
                    _attempt(decode, head + option)
                    continue
                self.assertEqual(decode(head + option).options, {code: option[2:]}, f"{code}, {size}")
                if size:
                    self.assertRaises(Malformed, decode, head + option[:-1])

    def test_d02_mutated_captures(self) -> None:
        """D02: 5,000 real packets with bits turned, cut, lying, swapped, overloaded; what is read can be written."""
        read = 0
        for octets in mutated(2131, 5000):
            try:
                message = decode(octets)
            except Malformed:
                continue
            read += 1
            read_everything(message)
            self.assertEqual(decode(encode(message)), message)
        self.assertGreater(read, 1000)


class Mutations(SynchronousTestCase):
    """The generator itself."""

    def test_the_same_seed_makes_the_same_packets(self) -> None:
        """And another seed others; most are new, and of every sort."""
        first = list(mutated(1, 500))
        self.assertEqual(first, list(mutated(1, 500)))
        self.assertNotEqual(first, list(mutated(2, 500)))
        self.assertGreater(len(set(first) - set(REQUESTS)), 450)
        self.assertEqual({octets[0] for octets in REQUESTS}, {Op.REQUEST})
        self.assertTrue(any(len(octets) < 240 for octets in first))
        self.assertTrue(any(len(octets) > 2048 for octets in first))
