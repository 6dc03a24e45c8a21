"""Tests of `pixelboot.http.routes`: what single machines boot, by a real store, and real requests in memory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.hosts import HostBoot, HostHindered, HostTook, TakeFailed
from pixelboot.boot.seam import ChoiceFailed, Choices, ContainerSettings
from pixelboot.http.outcomes import Served
from pixelboot.outcome import Outcome
from pixelboot.state.hosts import HostsFile, SqliteHosts
from tests.http.shelf import DEMO, KERNEL, Shelf, connected, damaged, get, site

MAC, WHO = "02:aa:00:00:00:01", "mac=02-aa-00-00-00-01"
OTHER = "02:aa:00:00:00:02"
BOARD = "00112233-4455-6677-8899-aabbccddeeff"


class Threads:
    """A reactor whose threads are done at once."""

    def getThreadPool(self) -> Threads:
        """It is both."""
        return self

    def callInThreadWithCallback(self, done: Any, work: Any, *arguments: Any, **named: Any) -> None:
        """Do it, and tell what it came to."""
        try:
            result = True, work(*arguments, **named)
        except ChoiceFailed:
            result = False, Failure()
        done(*result)

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        """The reactor has its turn."""
        call(*arguments)


class AssignedCase(SynchronousTestCase):
    """A service in memory over a shelf, and a file of hosts."""

    settled: dict[str, HostBoot] = {}

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.shelf = Shelf((DEMO, damaged("broken", "it ends early")))
        self.choices = Choices()
        self.restart()

    def restart(self) -> None:
        """Another server, on the same file."""
        self.outcomes: list[Outcome] = []
        file = HostsFile.open(self.path, self.settled)
        self.store = SqliteHosts(file, Threads(), self.outcomes.append)
        self.site = site(self.shelf, self.outcomes, Clock(), choices=self.decided, hosts=self.store)

    async def decided(self) -> Choices:
        """What the operator decided about containers."""
        return self.choices

    def choose(self, key: str, **said: object) -> str:
        """Choose for a machine; the token."""
        _, after = self.successResultOf(Deferred.fromCoroutine(self.store.change(key, said)))
        return after.token

    def ask(self, target: str, method: str = "GET") -> tuple[int, bytes]:
        """Status and body of one request."""
        channel, transport = connected(self.site)
        channel.dataReceived(get(target, "Connection: close", method=method))
        while transport.producer is not None:
            transport.drain()
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def script(self, query: str = WHO) -> str:
        """The first script."""
        status, body = self.ask(f"/boot.ipxe?{query}" if query else "/boot.ipxe")
        self.assertEqual(status, 200, body)
        self.assertTrue(body.startswith(b"#!ipxe\n"))
        return body.decode()

    def told(self, kind: type[Outcome]) -> list[str]:
        """What was reported of this kind."""
        return [outcome.summary() for outcome in self.outcomes if isinstance(outcome, kind)]


class AlwaysTests(AssignedCase):
    """What holds until it is changed."""

    def test_nobody(self) -> None:
        """Where nothing is said of any machine, all get the menu, whoever they say they are."""
        for query in (WHO, "", "mac=x", f"{WHO}&uuid={BOARD}"):
            self.assertIn("chain --replace --autofree menu.ipxe?mac=", self.script(query))

    def test_what_there_is(self) -> None:
        """Another one at once, and nobody else's."""
        for what, words in (
            ("demo", "\nkernel containers/demo/kernel initrd=initrd quiet || goto failed\n"),
            ("local", ":boot\niseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 ||\n"),
            ("shell", ":boot\necho Type exit for the menu.\nshell ||\n"),
            ("menu", ":menu\nchain --replace --autofree menu.ipxe?mac=02-aa-00-00-00-01 ||"),
        ):
            self.choose(MAC, boot=what)
            self.assertIn(words, self.script())
            self.assertIn(":menu\nchain --replace", self.script("mac=02-aa-00-00-00-02"))
            self.assertNotIn("once=", self.script())

    def test_as_the_operator_decides(self) -> None:
        """With the container's arguments; that menus do not offer it does not matter."""
        self.choose(MAC, boot="demo")
        self.choices = Choices().having("demo", ContainerSettings(enabled=False, arguments="debug"))
        self.assertIn("/kernel initrd=initrd quiet debug ||", self.script())
        self.assertNotIn(b"boot-demo", self.ask("/menu.ipxe")[1])

    def test_cannot_boot(self) -> None:
        """The menu, and the reason: on the screen and in the log."""
        for what, arguments, why in (
            ("gone", "", "there is no container gone"),
            ("broken", "", "the container broken is damaged: it ends early"),
            ("demo", "a || b", "the container demo cannot boot: its command line has the word ||, where iPXE would"),
        ):
            self.choose(MAC, boot=what)
            self.choices = Choices().having("demo", ContainerSettings(arguments=arguments))
            script = self.script()
            self.assertIn(f"\necho pixelboot: this machine shall boot {what}, but ", script)
            self.assertIn(why.split(" ||")[0], script)
            self.assertIn(":menu\nchain --replace --autofree menu.ipxe", script)
            self.assertIn(f"{MAC} gets the menu: {why}", self.told(HostHindered)[-1])

    def test_still_being_read(self) -> None:
        """A machine that comes before the picture was looked into waits, and does not get something else."""
        self.choose(MAC, boot="demo")
        self.shelf.containers = (replace(DEMO, state="decoding", parts=()),)
        self.assertEqual(self.ask(f"/boot.ipxe?{WHO}"), (503, b"the container demo is still being read\n"))
        self.shelf.containers = (replace(DEMO, state="decoding"),)
        self.assertIn("kernel containers/demo/kernel", self.script())

    def test_who_it_is(self) -> None:
        """A machine that does not say so is asked, once; the UUID only where somebody goes by it."""
        self.choose(MAC, boot="demo")
        asking = "chain --replace --autofree boot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid} || goto failed\n"
        self.assertIn(asking, self.script(""))
        self.assertIn("kernel", self.script(f"{WHO}&uuid="))
        zeros = "mac=&uuid=00000000-0000-0000-0000-000000000000"
        for query in ("mac=", "mac=&uuid=", "mac=x&uuid=y", "mac=x&uuid=" + "-" * 36, zeros):
            self.assertIn("menu.ipxe", self.script(query), query)
        self.choose(BOARD, boot="local")
        self.assertIn("boot.ipxe?mac=02-aa-00-00-00-02&uuid=${uuid} ||", self.script("mac=02-aa-00-00-00-02"))
        for query in (f"mac=02-aa-00-00-00-02&uuid={BOARD}", f"mac=&uuid={BOARD.upper()}"):
            self.assertIn("sanboot", self.script(query), query)
        self.assertIn("kernel", self.script(f"{WHO}&uuid={BOARD}"), "its card comes first")


class SettledTests(AssignedCase):
    """What the settings file says."""

    settled = {MAC: HostBoot("demo", name="node1")}

    def test_below_what_is_chosen(self) -> None:
        self.assertIn("kernel containers/demo/kernel initrd", self.script())
        self.choose(MAC, boot="menu")
        self.assertIn("menu.ipxe", self.script())
        self.choose(MAC, boot=None)
        self.choose(MAC, once="local")
        self.assertIn("&boot=local", self.script())


class OnceTests(AssignedCase):
    """What is over when the machine has taken it."""

    def kernel(self, token: str, of: str = "demo", method: str = "GET") -> tuple[int, bytes]:
        """Come for the kernel."""
        return self.ask(f"/containers/{of}/kernel?once={token}", method)

    def test_container(self) -> None:
        """Not the script, but the kernel ends it; then what was chosen for always holds."""
        token = self.choose(MAC, boot="local", once="demo")
        for _ in range(2):
            self.assertIn(f"kernel containers/demo/kernel?once={token} initrd=initrd quiet ||", self.script())
        self.restart()
        self.assertIn(f"?once={token} ", self.script())
        self.assertEqual(self.kernel(token), (200, KERNEL))
        self.assertIn("sanboot", self.script())
        self.restart()
        self.assertIn("sanboot", self.script())
        self.assertEqual(self.kernel(token), (200, KERNEL), "a download that broke is begun again")

    def test_told(self) -> None:
        token = self.choose(MAC, once="demo")
        self.kernel(token)
        self.kernel(token)
        self.assertEqual(self.told(HostTook), [f"{MAC} boots demo this once, and the menu from now on"])

    def test_what_does_not_end_it(self) -> None:
        """Another's kernel, no token or one of another time, HEAD, another part, and a kernel that cannot be had."""
        old = self.choose(MAC, once="demo")
        token = self.choose(MAC, once="demo")
        self.shelf.containers = (*self.shelf.containers, replace(DEMO, id="other", file_name="other.rts.png"))
        for answer, status in (
            (self.kernel(old), 200),
            (self.kernel(""), 200),
            (self.kernel(token, of="other"), 200),
            (self.kernel(token, method="HEAD"), 200),
            (self.ask("/containers/demo/kernel"), 200),
            (self.ask(f"/containers/demo/initrd?once={token}"), 200),
            (self.kernel(token, of="broken"), 404),
            (self.ask(f"/boot.ipxe?{WHO}&once={token}&boot=local"), 200),
        ):
            self.assertEqual(answer[0], status)
        self.assertIn(f"?once={token} ", self.script())
        self.assertEqual(self.told(HostTook), [])

    def test_container_that_cannot_boot(self) -> None:
        """It is not over: the machine gets it when it can."""
        token = self.choose(MAC, once="gone")
        self.assertIn("this machine shall boot gone, but there is no container gone", self.script())
        self.shelf.containers = (replace(DEMO, id="gone"),)
        self.assertIn(f"containers/gone/kernel?once={token} ", self.script())

    def test_the_rest(self) -> None:
        """The disk, the shell and the menu: the machine comes back for the script that does it."""
        for what, words in (("local", "sanboot"), ("shell", "\nshell ||"), ("menu", "menu.ipxe?")):
            token = self.choose(MAC, boot="demo", once=what)
            again = f"{WHO}&once={token}&boot={what}"
            for _ in range(2):
                self.assertIn(f"chain --replace --autofree boot.ipxe?{again} || goto failed", self.script())
            self.restart()
            self.ask(f"/boot.ipxe?{again}", "HEAD")
            self.assertEqual(self.told(HostTook), [])
            self.assertIn(words, self.script(again))
            self.assertNotIn("once=", self.script(again))
            self.assertEqual(self.told(HostTook), [f"{MAC} boots {what} this once, and demo from now on"])
            self.restart()
            self.assertIn("kernel containers/demo/kernel initrd", self.script())
            self.assertIn(words, self.script(again), "the answer was lost")

    def test_last_of_all(self) -> None:
        """When nothing is said of any machine any more, a machine whose answer was lost still gets it."""
        token = self.choose(MAC, once="local")
        again = f"{WHO}&once={token}&boot=local"
        self.script(again)
        self.assertIn("sanboot", self.script(again))

    def test_cannot_be_noted(self) -> None:
        """Then the machine gets nothing yet: it would install itself again and again."""
        token = self.choose(MAC, once="demo")
        other = self.choose(OTHER, once="local")
        Path(self.path).unlink()
        os.mkdir(self.path)
        refused = (503, b"it cannot be noted that this is taken\n")
        self.assertEqual(self.kernel(token), refused)
        self.assertEqual(self.shelf.kernel.closed, 1)
        self.assertEqual(self.ask(f"/boot.ipxe?{WHO}&once={other}&boot=local"), refused)
        self.assertEqual(len(self.told(TakeFailed)), 2)
        self.assertIn("cannot be noted as taken", self.told(TakeFailed)[0])
        os.rmdir(self.path)
        self.assertEqual(self.kernel(token), (200, KERNEL))
        self.assertEqual(len(self.told(HostTook)), 1)
        self.assertIsInstance(self.outcomes[-1], Served)
