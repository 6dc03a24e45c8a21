"""Server or lease helper killed at any moment under load: every promise made before is kept afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time

from twisted.trial.unittest import SynchronousTestCase

from lab.clients import load
from lab.clients.load import Event, broken_promises
from lab.process import LabError, wait_until
from lab.servers.pixelboot import PixelbootServer, helpers
from tests.firmware.case import LabCase
from tests.installed.victims import Nursery, Victim

KILLS = 100
CLIENTS = 40

PATIENCE = 20.0
"""Seconds in which service must have come back."""


class CrashTests(LabCase):
    """kill -9, as a power cut does it."""

    def setUp(self) -> None:
        """Start a server, and the load."""
        super().setUp()
        self.server: PixelbootServer = self.serve()
        self.nursery = Nursery(self.network.folder, self.network.server.argv)
        self.addCleanup(self.nursery.close)
        self.process = self._started()
        self.load = self.running(load.start(self.network.segment, CLIENTS))
        self.seen = 0

    def test_promises_survive(self) -> None:
        """The same machine gets the same address again, and no address has two holders."""
        chance = random.Random(2131)
        victims = {"server": 0, "helper": 0}
        for number in range(KILLS):
            # The kill follows an ACK at once, while other machines are in all stages of their exchanges.
            self._acknowledged(chance.randint(1, 80))
            victim = chance.choice(sorted(victims))
            victims[victim] += 1
            self._kill(victim, f"kill {number + 1}")
        self.assertTrue(all(victims.values()), f"both were killed: {victims}")
        self._acknowledged(4 * CLIENTS)
        self.load.stop()
        history = load.events(self.load)
        self.assertEqual(broken_promises(history)[:10], [])
        self.assertEqual(len({event.machine for event in history}), CLIENTS, "every machine was served")
        ways = {(event.way, event.what) for event in history}
        for way in ("discover", "reboot", "renew"):
            self.assertIn((way, "bound"), ways)
        self.assertIn(("release", "released"), ways)

    def test_forgotten(self) -> None:
        """A server that has lost its leases is found out, so the test above proves something."""
        self._acknowledged(10 * CLIENTS)
        self._end()
        shutil.rmtree(self.server.state)
        self.process = self._started()
        self._acknowledged(10 * CLIENTS)
        self.load.stop()
        self.assertNotEqual(broken_promises(load.events(self.load)), [])

    def _acknowledged(self, count: int) -> None:
        """Wait until so many more requests have been acknowledged."""
        for _ in range(count):
            end = time.monotonic() + PATIENCE
            while not (found := self._next()):
                self.assertLess(time.monotonic(), end, f"nobody is served any more:\n{self.process.log[-3000:]}")
                self._supervise()
            self.seen = found

    def _next(self) -> int:
        """How many lines the load has written up to the next ACK; 0 if none comes within a second."""
        with contextlib.suppress(LabError):
            self.load.wait_for(r'"bound"', 1.0, after=self.seen)
        lines = self.load.lines
        return next((at + 1 for at in range(self.seen, len(lines)) if '"bound"' in lines[at].text), 0)

    def _supervise(self) -> None:
        """A server that does not start is started again, as a service manager does.

        Its helper was killed while it started, or a child of the one before, killed too, has not let go of the state.
        """
        if self.process.has_ended(0):
            reasons = (
                r"cannot start: .* the helper process was killed by signal 9|the state folder .* is in use by process"
            )
            self.assertRegex(self.process.log, reasons)
            self.process.wait()
            self.process = self._started()

    def _kill(self, victim: str, what: str) -> None:
        """Kill the server or its lease helper, and have service come back."""
        if victim == "helper":
            # The one that was killed a moment ago may not have been followed yet.
            wait_until(self._has_helper, 10.0, f"{what}: the server has a lease helper")
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(self._helpers()[0], signal.SIGKILL)
            return
        self._end()
        self.process = self._started()

    def _has_helper(self) -> bool:
        self._supervise()
        return bool(self._helpers())

    def _helpers(self) -> list[int]:
        return [pid for pid, command in helpers(self.process).items() if "pixelboot.state" in command]

    def _end(self) -> None:
        """Kill the server, which has run until then."""
        self._supervise()
        self.process.kill()
        self.assertEqual(self.process.wait(), -signal.SIGKILL)

    def _started(self) -> Victim:
        return self.nursery.start("twistd", "--nodaemon", "--pidfile=", "pixelboot", *self.server.options)


class VerdictTests(SynchronousTestCase):
    """The judge itself: a server that broke its word is found out."""

    def test_broken_promises(self) -> None:
        """Each broken promise is named; what is no breach is not."""
        one, two = "02:bb:00:00:00:01", "02:bb:00:00:00:02"

        def event(at: float, machine: str, what: str, way: str, last: int) -> Event:
            return Event(at, machine, what, way, f"10.77.0.{last}", 600 if what == "bound" else 0, 0.1)

        bound = event(1.0, one, "bound", "discover", 100)
        given_back = event(1.5, one, "released", "release", 100)
        cases: list[tuple[str, list[Event], int]] = [
            ("the same again", [event(2.0, one, "bound", "reboot", 100)], 0),
            ("another address", [event(2.0, one, "bound", "discover", 101)], 1),
            ("two holders", [event(2.0, two, "bound", "discover", 100)], 1),
            ("another holder after the end", [event(602.0, two, "bound", "discover", 100)], 0),
            ("another holder of what was given back", [given_back, event(2.0, two, "bound", "discover", 100)], 0),
            ("another address after giving back", [given_back, event(2.0, one, "bound", "discover", 101)], 0),
            ("refused what it holds", [event(2.0, one, "refused", "reboot", 100)], 1),
            ("refused to prolong", [event(2.0, one, "refused", "renew", 100)], 1),
            ("refused an offer", [event(2.0, two, "refused", "discover", 101)], 0),
        ]
        for name, events, breaches in cases:
            self.assertEqual(len(broken_promises([bound, *events])), breaches, name)
