"""Tests of `pixelboot.library.generated`: what is served by name and is no file."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.hosts import HostBoot, Hosts, HostStore
from pixelboot.boot.ipxe.first import FirstScripts
from pixelboot.boot.seam import Choices
from pixelboot.hwaddr import HardwareAddress
from pixelboot.library.generated import Generated, named_machine
from pixelboot.library.library import Unavailable
from pixelboot.library.names.asker import NOBODY, Asker
from pixelboot.library.names.components import Absent
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from tests.http.shelf import DEMO, INITRD, KERNEL, Shelf

CARD = HardwareAddress.parse("52:54:00:12:34:5a")
ASKER = Asker(CARD, "10.77.0.9")


class Store:
    """What was chosen for machines."""

    def __init__(self, chosen: dict[str, HostBoot]) -> None:
        self._hosts = Hosts(chosen)

    async def hosts(self) -> Hosts:
        """As `HostStore.hosts`."""
        return self._hosts


class GeneratedCase(SynchronousTestCase):
    """Over a library in memory."""

    def setUp(self) -> None:
        self.shelf = Shelf((DEMO,))
        self.outcomes: list[Outcome] = []
        self.make({})

    def make(self, chosen: dict[str, HostBoot], *, ignore_case: bool = True) -> None:
        """Where that was chosen for machines."""
        store: HostStore = Store(chosen)  # type: ignore[assignment] # only what it tells is asked for
        scripts = FirstScripts(self.shelf, self.choices, store, self.outcomes.append)
        self.generated = Generated(
            self.shelf, scripts, lambda address: f"http://to-{address}:8080/", Clock(), ignore_case=ignore_case
        )

    async def choices(self) -> Choices:
        return Choices()

    def ask(self, name: str, asker: Asker = ASKER) -> Deferred[Payload]:
        parts = tuple(name.split("/"))
        self.assertTrue(self.generated.knows(parts), name)
        return Deferred.fromCoroutine(self.generated.open(parts, asker))

    def octets(self, name: str, asker: Asker = ASKER) -> bytes:
        """What is in it, at once."""
        payload = self.successResultOf(self.ask(name, asker))
        octets = payload.read(0, payload.size)
        payload.close()
        return octets


class NameTests(GeneratedCase):
    """What there may be."""

    def test_names(self) -> None:
        for name in (
            "autoexec.ipx",
            "boot/x.ipxe",
            "boot/52-54-00-12-34.ipxe",
            "containers/demo",
            "containers/a/b",
            "x",
        ):
            self.assertFalse(self.generated.knows(tuple(name.split("/"))), name)

    def test_case(self) -> None:
        """It does not matter, unless the site says so; but the id of a container is what it is."""
        for parts, known in (
            (("Autoexec.IPXE",), True),
            (("Boot", "52-54-00-12-34-5A.ipxe"), True),
            (("CONTAINERS", "demo", "Kernel"), True),
        ):
            self.assertEqual(self.generated.knows(parts), known, parts)
        payload = self.successResultOf(self.ask("Containers/demo/KERNEL"))
        self.assertEqual(payload.read(0, payload.size), KERNEL)
        payload.close()
        self.failureResultOf(self.ask("containers/DEMO/kernel"), Absent)
        self.make({}, ignore_case=False)
        for parts in (("Autoexec.ipxe",), ("Boot", "52-54-00-12-34-5a.ipxe"), ("containers", "demo", "Kernel")):
            self.assertFalse(self.generated.knows(parts), parts)

    def test_cards(self) -> None:
        for name in (
            "52-54-00-12-34-5a.ipxe",
            "52:54:00:12:34:5A.ipxe",
            "5254.0012.345A.ipxe",
            "52540012345a.IPXE",
            "01-52-54-00-12-34-5a.ipxe",
        ):
            self.assertEqual(named_machine(name), CARD, name)

    @given(st.text(max_size=12) | st.from_regex(r"[0-9a-fA-F:.-]{10,20}\.ipxe", fullmatch=True))
    def test_anything(self, name: str) -> None:
        """Any name is that of a card of six octets, or none."""
        machine = named_machine(name)
        self.assertEqual(machine is not None, self.generated.knows(("boot", name)))
        if machine is not None:
            self.assertEqual(len(machine.octets), 6)


class ScriptTests(GeneratedCase):
    """First scripts that are not fetched by HTTP."""

    def test_the_menu(self) -> None:
        """It brings the network up if need be, and names our URL in full; made for who asks, where that is known."""
        script = self.octets("autoexec.ipxe").decode()
        self.assertTrue(script.startswith("#!ipxe\n:menu\nisset ${ip} || dhcp || goto failed\n"), script)
        self.assertIn("chain --replace --autofree http://to-10.77.0.9:8080/menu.ipxe?mac=52-54-00-12-34-5a ", script)
        script = self.octets("autoexec.ipxe", Asker(None, "10.77.0.8")).decode()
        self.assertIn("http://to-10.77.0.8:8080/menu.ipxe?mac=${netX/mac:hexhyp} ", script)

    def test_what_was_chosen(self) -> None:
        """As at ``/boot.ipxe``; one who is not known has to come and say who it is."""
        self.make({str(CARD): HostBoot("demo")})
        url = "http://to-10.77.0.9:8080/"
        for name in ("autoexec.ipxe", "boot/52-54-00-12-34-5a.ipxe"):
            script = self.octets(name).decode()
            self.assertIn(f"kernel {url}containers/demo/kernel initrd=initrd quiet || goto failed\n", script)
            self.assertIn(f"initrd --name initrd {url}containers/demo/initrd || goto failed\n", script)
            self.assertIn(f"chain --replace --autofree {url}boot.ipxe?mac=52-54-00-12-34-5a || goto failed", script)
        self.assertIn(f"{url}menu.ipxe?mac=52-54-00-00-00-01 ", self.octets("boot/52-54-00-00-00-01.ipxe").decode())
        script = self.octets("autoexec.ipxe", Asker(None, "10.77.0.8")).decode()
        self.assertIn("http://to-10.77.0.8:8080/boot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid} ", script)

    def test_frozen(self) -> None:
        """What was begun to be sent stays as it is."""
        payload = self.successResultOf(self.ask("autoexec.ipxe"))
        before = payload.read(0, payload.size)
        self.make({str(CARD): HostBoot("local")})
        self.assertEqual(payload.read(0, payload.size), before)
        self.assertNotEqual(self.octets("autoexec.ipxe"), before)

    def test_not_yet(self) -> None:
        """A container that is still being read: the machine may come again."""
        self.shelf.containers = (replace(DEMO, state="decoding", parts=()),)
        self.make({str(CARD): HostBoot("demo")})
        error = self.failureResultOf(self.ask("autoexec.ipxe"), OSError).value
        self.assertEqual(error.strerror, "the container demo is still being read")


class PartTests(GeneratedCase):
    """Parts of containers."""

    def test_parts(self) -> None:
        self.assertEqual(self.octets("containers/demo/kernel"), KERNEL)
        self.assertEqual(self.octets("containers/demo/initrd", NOBODY), INITRD)

    def test_shared(self) -> None:
        """Who asks while it is being decoded waits; it is opened once for all, and closed after the last."""
        decoding = self.shelf.decoding = Deferred()
        asking = [self.ask("containers/demo/kernel") for _ in range(3)]
        for each in asking:
            self.assertNoResult(each)
        asked: list[str] = []
        self.shelf.decoding = None
        part = self.shelf.part

        async def counted(id: str, name: str) -> Payload:  # noqa: A002
            asked.append(name)
            return await part(id, name)

        self.patch(self.shelf, "part", counted)
        decoding.callback(None)
        payloads = [self.successResultOf(each) for each in [*asking, self.ask("containers/demo/kernel")]]
        self.assertEqual({id(payload.origin) for payload in payloads}, {id(self.shelf.kernel)})
        self.assertEqual(asked, [], "it was asked for once, before")
        for payload in payloads[1:]:
            payload.close()
        self.assertEqual((self.shelf.kernel.closed, payloads[0].read(0, 4)), (0, KERNEL[:4]))
        payloads[0].close()
        self.assertEqual(self.shelf.kernel.closed, 1)

    def test_another_picture(self) -> None:
        """Who asks after the picture was replaced does not get a part of the old one."""
        payload = self.successResultOf(self.ask("containers/demo/kernel"))
        self.shelf.containers = (replace(DEMO, modified_at=1.0),)
        self.shelf.kernel = type(self.shelf.kernel)(b"another")
        self.assertEqual(self.octets("containers/demo/kernel"), b"another")
        self.assertEqual(payload.read(0, 4), KERNEL[:4])
        payload.close()

    def test_none(self) -> None:
        """There is none, it is not offered, or it cannot be had at this moment."""
        self.failureResultOf(self.ask("containers/none/kernel"), Absent)
        self.shelf.unavailable = Unavailable("the container has no dtb")
        self.failureResultOf(self.ask("containers/demo/dtb"), Absent)
        self.shelf.unavailable = Unavailable("the server is stopping")
        error = self.failureResultOf(self.ask("containers/demo/kernel"), OSError).value
        self.assertEqual(error.strerror, "the server is stopping")
        self.shelf.containers = (replace(DEMO, state="damaged"),)
        self.failureResultOf(self.ask("containers/demo/kernel"), Absent)
