"""Tests of `pixelboot.dhcp.network.hosts`."""

from __future__ import annotations

from pixelboot.dhcp.client import recognise
from pixelboot.dhcp.message.relay import RelayInformation
from pixelboot.dhcp.network.hosts import Hosts
from tests.dhcp.network.case import HWADDR, NetworkCase, request
from tests.dhcp.settings.case import read

OTHER = bytes.fromhex("02aa00000002")
BOARD = bytes.fromhex("0102030405060708090a0b0c0d0e0f10")
TURNED = bytes.fromhex("0403020106050807090a0b0c0d0e0f10")

HOSTS = """
[[host]]
name = "by-mac"
mac = "02:aa:00:00:00:01"
[[host]]
name = "by-all"
mac = "02:aa:00:00:00:03"
client_id = "01:02:aa"
uuid = "01020304-0506-0708-090a-0b0c0d0e0f10"
circuit = "port 1"
[[host]]
name = "by-circuit"
circuit = "port 2"
[[host]]
name = "by-client-id"
client_id = "ff:00:01"
[[host]]
name = "by-uuid"
uuid = "00000000-0000-0000-0000-000000000001"
"""


class HostsTests(NetworkCase):
    """Which host sent a request."""

    def name(self, hosts: Hosts, hwaddr: bytes, options: dict[int, bytes], circuit: bytes | None = None) -> str:
        """The name of the host; empty for a stranger."""
        message = request(hwaddr, options=options)
        relay = None if circuit is None else RelayInformation(circuit)
        known = hosts.find(message, recognise(message), relay)
        return "" if known is None else known.host.name

    def test_by_any_key(self) -> None:
        """R11: link address, client identifier, UUID in either order of octets, circuit; nothing else will do."""
        hosts = Hosts(read(HOSTS).host)
        cases: tuple[tuple[bytes, dict[int, bytes], bytes | None, str], ...] = (
            (HWADDR, {}, None, "by-mac"),
            (OTHER, {}, None, ""),
            (OTHER, {61: b"\1\2\xaa"}, None, "by-all"),
            (OTHER, {61: b"\1\2\xaa\0"}, None, ""),
            (OTHER, {61: b"\1" + HWADDR}, None, ""),
            (OTHER, {61: b"\xff\0\1"}, None, "by-client-id"),
            (OTHER, {97: b"\0" + BOARD}, None, "by-all"),
            (OTHER, {97: b"\0" + TURNED}, None, "by-all"),
            (OTHER, {97: b"\1" + BOARD}, None, ""),
            (OTHER, {97: b"\0" + bytes(15) + b"\1"}, None, "by-uuid"),
            (OTHER, {97: b"\0" + bytes(16)}, None, ""),
            (OTHER, {}, b"port 1", "by-all"),
            (OTHER, {}, b"port 2", "by-circuit"),
            (OTHER, {}, b"", ""),
            (OTHER, {}, b"port 3", ""),
            (OTHER, {82: b"\1\6port 2"}, None, ""),
        )
        for hwaddr, options, circuit, name in cases:
            self.assertEqual(self.name(hosts, hwaddr, options, circuit), name, f"{options} {circuit!r}")

    def test_the_first_wins(self) -> None:
        """Where a request fits several hosts it is the one that stands first, by whichever key."""
        hosts = Hosts(read(HOSTS).host)
        for hwaddr, options, circuit, name in (
            (HWADDR, {61: b"\1\2\xaa"}, b"port 2", "by-mac"),
            (OTHER, {61: b"\xff\0\1"}, b"port 2", "by-circuit"),
            (OTHER, {61: b"\xff\0\1", 97: b"\0" + BOARD}, None, "by-all"),
            (OTHER, {97: b"\0" + bytes(15) + b"\1"}, b"port 1", "by-all"),
        ):
            self.assertEqual(self.name(hosts, hwaddr, options, circuit), name)

    def test_nobody(self) -> None:
        """Without hosts all are strangers."""
        self.assertEqual(self.name(Hosts(()), HWADDR, {61: b"\1\2"}, b"port 1"), "")

    def test_one_key_of_a_lease(self) -> None:
        """The lease of a host has one key, by whichever of its own it is told: the first that it has."""
        hosts = Hosts(read(HOSTS).host)
        found = set()
        for hwaddr, options in (
            (bytes.fromhex("02aa00000003"), {}),
            (OTHER, {61: b"\1\2\xaa"}),
            (OTHER, {97: b"\0" + TURNED}),
        ):
            message = request(hwaddr, options=options)
            known = hosts.find(message, recognise(message), None)
            assert known is not None
            found.add(known.identity)
        self.assertEqual(found, {"hw:01:02:aa:00:00:00:03"})
        for options, circuit, identity in (
            ({61: b"\xff\0\1"}, b"", "id:ff0001"),
            ({97: b"\0" + bytes(15) + b"\1"}, b"", "uuid:00000000000000000000000000000001"),
            ({}, b"port 2", "circuit:706f72742032"),
        ):
            message = request(OTHER, options=options)
            known = hosts.find(message, recognise(message), RelayInformation(circuit))
            assert known is not None, identity
            self.assertEqual(known.identity, identity)

    def test_by_its_link_address_as_a_stranger(self) -> None:
        """A machine keeps its lease's key when it is given a host entry with its address."""
        message = request(HWADDR)
        known = Hosts(read(HOSTS).host).find(message, recognise(message), None)
        assert known is not None
        self.assertEqual(known.identity, recognise(message).identity)
