"""Tests of `pixelboot.boot.ipxe.first`; `tests.http.test_assigned` has those by real requests."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pixelboot.boot.hosts import Boot, HostHindered
from pixelboot.boot.ipxe.first import FirstScripts, NotReady
from pixelboot.boot.ipxe.script import Query, asking_script, boot_script, local_script
from pixelboot.boot.seam import Choices
from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from tests.http.shelf import DEMO, Shelf, damaged

QUERY = Query(HardwareAddress.parse("02:aa:00:00:00:01"), "", "http://10.77.0.1:8080/")


class FirstTests(SynchronousTestCase):
    """What a machine boots, written down."""

    def setUp(self) -> None:
        self.outcomes: list[Outcome] = []
        self.scripts = FirstScripts(Shelf((DEMO, damaged("broken", "it ends early"))), self.choices, None, self.report)

    async def choices(self) -> Choices:
        return Choices()

    def report(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def result(self, made: Coroutine[Any, Any, str]) -> str:
        return self.successResultOf(Deferred.fromCoroutine(made))

    def test_nothing_is_said_of_anybody(self) -> None:
        """Then nobody has to say who it is."""
        self.assertEqual(self.result(self.scripts.first(QUERY, told=False, told_uuid=False)), boot_script(QUERY))

    def test_what(self) -> None:
        for boot, script in (
            (Boot("menu", "chosen"), boot_script(QUERY)),
            (Boot("local", "chosen"), local_script(QUERY)),
            (Boot("local", "once", "t"), asking_script(QUERY, "once=t&boot=local")),
            (Boot("menu", "once", "t"), asking_script(QUERY, "once=t&boot=menu")),
        ):
            self.assertEqual(self.result(self.scripts.of(boot, QUERY)), script)
        self.assertIn(
            f"kernel {QUERY.base}containers/demo/kernel?once=t ",
            self.result(self.scripts.of(Boot("demo", "once", "t"), QUERY)),
        )

    def test_what_cannot_be_booted(self) -> None:
        """The menu tells why, and so does the log."""
        script = self.result(self.scripts.of(Boot("broken", "chosen"), QUERY))
        self.assertIn("echo pixelboot: this machine shall boot broken, but ", script)
        self.assertEqual([type(outcome) for outcome in self.outcomes], [HostHindered])

    def test_not_ready(self) -> None:

        self.scripts = FirstScripts(
            Shelf((replace(DEMO, state="decoding", parts=()),)), self.choices, None, self.report
        )
        self.failureResultOf(Deferred.fromCoroutine(self.scripts.of(Boot("demo", "chosen"), QUERY)), NotReady)
