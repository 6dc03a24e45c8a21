"""Tests of `pixelboot.boot.policy`."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address
from urllib.parse import parse_qs, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.architecture import Architecture
from pixelboot.boot.hosts import HostBoot, Hosts
from pixelboot.boot.machine import Firmware, Machine
from pixelboot.boot.policy import Assignment, BootPolicy, Policy, script_url
from pixelboot.boot.pxe import PxeSettings
from pixelboot.boot.settings import BootSettings, LoaderSettings
from pixelboot.hwaddr import HardwareAddress

SERVER = IPv4Address("10.77.0.1")
ELSEWHERE = IPv4Address("192.0.2.9")
CARD = HardwareAddress.parse("02:aa:00:00:00:01")
SCRIPT = "http://10.77.0.1:8080/boot.ipxe?mac=02-aa-00-00-00-01"

DEFAULTS = {
    Architecture.BIOS: "undionly.kpxe",
    Architecture.UEFI_IA32: "i386/snponly.efi",
    Architecture.UEFI_X64: "snponly.efi",
    Architecture.UEFI_ARM32: "arm32/snponly.efi",
    Architecture.UEFI_ARM64: "arm64/snponly.efi",
    Architecture.UEFI_RISCV32: "riscv32/snponly.efi",
    Architecture.UEFI_RISCV64: "riscv64/snponly.efi",
    Architecture.UEFI_LOONG64: "loong64/snponly.efi",
}


class Tree:
    """What loaders there are, and what was asked for."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[str] = []

    async def holds(self, name: str) -> bool:
        """Whether there is a loader `name`."""
        self.asked.append(name)
        return name in self.names


def machine(firmware: Firmware, architecture: Architecture | None = Architecture.UEFI_X64, code: int = 7) -> Machine:
    """A machine with `CARD`."""
    return Machine("hw:1", CARD, firmware, None, architecture, code)


def settings(tftp_server: IPv4Address | None = None, **loaders: str) -> BootSettings:
    """``[boot]`` with these loaders."""
    return BootSettings(loaders=LoaderSettings(**loaders), tftp_server=tftp_server, pxe=PxeSettings())


class Policies(SynchronousTestCase):
    """Who boots what."""

    def assigned(self, policy: Policy, asks: Machine) -> Assignment:
        """What the policy says at once."""
        return self.successResultOf(Deferred.fromCoroutine(policy.assign(asks, SERVER)))

    def test_table(self) -> None:
        """Firmware by architecture by what is served: a boot file that can be fetched, or a reason, never both."""
        everything = tuple(DEFAULTS.values())
        for firmware, architecture, http, tftp, there in itertools.product(
            Firmware, (*Architecture, None), (8080, None), (True, False), (True, False)
        ):
            tree = Tree(*everything) if there else Tree()
            asks = machine(firmware, architecture, 7 if architecture else 0x15)
            given = self.assigned(BootPolicy(settings(), http, tftp, tree.holds), asks)
            case = f"{firmware} {architecture} http={http} tftp={tftp} there={there}"
            expected = None
            if firmware is Firmware.IPXE and http:
                expected = SCRIPT
            elif firmware is Firmware.PXE and architecture and tftp and there:
                expected = DEFAULTS[architecture]
            elif firmware is Firmware.HTTP and architecture and http and there:
                expected = f"http://10.77.0.1:8080/loaders/{DEFAULTS[architecture]}"
            self.assertEqual((given.boot_file, given.next_server), (expected, None), case)
            asked_for_nothing = firmware is Firmware.OTHER
            self.assertEqual(bool(given.obstacle), expected is None and not asked_for_nothing, case)

    def test_obstacles(self) -> None:
        """In the words of the log."""
        pxe, http, tree = machine(Firmware.PXE), machine(Firmware.HTTP), Tree()
        for name, policy, asks, words in (
            ("no HTTP", BootPolicy(settings(), None, True, tree.holds), machine(Firmware.IPXE), "no HTTP service"),
            ("no TFTP", BootPolicy(settings(), 80, False, tree.holds), pxe, "TFTP is off"),
            ("HTTP off", BootPolicy(settings(), None, True, tree.holds), http, "HTTP is off"),
            (
                "no file",
                BootPolicy(settings(), 80, True, tree.holds),
                pxe,
                "no loader for uefi-x64: there is no file snponly.efi",
            ),
            (
                "no file, and how to get it",
                BootPolicy(settings(), 80, True, tree.holds, remedy="fetch {}".format),
                http,
                "no loader for uefi-x64: there is no file snponly.efi; fetch snponly.efi",
            ),
            (
                "none wanted",
                BootPolicy(settings(uefi_x64=""), 80, True, tree.holds),
                pxe,
                "no loader for uefi-x64: the settings name none",
            ),
            (
                "none wanted from elsewhere",
                BootPolicy(settings(ELSEWHERE, uefi_x64=""), 80, True, tree.holds),
                pxe,
                "no loader for uefi-x64: the settings name none",
            ),
            (
                "no loader exists",
                BootPolicy(settings(), 80, True, tree.holds),
                machine(Firmware.PXE, None, 0x15),
                "no loader is known for its architecture 0x15 (ARM 32-bit U-Boot)",
            ),
            (
                "not registered",
                BootPolicy(settings(), 80, True, tree.holds),
                machine(Firmware.HTTP, None, 0x1234),
                "no loader is known for its architecture 0x1234",
            ),
            (
                "not told",
                BootPolicy(settings(), 80, True, tree.holds),
                Machine("hw:1", CARD, Firmware.HTTP),
                "it does not say what kind of machine it is",
            ),
        ):
            given = self.assigned(policy, asks)
            self.assertIsNone(given.boot_file, name)
            self.assertIn(words, given.obstacle, name)

    def test_loaders_elsewhere(self) -> None:
        """A TFTP server or URL of the settings: what it holds is not asked, nor whether TFTP or HTTP is served here."""
        tree = Tree()
        for name, chosen, asks, expected in (
            ("TFTP", settings(ELSEWHERE), machine(Firmware.PXE), Assignment("snponly.efi", ELSEWHERE)),
            (
                "TFTP by URL",
                settings(uefi_x64="tftp://192.0.2.9/a/b.efi"),
                machine(Firmware.PXE),
                Assignment("a/b.efi", ELSEWHERE),
            ),
            (
                "a URL before the server",
                settings(SERVER, uefi_x64="tftp://192.0.2.9/b.efi"),
                machine(Firmware.PXE),
                Assignment("b.efi", ELSEWHERE),
            ),
            (
                "HTTP",
                settings(uefi_http_x64="https://h.test/b.efi"),
                machine(Firmware.HTTP),
                Assignment("https://h.test/b.efi"),
            ),
            ("iPXE", settings(ipxe="tftp://h.test/x"), machine(Firmware.IPXE), Assignment("tftp://h.test/x")),
        ):
            self.assertEqual(self.assigned(BootPolicy(chosen, None, False, tree.holds), asks), expected, name)
        self.assertEqual(tree.asked, [])

    def test_http_boot_has_the_loader_of_pxe(self) -> None:
        """Unless it has its own; what lies on another TFTP server has no URL here."""
        tree = Tree("a.efi", "b.efi")
        for loaders, path in (
            ({"uefi_x64": "a.efi"}, "a.efi"),
            ({"uefi_x64": "a.efi", "uefi_http_x64": "b.efi"}, "b.efi"),
            ({"uefi_x64": "", "uefi_http_x64": "b.efi"}, "b.efi"),
            ({"uefi_x64": ""}, None),
            ({"uefi_x64": "tftp://192.0.2.9/a.efi"}, None),
        ):
            given = self.assigned(BootPolicy(settings(None, **loaders), 80, True, tree.holds), machine(Firmware.HTTP))
            self.assertEqual(given.boot_file, path and f"http://10.77.0.1/loaders/{path}", str(loaders))

    def test_p19_names_need_name_servers(self) -> None:
        """P19: a URL with the name of a host is not given to machines that are told no name server."""
        tree = Tree()
        for firmware, chosen in (
            (Firmware.HTTP, settings(uefi_http_x64="http://h.test/b.efi")),
            (Firmware.IPXE, settings(ipxe="http://h.test/b.ipxe")),
        ):
            given = self.assigned(BootPolicy(chosen, 80, True, tree.holds, name_servers=False), machine(firmware))
            self.assertIsNone(given.boot_file)
            self.assertIn("name server", given.obstacle)
        literal = settings(uefi_http_x64="http://192.0.2.9/b.efi")
        given = self.assigned(BootPolicy(literal, 80, True, tree.holds, name_servers=False), machine(Firmware.HTTP))
        self.assertEqual(given.boot_file, "http://192.0.2.9/b.efi")

    @given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\/"), min_size=1))
    def test_names_in_urls(self, name: str) -> None:
        """Whatever a loader is called, its URL leads to it."""
        tree = Tree(f"x/{name}")
        policy = BootPolicy(settings(uefi_http_x64=f"x/{name}"), 80, True, tree.holds)
        url = urlsplit(self.assigned(policy, machine(Firmware.HTTP)).boot_file or "")
        if "://" not in name:
            self.assertEqual(unquote(url.path), f"/loaders/x/{name}")
            self.assertEqual((url.query, url.fragment), ("", ""))


class OwnLoaderTests(SynchronousTestCase):
    """Machines that load something else than their kind does."""

    def assigned(self, hosts: Hosts, asks: Machine, *names: str, tftp: bool = True) -> Assignment:
        """What a site with these loaders says at once."""

        async def now() -> Hosts:
            return hosts

        policy = BootPolicy(settings(), 8080, tftp, Tree("snponly.efi", *names).holds, hosts=now)
        # Without a turn of the reactor, so nothing that is slow can be in between.
        with self.assertRaises(StopIteration) as stopped:
            policy.assign(asks, SERVER).send(None)
        given: Assignment = stopped.exception.value
        return given

    def test_own_loader(self) -> None:
        """By its card or UUID, for PXE and HTTP; everybody else gets that of its kind."""
        pxe, http = machine(Firmware.PXE), machine(Firmware.HTTP)
        key = str(CARD)
        for what, said, asks, expected in (
            ("file", "own.efi", pxe, Assignment("own.efi")),
            ("file by HTTP", "own.efi", http, Assignment("http://10.77.0.1:8080/loaders/own.efi")),
            ("file of an unknown kind", "own.efi", machine(Firmware.PXE, None, 0x15), Assignment("own.efi")),
            ("TFTP elsewhere", "tftp://192.0.2.9/x.efi", pxe, Assignment("x.efi", ELSEWHERE)),
            ("URL", "https://192.0.2.9/x.efi", http, Assignment("https://192.0.2.9/x.efi")),
            ("iPXE", "own.efi", machine(Firmware.IPXE), Assignment(SCRIPT)),
            ("nothing to boot", "own.efi", machine(Firmware.OTHER), Assignment()),
            ("none", "", pxe, Assignment("snponly.efi")),
        ):
            self.assertEqual(self.assigned(Hosts({key: HostBoot(loader=said)}), asks, "own.efi"), expected, what)
        board = bytes.fromhex("33221100554477668899aabbccddeeff")
        hosts = Hosts({}, {"00112233-4455-6677-8899-aabbccddeeff": HostBoot(loader="own.efi")})
        asks = Machine("hw:1", CARD, Firmware.PXE, board, Architecture.UEFI_X64, 7)
        self.assertEqual(self.assigned(hosts, asks, "own.efi"), Assignment("own.efi"))
        self.assertEqual(self.assigned(hosts, pxe, "own.efi"), Assignment("snponly.efi"))

    def test_obstacles(self) -> None:
        for said, asks, why in (
            ("gone.efi", machine(Firmware.PXE), "no loader for uefi-x64: there is no file gone.efi"),
            (
                "http://192.0.2.9/x",
                machine(Firmware.PXE),
                "its own loader is http://192.0.2.9/x, which PXE cannot fetch",
            ),
            ("tftp://192.0.2.9/x", machine(Firmware.HTTP), "x, which UEFI HTTP boot cannot fetch"),
        ):
            given = self.assigned(Hosts({str(CARD): HostBoot(loader=said)}), asks)
            self.assertIsNone(given.boot_file)
            self.assertIn(why, given.obstacle)

    def test_a_machine_that_boots_its_disk(self) -> None:
        """Its ROM gets the loader all the same: the script says the rest."""
        hosts = Hosts({str(CARD): HostBoot("local")})
        self.assertEqual(self.assigned(hosts, machine(Firmware.PXE)), Assignment("snponly.efi"))


class ScriptUrlTests(SynchronousTestCase):
    """The URL of the first script."""

    def test_table(self) -> None:
        """HTTP's own port is left out; a machine without a network card has no query."""
        for port, hwaddr, url in [
            (80, CARD, "http://10.77.0.1/boot.ipxe?mac=02-aa-00-00-00-01"),
            (80, None, "http://10.77.0.1/boot.ipxe"),
            (8080, None, "http://10.77.0.1:8080/boot.ipxe"),
        ]:
            self.assertEqual(script_url(SERVER, port, Machine("id:1", hwaddr, Firmware.IPXE)), url)

    @given(st.integers(0, 2**32 - 1), st.integers(1, 65535), st.binary(min_size=1, max_size=16))
    def test_identity_travels(self, server: int, port: int, octets: bytes) -> None:
        """Whoever takes the URL apart finds server, port and machine again, and it fits the DHCP ``file`` field."""
        hwaddr = HardwareAddress(octets)
        url = script_url(IPv4Address(server), port, Machine("id:1", hwaddr, Firmware.IPXE))
        parts = urlsplit(url)
        self.assertEqual((parts.scheme, parts.path), ("http", "/boot.ipxe"))
        self.assertEqual((parts.hostname, parts.port or 80), (str(IPv4Address(server)), port))
        (told,) = parse_qs(parts.query, strict_parsing=True)["mac"]
        self.assertEqual(HardwareAddress.parse(told), hwaddr)
        self.assertNotIn(":", parts.query)
        self.assertLess(len(url), 128)
