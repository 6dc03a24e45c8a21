"""The server's clock is set, by hours and by a month, forward and back, while machines come and go."""

from __future__ import annotations

import os
from pathlib import Path

from lab import needs
from lab.clients import load
from lab.clients.load import broken_promises
from lab.process import LabError
from tests.firmware.case import LabCase

MACHINES = 40
STEPS = ("+2h", "+0", "-2h", "+0", "+30d", "-30d", "+0")
"""How far the clock is from the right time, one after the other, as libfaketime reads it."""

LIBRARY = "/usr/$LIB/faketime/libfaketimeMT.so.1"


class ClockTests(LabCase):
    """libfaketime stands between the server and the time of day; the monotonic clock is let through."""

    programs = (*needs.NETWORK, "faketime")

    def test_steps(self) -> None:
        """Everybody is served on, keeps what was promised, and gets a lease of the right length."""
        offset = self.network.folder / "offset"
        set_clock(offset, "+0")
        server = self.serve()
        fake = {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        log = self.running(server.start(fake))
        generator = self.running(load.start(self.network.segment, MACHINES))
        seen = 0
        for step in STEPS:
            set_clock(offset, step)
            for _ in range(8 * MACHINES):
                try:
                    generator.wait_for(r'"bound"', 20.0, after=seen)
                except LabError:
                    self.fail(f"nobody is served after the clock was set to {step}\n{log.tail()}")
                lines = generator.lines
                seen = next(at for at in range(seen, len(lines)) if '"bound"' in lines[at].text) + 1
        generator.stop()
        history = load.events(generator)
        self.assertEqual(broken_promises(history)[:10], [])
        # A renewal early in a lease is answered with what is left of it.
        times = {event.lease_time for event in history if event.what == "bound"}
        self.assertTrue(450 <= min(times) <= max(times) == 600, f"leases of {min(times)} to {max(times)} s")
        self.assertEqual([event for event in history if event.what == "refused"], [])
        slow = sorted(event.waited for event in history)[-len(history) // 100]
        self.assertLess(slow, 1.0, "99 in 100 are served within a second")
        logged = {line.text[:10] for line in log.lines if "pixelboot.dhcp" in line.text}
        self.assertGreaterEqual(len(logged), 3, "the server did see other days")


def set_clock(file: Path, offset: str) -> None:
    """Set the clock so far from the right time, at once."""
    aside = file.with_suffix(".new")
    aside.write_text(f"{offset}\n")
    os.replace(aside, file)
