"""The proxy's shell: whatever arrives, and what it remembers of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.policy import BootPolicy
from pixelboot.boot.settings import BootSettings, LoaderSettings
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.message.wire import MessageType
from pixelboot.dhcp.outcomes import Proxied
from pixelboot.hwaddr import HardwareAddress
from tests.dhcp import captures
from tests.dhcp.lan import NOWHERE, PROXY_PORT, SERVER, ProxyLan, address, arrival, discover, say

MAC = HardwareAddress.parse("52:54:00:77:00:01")
HAS = address(130)
AT_4011 = arrival(source=HAS, port=PROXY_PORT)


async def held(name: str) -> bool:
    """x64 and BIOS have a loader, as with Debian 12's package."""
    return name in ("snponly.efi", "undionly.kpxe")


def proxy() -> ProxyLan:
    """A proxy with the settings that there are by default."""
    return ProxyLan(BootPolicy(BootSettings(loaders=LoaderSettings()), 8080, True, held))


class Boots(SynchronousTestCase):
    """What is told to real firmware with the settings that there are by default."""

    def test_a_whole_boot(self) -> None:
        """EDK2, then the iPXE that it loaded: a loader, then a script, and never the loader again."""
        lan = proxy()
        for datagram, come in (
            (captures.EDK2_DISCOVER, None),
            (captures.EDK2_TAKES_ANOTHERS, None),
            (captures.EDK2_AT_4011, AT_4011),
            (captures.SNPONLY_DISCOVER, None),
            (captures.HTTP_DISCOVER, None),
        ):
            lan.arrive(datagram, come=come)
        script = b"http://10.77.0.1:8080/boot.ipxe?mac=52-54-00-77-00-01"
        loader = b"http://10.77.0.1:8080/loaders/snponly.efi"
        self.assertEqual([reply.file for reply, _ in lan.sent], [b"snponly.efi", b"snponly.efi", script, loader])
        self.assertEqual({reply.siaddr for reply, _ in lan.sent}, {SERVER})

    def test_no_loader(self) -> None:
        """The machine is left to others, and the log says what is missing."""
        outcome = proxy().silence(discover(1, {60: b"PXEClient", 93: b"\0\x0b"}))
        self.assertIn("DISCOVER not answered: no loader for uefi-arm64", outcome.summary())
        outcome = proxy().silence(discover(1, {60: b"PXEClient", 93: b"\0\x15"}))
        self.assertIn("no loader is known for its architecture 0x15 (ARM 32-bit U-Boot)", outcome.summary())


class Memory(SynchronousTestCase):
    """Who is at which address, for the log of the other protocols."""

    def test_from_the_request_to_another_server(self) -> None:
        """The address that firmware is about to take."""
        lan = proxy()
        lan.arrive(captures.EDK2_TAKES_ANOTHERS)
        self.assertEqual(lan.memory.holder(HAS), MAC)

    def test_from_4011(self) -> None:
        """The address that it comes from, and says that it has."""
        lan = proxy()
        lan.arrive(captures.EDK2_AT_4011, come=AT_4011)
        self.assertEqual(lan.memory.holder(HAS), MAC)

    def test_not_from_others(self) -> None:
        """Neither of who does not boot, nor what does not agree, nor before it has an address."""
        lan = proxy()
        lan.arrive(say(MessageType.REQUEST, 1, {50: HAS.packed}))
        lan.arrive(say(MessageType.REQUEST, 1, {60: b"PXEClient"}, ciaddr=address(7)), come=AT_4011)
        lan.arrive(say(MessageType.REQUEST, 1, {60: b"PXEClient"}, ciaddr=NOWHERE), come=AT_4011)
        lan.arrive(discover(1, {60: b"PXEClient", 50: HAS.packed}))
        for last in (7, 130):
            self.assertIsNone(lan.memory.holder(address(last)))
        self.assertIsNone(lan.memory.holder(NOWHERE))


class Hostile(SynchronousTestCase):
    """What no client sends."""

    @given(st.binary(max_size=400), st.binary(max_size=64), st.booleans())
    def test_any_octets(self, octets: bytes, options: bytes, at_4011: bool) -> None:
        """Whatever arrives comes to one outcome and at most one reply, and no reply goes to who asks for no boot."""
        lan = proxy()
        good = wire.encode(discover(1))
        come = AT_4011 if at_4011 else arrival()
        for datagram in (octets, good[:240] + octets, good[:240] + b"\x35\x01\x03" + options, good[:243] + options):
            before = len(lan.outcomes), len(lan.sent)
            lan.arrive(datagram, come=come)
            self.assertEqual(len(lan.outcomes), before[0] + 1)
            self.assertEqual(len(lan.sent) - before[1], isinstance(lan.outcomes[-1], Proxied))
            self.assertTrue(lan.outcomes[-1].summary().isprintable())
            if len(lan.sent) > before[1]:
                self.assertTrue(b"PXEClient" in datagram or b"HTTPClient" in datagram)
        self.assertEqual(self.flushLoggedErrors(), [])
