"""Hosts: what is taken, and what is refused by which name."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pixelboot.boot.quirks import PROFILES
from pixelboot.config import build, dump
from pixelboot.dhcp.settings.host import HostSettings
from pixelboot.hwaddr import HardwareAddress
from tests.dhcp.settings.case import GOOD, HOST, Refusal, SettingsCase, read

BOARD = "4c4c4544-0035-5a10-8051-b7c04f563358"
WHOLE = GOOD + (
    f'[[host]]\nname = "node1"\nmac = "02:aa:00:00:00:01"\nclient_id = "01:02:aa"\nuuid = "{BOARD}"\n'
    'circuit = "ge-0/0/1"\naddress = "10.77.0.50"\nboot = "debian"\nloader = "grub/shimx64.efi"\n'
    f'firmware = "{next(iter(PROFILES))}"\noptions = {{root-path = "/srv"}}\nignore = true\n'
)

REFUSED: tuple[Refusal, ...] = (
    ("no key", '[[host]]\nname = "node1"', "host[1].name", "mac, client_id, uuid, circuit"),
    ("no key, and no name", '[[host]]\nmac = ""', "host[1].name", "mac, client_id, uuid, circuit"),
    ("a name with a space", HOST + 'name = "node 1"', "host[1].name", "letters, digits and dashes"),
    ("half a mac", '[[host]]\nmac = "02:aa"', "host[1].mac", "02:aa:00:00:00:01"),
    ("a mac of letters", '[[host]]\nmac = "02:aa:00:00:00:0g"', "host[1].mac", "02:aa:00:00:00:01"),
    ("a client identifier of one octet", '[[host]]\nclient_id = "01"', "host[1].client_id", "2 to 255 octets"),
    ("a client identifier in words", '[[host]]\nclient_id = "node1"', "host[1].client_id", "hexadecimal"),
    ("half a UUID", '[[host]]\nuuid = "4c4c4544"', "host[1].uuid", "a UUID"),
    ("a circuit of no hex", '[[host]]\ncircuit = "hex:port"', "host[1].circuit", "hex:0a0b"),
    ("a long circuit", f'[[host]]\ncircuit = "{"x" * 256}"', "host[1].circuit", "255 octets"),
    ("an address of IPv6", HOST + 'address = "::1"', "host[1].address", "an IPv4 address"),
    ("a loader above its root", HOST + 'loader = "../x"', "host[1].loader", "without . and .."),
    ("a loader by another way", HOST + 'loader = "nfs://10.0.0.1/x"', "host[1].loader", "http://"),
    ("a firmware that there is not", HOST + 'firmware = "toaster"', "host[1].firmware", f'"{next(iter(PROFILES))}"'),
    ("an option", HOST + "options = {mtu = 1}", "host[1].options.mtu", ""),
    ("ignored perhaps", HOST + 'ignore = "perhaps"', "host[1].ignore", "true or false"),
)

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
HOSTS = st.builds(
    HostSettings,
    name=st.sampled_from(["", "node1", "node1.lab.test"]),
    mac=st.binary(min_size=6, max_size=16).map(HardwareAddress),
    client_id=st.none() | st.binary(min_size=2, max_size=255),
    uuid=st.none() | st.uuids(),
    circuit=st.none() | st.binary(min_size=1, max_size=255) | TEXTS.map(lambda t: (t or "x").encode()),
    address=st.none() | st.integers(0, 2**32 - 1).map(IPv4Address),
    boot=TEXTS,
    loader=st.sampled_from(["", "snponly.efi", "http://10.0.0.1/x.efi"]),
    firmware=st.sampled_from(["", *PROFILES]),
    options=st.just(
        build(HostSettings, {"mac": "02:aa:00:00:00:01", "options": {"mtu": 1400, "224": "hex:00"}}).options
    ),
    ignore=st.booleans(),
)


class HostTests(SettingsCase):
    """One host."""

    def test_a_whole_host(self) -> None:
        """Every key."""
        (host,) = read(WHOLE).host
        self.assertEqual((host.name, host.mac), ("node1", HardwareAddress.parse("02:aa:00:00:00:01")))
        self.assertEqual((host.client_id, host.uuid, host.circuit), (b"\1\2\xaa", UUID(BOARD), b"ge-0/0/1"))
        self.assertEqual((host.address, host.boot), (IPv4Address("10.77.0.50"), "debian"))
        self.assertEqual((host.loader, host.ignore), ("grub/shimx64.efi", True))
        self.check_written_and_read(WHOLE)

    def test_one_key_will_do(self) -> None:
        """Whichever it is."""
        for line in ('mac = "02:aa:00:00:00:01"', 'client_id = "0102"', f'uuid = "{BOARD}"', 'circuit = "hex:00"'):
            self.assertEqual(len(read(f"[[host]]\n{line}").host), 1, line)
            self.check_written_and_read(f"[[host]]\n{line}")

    def test_refused(self) -> None:
        """An error with key, value, and what is allowed."""
        self.check_refused(REFUSED)

    @given(HOSTS)
    def test_round_trip(self, host: HostSettings) -> None:
        """What is printed is read back to the same value, whatever octets stand in it."""
        self.assertEqual(build(HostSettings, tomllib.loads(dump(host))), host)
