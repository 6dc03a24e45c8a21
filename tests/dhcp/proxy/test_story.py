"""A proxy as it is put together: whole boots, what has no loader, and whatever else arrives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.policy import BootPolicy
from pixelboot.boot.settings import BootSettings, LoaderSettings
from pixelboot.dhcp.message import wire
from pixelboot.dhcp.neighbours import OtherServer
from pixelboot.dhcp.outcomes import Proxied
from tests.dhcp import captures
from tests.dhcp.lan import PROXY_PORT, SERVER, STRANGER, ProxyLan, address, arrival, discover

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
            (captures.EDK2_TAKES_ANOTHERS.replace(b"\x36\x04" + SERVER.packed, b"\x36\x04" + STRANGER.packed), None),
            (captures.EDK2_AT_4011, AT_4011),
            (captures.SNPONLY_DISCOVER, None),
            (captures.HTTP_DISCOVER, None),
        ):
            lan.arrive(datagram, come=come)
        script = b"http://10.77.0.1:8080/boot.ipxe?mac=52-54-00-77-00-01"
        loader = b"http://10.77.0.1:8080/loaders/snponly.efi"
        self.assertEqual([reply.file for reply, _ in lan.sent], [b"snponly.efi", b"snponly.efi", script, loader])
        self.assertEqual({reply.siaddr for reply, _ in lan.sent}, {SERVER})
        (other,) = (outcome for outcome in lan.outcomes if isinstance(outcome, OtherServer))
        told = "beside this proxy there is the server 10.77.0.9 on lan0, which gives addresses"
        self.assertEqual((other.severity, other.summary()), ("info", told))

    def test_no_loader(self) -> None:
        """The machine is left to others, and the log says what is missing."""
        outcome = proxy().silence(discover(1, {60: b"PXEClient", 93: b"\0\x0b"}))
        self.assertIn("DISCOVER not answered: no loader for uefi-arm64", outcome.summary())
        outcome = proxy().silence(discover(1, {60: b"PXEClient", 93: b"\0\x15"}))
        self.assertIn("no loader is known for its architecture 0x15 (ARM 32-bit U-Boot)", outcome.summary())


class Hostile(SynchronousTestCase):
    """What no client sends."""

    @given(st.binary(max_size=400), st.binary(max_size=64), st.booleans())
    def test_any_octets(self, octets: bytes, options: bytes, at_4011: bool) -> None:
        """Whatever arrives comes to one outcome and at most one reply, and no reply goes to who asks for no boot."""
        lan = proxy()
        good = wire.encode(discover(1))
        come = AT_4011 if at_4011 else arrival()
        for datagram in (octets, good[:240] + octets, good[:240] + b"\x35\x01\x03" + options, good[:243] + options):
            before = len(lan.sent)
            lan.outcomes.clear()
            lan.arrive(datagram, come=come)
            (outcome,) = (each for each in lan.outcomes if not isinstance(each, OtherServer))
            self.assertEqual(len(lan.sent) - before, isinstance(outcome, Proxied))
            self.assertTrue(outcome.summary().isprintable())
            if len(lan.sent) > before:
                self.assertTrue(b"PXEClient" in datagram or b"HTTPClient" in datagram)
        self.assertEqual(self.flushLoggedErrors(), [])
