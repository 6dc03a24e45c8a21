"""Server or lease helper killed at any moment under load: every promise made before is kept afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal

from twisted.trial.unittest import SynchronousTestCase

from lab.network import load
from lab.network.load import Event, broken_promises
from lab.process import LabError, Process
from lab.servers.pixelboot import PixelbootServer, helpers
from tests.firmware.case import LabCase

KILLS = 50
CLIENTS = 40


class CrashTests(LabCase):
    """kill -9, as a power cut does it."""

    def test_promises_survive(self) -> None:
        """The same machine gets the same address again, and no address has two holders."""
        server = self.serve()
        process = self.running(server.start())
        generator = self.running(load.start(self.network.client(), CLIENTS))
        chance = random.Random(2131)
        victims = {"server": 0, "helper": 0}
        for number in range(KILLS):
            # The kill follows an ACK at once, while other clients are in all stages of their exchanges.
            _acknowledged(generator, chance.randint(1, 150))
            victim = chance.choice(sorted(victims))
            victims[victim] += 1
            process = self._kill(victim, process, server, f"kill {number + 1}")
        self.assertTrue(all(victims.values()), f"both were killed: {victims}")
        _acknowledged(generator, 4 * CLIENTS)
        generator.stop()
        history = load.events(generator)
        self.assertEqual(broken_promises(history)[:10], [])
        self.assertEqual(len({event.machine for event in history}), CLIENTS, "every client was served")
        ways = {event.way for event in history if event.what == "bound"}
        self.assertEqual(ways, {"discover", "reboot"})

    def _kill(self, victim: str, process: Process, server: PixelbootServer, what: str) -> Process:
        """Kill the server or its lease helper and return the server that runs when service has come back."""
        if victim == "helper":
            pids = [pid for pid, command in helpers(process).items() if "pixelboot.state.helper" in command]
            self.assertEqual(len(pids), 1, f"{what}: the lease helper among {helpers(process)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGKILL)
            return process
        process.kill()
        for attempt in range(3):
            try:
                return self.running(server.start())
            except LabError:
                if attempt == 2:
                    raise
        raise AssertionError("not reached")


class VerdictTests(SynchronousTestCase):
    """The judge itself: a server that broke its word is found out."""

    def test_broken_promises(self) -> None:
        """Each broken promise is named; what is no breach is not."""
        one, two = "02:bb:00:00:00:01", "02:bb:00:00:00:02"
        bound = Event(1.0, one, "bound", "discover", "10.77.0.100", 600)
        cases: list[tuple[str, Event, int]] = [
            ("the same again", Event(2.0, one, "bound", "reboot", "10.77.0.100", 600), 0),
            ("another address", Event(2.0, one, "bound", "discover", "10.77.0.101", 600), 1),
            ("two holders", Event(2.0, two, "bound", "discover", "10.77.0.100", 600), 1),
            ("another holder after the end", Event(602.0, two, "bound", "discover", "10.77.0.100", 600), 0),
            ("refused what it holds", Event(2.0, one, "refused", "reboot", "10.77.0.100", 0), 1),
            ("refused an offer", Event(2.0, two, "refused", "discover", "10.77.0.101", 0), 0),
        ]
        for name, event, breaches in cases:
            self.assertEqual(len(broken_promises([bound, event])), breaches, name)


def _acknowledged(generator: Process, count: int) -> None:
    """Wait until so many more requests have been acknowledged."""
    seen = len(generator.lines)
    for _ in range(count):
        generator.wait_for(r'"bound"', 60.0, after=seen)
        seen += 1
