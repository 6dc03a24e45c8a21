"""Who asks: identity, firmware, UUID and name out of the options."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.dhcp import client
from pixelboot.dhcp.message import wire
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.lease import IDENTITY_LIMIT
from pixelboot.malformed import Malformed
from tests.dhcp import captures
from tests.dhcp.lan import discover

UUID = bytes.fromhex("33221100554477668899aabbccddee01")

FIRMWARE: tuple[tuple[str, dict[int, bytes], Firmware], ...] = (
    ("nothing", {}, Firmware.OTHER),
    ("raw user class, D49", {77: b"iPXE"}, Firmware.IPXE),
    ("user class of RFC 3004, D49", {77: b"\x04iPXE"}, Firmware.IPXE),
    ("the second of two user classes", {77: b"\x03abc\x04iPXE"}, Firmware.IPXE),
    ("behind an empty class", {77: b"\x00\x04iPXE"}, Firmware.IPXE),
    ("iPXE is told before PXEClient", {60: b"PXEClient:Arch:00000:UNDI:002001", 77: b"iPXE"}, Firmware.IPXE),
    ("no user class, but 175", {60: b"PXEClient", 175: b""}, Firmware.IPXE),
    ("another user class", {77: b"\x05gPXE!", 60: b"PXEClient"}, Firmware.PXE),
    ("iPXE inside another name", {77: b"\x06myiPXE"}, Firmware.OTHER),
    ("in other letters", {77: b"ipxe"}, Firmware.OTHER),
    ("a class that runs past the end", {77: b"\x09iPXE"}, Firmware.OTHER),
    ("an ill-formed tail", {77: b"\x04iPXE\x50a"}, Firmware.IPXE),
    ("a ROM", {60: b"PXEClient:Arch:00007:UNDI:003000"}, Firmware.PXE),
    ("PXEClient somewhere in it", {60: b"not PXEClient"}, Firmware.OTHER),
    ("UEFI HTTP boot", {60: b"HTTPClient:Arch:00016:UNDI:003000"}, Firmware.HTTP),
    ("the vendor class alone", {60: b"HTTPClient"}, Firmware.HTTP),
    ("iPXE that UEFI HTTP boot loaded", {60: b"HTTPClient:Arch:00016", 77: b"iPXE"}, Firmware.IPXE),
    ("a lower-case vendor class", {60: b"udhcp 1.35.0"}, Firmware.OTHER),
)

anything = st.fixed_dictionaries(
    {},
    optional={
        code: st.binary(max_size=40) | st.binary(min_size=250, max_size=520) for code in (12, 60, 61, 77, 93, 97)
    },
)


class Captured(SynchronousTestCase):
    """Real machines."""

    def test_who_they_are(self) -> None:
        """One machine has one identity, whatever runs on it and whether it sends option 61 (D36)."""
        mac = HardwareAddress.parse("52:54:00:77:00:01")
        ipxe = Machine("hw:01:52:54:00:77:00:01", mac, Firmware.IPXE, UUID, Architecture.BIOS, 0)
        for octets in (captures.IPXE_DISCOVER, captures.IPXE_REQUEST):
            self.assertEqual(client.recognise(wire.decode(octets)), ipxe)
        edk2 = client.recognise(wire.decode(captures.EDK2_REQUEST))
        self.assertEqual(edk2, Machine(ipxe.identity, mac, Firmware.PXE, UUID, Architecture.UEFI_X64, 7))
        udhcpc = client.recognise(wire.decode(captures.UDHCPC_DISCOVER))
        self.assertEqual((udhcpc.firmware, udhcpc.uuid), (Firmware.OTHER, None))

    def test_names(self) -> None:
        """Option 12."""
        self.assertEqual(client.host_name(wire.decode(captures.UDHCPC_DISCOVER)), "labclient")
        self.assertEqual(client.host_name(wire.decode(captures.IPXE_DISCOVER)), "")


class Identity(SynchronousTestCase):
    """The key of a lease."""

    def test_d36_the_link_address_counts(self) -> None:
        """D36, the departure: option 61 comes and goes in the stages of a boot, the link address stays."""
        with_61 = discover(1, {61: b"\x01another"})
        self.assertEqual(client.identity(with_61), client.identity(discover(1)))
        self.assertNotEqual(client.identity(with_61), client.identity(discover(2, {61: b"\x01another"})))

    def test_link_types_are_kept_apart(self) -> None:
        """The same octets on another kind of link, or fewer of them, are another machine."""
        identities = {
            client.identity(discover(1, htype=htype, hlen=hlen)) for htype, hlen in ((1, 6), (6, 6), (1, 5), (1, 16))
        }
        self.assertEqual(len(identities), 4)

    def test_d47_d51_without_a_link_address(self) -> None:
        """D47, D51: option 61 counts, octet by octet, also when it looks like an RFC 4361 identifier."""
        duid = b"\xff\x12\x34\x56\x78\x00\x04" + UUID
        for fields in ({"htype": 32, "hlen": 0}, {"htype": 32, "hlen": 16}, {"hlen": 0}, {"hlen": 17}, {"hlen": 255}):
            machine = client.recognise(discover(1, {61: duid}, **fields))
            self.assertEqual((machine.identity, machine.hwaddr), (f"id:{duid.hex()}", None), str(fields))
            self.assertEqual(str(machine), machine.identity)
            other = client.recognise(discover(1, {61: duid[:-1] + b"\0"}, **fields))
            self.assertNotEqual(machine.identity, other.identity)

    def test_o02_the_longest_identifier(self) -> None:
        """An identifier of 255 octets has an identity that every store takes."""
        machine = client.recognise(discover(1, {61: bytes(range(255))}, hlen=0))
        self.assertLessEqual(len(machine.identity), IDENTITY_LIMIT)

    def test_nobody(self) -> None:
        """Neither a link address nor a usable option 61 (RFC 2132 §9.14: two octets or more)."""
        for options in ({}, {61: b""}, {61: b"\1"}, {61: bytes(256)}):
            with self.assertRaises(Malformed, msg=str(options)):
                client.recognise(discover(1, options, hlen=0))


class Options(SynchronousTestCase):
    """The other things a machine says about itself."""

    def test_d49_firmware(self) -> None:
        """D49 and its neighbours."""
        for name, options, expected in FIRMWARE:
            self.assertEqual(client.firmware(discover(1, options)), expected, name)

    def test_o09_o12_architecture(self) -> None:
        """O09, O12: the first code that there are loaders for; an ill-formed option 93 gives way to option 60."""
        x64, arm64, bios = Architecture.UEFI_X64, Architecture.UEFI_ARM64, Architecture.BIOS
        pxe, http = b"PXEClient:Arch:00011:UNDI:003000", b"HTTPClient:Arch:00019:UNDI:003000"
        for name, options, expected in (
            ("7", {60: pxe, 93: b"\0\7"}, (x64, 7)),
            ("O12: 9 is the same", {60: pxe, 93: b"\0\x09"}, (x64, 9)),
            ("by HTTP", {60: http, 93: b"\0\x10"}, (x64, 16)),
            ("two of them", {60: pxe, 93: b"\0\x0b\0\7"}, (arm64, 11)),
            ("the second is known", {60: pxe, 93: b"\0\x02\0\7"}, (x64, 7)),
            ("none is known", {60: pxe, 93: b"\0\x02\xff\xff"}, (None, 2)),
            ("not registered", {60: pxe, 93: b"\1\7"}, (None, 0x107)),
            ("O09: no octet", {60: pxe, 93: b""}, (arm64, 11)),
            ("O09: one octet", {60: pxe, 93: b"\7"}, (arm64, 11)),
            ("O09: three octets", {60: http, 93: b"\0\7\0"}, (arm64, 19)),
            ("no 93", {60: http}, (arm64, 19)),
            ("60 cut", {60: b"PXEClient:Arch:0001"}, (bios, None)),
            ("60 with a sign", {60: b"PXEClient:Arch:-0001"}, (bios, None)),
            ("an old ROM", {60: b"PXEClient"}, (bios, None)),
            ("HTTP boot that does not say", {60: b"HTTPClient"}, (None, None)),
            ("iPXE that does not say", {77: b"iPXE"}, (None, None)),
            ("an operating system", {}, (None, None)),
        ):
            machine = client.recognise(discover(1, options))
            self.assertEqual((machine.architecture, machine.code), expected, name)

    def test_o11_uuid(self) -> None:
        """O11: type 0 and 16 octets that mean something, or no UUID, and the machine is served all the same."""
        for name, value, expected in (
            ("real", b"\0" + UUID, UUID),
            ("all zero", bytes(17), None),
            ("all ones", b"\0" + b"\xff" * 16, None),
            ("another type", b"\1" + UUID, None),
            ("too short", b"\0" + UUID[:15], None),
            ("too long", b"\0" + UUID + b"\0", None),
            ("empty", b"", None),
        ):
            self.assertEqual(client.recognise(discover(1, {97: value})).uuid, expected, name)
        self.assertIsNone(client.recognise(discover(1)).uuid)

    def test_host_name(self) -> None:
        """Text of any kind, without the NUL that some clients count, and no longer than 64 characters."""
        for value, expected in (
            (b"node1", "node1"),
            (b"node1\0", "node1"),
            (b"\0\0", ""),
            ("knöt".encode(), "knöt"),
            (b"\xff", "�"),
            (b"n" * 300, "n" * 64),
        ):
            self.assertEqual(client.host_name(discover(1, {12: value})), expected, str(value))

    @given(anything, st.integers(0, 255), st.integers(0, 255))
    def test_anything_is_a_machine_or_malformed(self, options: dict[int, bytes], htype: int, hlen: int) -> None:
        """Whatever the options hold, the sender is known under a short printable identity, or Malformed."""
        request = discover(1, options, htype=htype, hlen=hlen)
        self.assertLessEqual(len(client.host_name(request)), 64)
        try:
            machine = client.recognise(request)
        except Malformed:
            self.assertIsNone(request.hwaddr)
            return
        self.assertTrue(machine.identity.isascii() and machine.identity.isprintable())
        self.assertLessEqual(len(machine.identity), IDENTITY_LIMIT)
